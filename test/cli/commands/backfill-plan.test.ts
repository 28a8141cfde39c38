/** What `backfill` asks of Telnyx, what it sends, and how it follows that: in memory and virtual time. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ReceiveMessageCommand, SendMessageBatchCommand, type SQSClient } from '@aws-sdk/client-sqs';
import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { countCreated, idsOfReference, oldestDay } from '../../../cli/backfill/telnyx-queries.ts';
import { backfill, backfillCommand, backfillOptions } from '../../../cli/commands/backfill.ts';
import type { Metrics, Target } from '../../../cli/target/target.ts';
import type { MetricName } from '../../../functions/metrics.ts';
import { SettingsError } from '../../../functions/settings.ts';
import type { TelnyxClient } from '../../../functions/telnyx/client.ts';
import { sleep } from '../../../functions/time.ts';
import type { ProgressState } from '../../../terminal/progress.ts';
import { virtualTime } from '../../fakes/clock.ts';
import { firstSentAt, memoryLanes as lanes, memorySqs } from '../../fakes/memory-sqs.ts';
import { type ListedRow, pageOf } from '../../fakes/telnyx-list.ts';
import { newFolder, recordingTerminal } from '../world.ts';

const now = firstSentAt + 60_000;
const never = new AbortController().signal;
const day = 24 * 3_600_000;
const idOf = (n: number) => `5a3b1e00-0000-4000-8000-${String(n).padStart(12, '0')}`;
const rateLimit = { limit: undefined, remaining: undefined, resetMs: undefined };

interface Answering {
  rows?: readonly ListedRow[];
  /** In place of the answer to a request, by its number from 1 on. */
  instead?: (request: number) => unknown;
}

function telnyxWith({ rows = [], instead = () => undefined }: Answering) {
  const queries: URLSearchParams[] = [];
  /** Each path, with the error code for a response that it does not exist. */
  const paths = new Set<string>();
  const get = async (path: string, query: URLSearchParams, gone: string) => {
    queries.push(query);
    paths.add(`${path} ${gone}`);
    const data = pageOf(rows, query).map(({ id, createdAt }) => ({
      id,
      created_at: new Date(createdAt).toISOString(),
    }));
    return instead(queries.length) ?? { data, meta: { total_results: rows.length } };
  };
  return { queries, paths, telnyx: { get, requests: () => queries.length } };
}

describe('the oldest day', () => {
  const oldest = Date.parse('2019-03-05T17:30:00Z');
  const rows = [oldest, oldest + 500 * day, now - day].map((createdAt, n) => ({ id: idOf(n), createdAt }));

  it('is the day of the first document, in some twenty requests of one row each', async () => {
    const { telnyx, queries } = telnyxWith({ rows });

    expect(new Date(await oldestDay(telnyx, now)).toISOString()).toBe('2019-03-05T00:00:00.000Z');

    expect(queries.length).toBeLessThanOrEqual(26);
    expect(Object.fromEntries(queries[0] ?? [])).toEqual({
      'filter[created_at][gt]': '2008-12-31T23:59:59.000Z',
      'filter[created_at][lt]': '2017-12-13T00:00:00.000Z',
      'page[number]': '1',
      'page[size]': '1',
    });
  });

  it('is found although any single answer comes empty', async () => {
    const requests = telnyxWith({ rows });
    await oldestDay(requests.telnyx, now);

    for (let wrong = 1; wrong <= requests.queries.length; wrong += 1) {
      const { telnyx } = telnyxWith({
        rows,
        instead: (request) => (request === wrong ? { data: [] } : undefined),
      });

      expect(new Date(await oldestDay(telnyx, now)).toISOString()).toBe('2019-03-05T00:00:00.000Z');
    }
  });

  it('is the first of all where Telnyx’s answers cannot be read', async () => {
    const { telnyx } = telnyxWith({ instead: () => ({ rows: [] }) });

    expect(new Date(await oldestDay(telnyx, now)).toISOString()).toBe('2009-01-01T00:00:00.000Z');
  });

  it('is the last one where there is no document', async () => {
    const { telnyx } = telnyxWith({});

    expect(new Date(await oldestDay(telnyx, now)).toISOString()).toBe('2026-11-24T00:00:00.000Z');
  });
});

describe('the number of documents of a span', () => {
  const span = { from: Date.parse('2026-11-01T00:00:00Z'), to: Date.parse('2026-11-02T00:00:00Z') };

  it.each([
    [{ data: [], meta: { total_results: 7, total_pages: 1 } }, 7],
    [{ data: [], meta: {} }, undefined],
    [{ data: [] }, undefined],
    [{ data: [], meta: { total_results: 'seven' } }, undefined],
    ['a text', undefined],
  ])('is what Telnyx says, if anything: %j', async (answer, count) => {
    const { telnyx, queries, paths } = telnyxWith({ instead: () => answer });

    expect(await countCreated(telnyx, span)).toBe(count);
    expect([...paths]).toEqual(['documents UnexpectedResponse']);
    expect(queries[0]?.get('filter[created_at][gt]')).toBe('2026-10-31T23:59:59.000Z');
    expect(queries[0]?.get('filter[created_at][lt]')).toBe('2026-11-02T00:00:00.000Z');
  });
});

it('A customer reference has all documents up to five minutes ahead of this clock, each once', async () => {
  const rows = [now - 900 * day, now + 4 * 60_000].map((createdAt, n) => ({ id: idOf(n), createdAt }));
  const { telnyx, queries } = telnyxWith({ rows });

  expect((await idsOfReference(telnyx, 'PO-1', now)).sort()).toEqual([idOf(0), idOf(1)]);
  expect(queries.every((query) => query.get('filter[customer_reference][eq]') === 'PO-1')).toBe(true);
});

it('A customer reference passes over rows without an ID', async () => {
  const created_at = new Date(now - day).toISOString();
  const data = [{ id: idOf(1), created_at }, { created_at }];
  const { telnyx } = telnyxWith({ instead: () => ({ data, meta: { total_pages: 1, total_results: 2 } }) });

  expect(await idsOfReference(telnyx, 'PO-1', now)).toEqual([idOf(1)]);
});

interface WorldOptions extends Answering {
  /** No Telnyx: undefined, as for a local archive, or an error. */
  noTelnyx?: 'none' | Error;
  /** What the functions have counted, by how often that was asked. */
  counted?: (look: number) => Partial<Record<MetricName, number>>;
  /** Messages that SQS never takes. */
  refused?: string;
}

function startWorld({ noTelnyx, counted, refused, ...answering }: WorldOptions = {}) {
  const memory = memorySqs();
  const time = virtualTime(now);
  const batches: number[] = [];
  const describing: (() => ProgressState)[] = [];
  /** Texts of the progress while messages are sent. */
  const sending = new Set<string>();
  const sqs = {
    send: async (command: unknown) => {
      if (command instanceof SendMessageBatchCommand) {
        for (const describe of describing) sending.add(describe().text);
        const entries = command.input.Entries ?? [];
        batches.push(entries.length);
        const taken = entries.filter(({ MessageBody = '' }) => !refused || !MessageBody.includes(refused));
        for (const { MessageBody = '' } of taken) memory.put(command.input.QueueUrl ?? '', MessageBody);
        return { Successful: taken.map(({ Id }) => ({ Id })) };
      }
      return memory.sqs.send(command as never);
    },
  } as unknown as SQSClient;
  const { telnyx, queries } = telnyxWith(answering);
  const sinces: number[] = [];
  const receipts: string[] = [];
  const metrics: Metrics = {
    sums: async (names, since) => {
      sinces.push(since);
      const sums = counted?.(sinces.length) ?? {};
      return Object.fromEntries(names.map((name) => [name, sums[name] ?? 0])) as never;
    },
    latest: async () => undefined,
    maximum: async () => undefined,
  };
  const run = async (parsed: Parameters<typeof backfillOptions>[0], { answer = false } = {}) => {
    const { terminal, result: told } = recordingTerminal({ answer });
    const progress: object[] = [];
    const target = {
      options: [],
      queues: async () => ({ sqs, lanes }),
      bucket: async () => ({
        bucket: { list: async (prefix: string) => receipts.filter((key) => key.startsWith(prefix)) },
      }),
      telnyx: async () => {
        if (noTelnyx instanceof Error) throw noTelnyx;
        if (noTelnyx === 'none') return undefined;
        const get: TelnyxClient['get'] = async (path, query) => ({
          body: await telnyx.get(path, query, ''),
          rateLimit,
        });
        return { get };
      },
      metrics: async () => (counted === undefined ? undefined : metrics),
      polling: { intervalMs: 5_000, countsLagMs: 60_000 },
    } as unknown as Target;
    told.exitCode = await backfill(backfillOptions(parsed, time.now()), {
      target,
      terminal: {
        ...terminal,
        paint: (style, text) => `<${style}>${text}`,
        record: (value) => {
          terminal.record(value);
          progress.push(...describing.map((describe) => describe()));
        },
        progress: (describe) => {
          describing.push(describe);
          return {
            stop: () => {
              progress.push(describe());
              describing.length = 0;
            },
          };
        },
      },
      time,
      random: () => 0.5,
      signal: never,
    });
    return { ...told, progress };
  };
  return {
    ...memory,
    run,
    time,
    batches,
    queries,
    sinces,
    receipts,
    sending,
    /** Progress displays that have not been stopped. */
    unstopped: () => describing.length,
  };
}

const read = (bodies: string[]) => bodies.map((body) => JSON.parse(body));

describe('archiver backfill', () => {
  it('sends one message for each day of a span, and says how many documents that are', async () => {
    const rows = [{ id: idOf(1), createdAt: now - day }];
    const { run, bodies } = startWorld({ rows });

    const told = await run({ since: '2026-11-23', until: '2026-11-24T06:00:00Z', yes: true });

    expect(read(bodies('spans'))).toEqual([
      {
        v: 1,
        kind: 'span',
        createdAfter: '2026-11-23T23:59:59.000Z',
        createdBefore: '2026-11-24T06:00:00.000Z',
        requestedAt: new Date(now).toISOString(),
      },
      {
        v: 1,
        kind: 'span',
        createdAfter: '2026-11-22T23:59:59.000Z',
        createdBefore: '2026-11-24T00:00:00.000Z',
        requestedAt: new Date(now).toISOString(),
      },
    ]);
    expect(told.exitCode).toBe(0);
    expect(told.records).toEqual([
      { type: 'plan', lane: 'spans', documents: 1, messages: 2 },
      { type: 'sent', messages: 2 },
    ]);
    expect(told.printed).toBe(
      'Created from 2026-11-23T00:00:00Z to 2026-11-24T06:00:00Z: 1 document, 2 messages into the spans queue.\n' +
        'Sent. To follow the progress, run `npm run archiver -- status --watch`.\n',
    );
    expect(told.progress.at(-1)).toEqual({ ended: 2, total: 2, text: '2 of 2 messages sent' });
  });

  it.each<[string, WorldOptions['noTelnyx']]>([
    ['has no Telnyx', 'none'],
    ['has no API key', new SettingsError(['TELNYX_API_KEY is missing.'])],
  ])('sends a span with a start without the count where it %s', async (_what, noTelnyx) => {
    const { run, bodies } = startWorld({ ...(noTelnyx && { noTelnyx }) });

    const told = await run({ since: '12h', yes: true });

    expect(told.printed).toContain('an unknown number of documents, ');
    expect(bodies('spans').length).toBeGreaterThan(0);
  });

  it('does not take another failure of Telnyx for a missing key', async () => {
    const { run, bodies } = startWorld({ noTelnyx: new TypeError('x') });

    await expect(run({ since: '12h', yes: true })).rejects.toThrow(TypeError);
    expect(bodies('spans')).toEqual([]);
  });

  it.each([{ all: true }, { reference: 'PO-1' }])('needs Telnyx for %j', async (parsed) => {
    const { run } = startWorld({ noTelnyx: 'none' });

    await expect(run({ ...parsed, yes: true })).rejects.toThrow(
      'This requires access to Telnyx: set TELNYX_API_KEY',
    );
  });

  it('sends all days from the oldest document on', async () => {
    const { run, bodies } = startWorld({ rows: [{ id: idOf(1), createdAt: now - 3 * day }] });

    await run({ all: true, yes: true });

    expect(read(bodies('spans')).map(({ createdBefore }) => createdBefore)).toEqual([
      new Date(now).toISOString(),
      '2026-11-24T00:00:00.000Z',
      '2026-11-23T00:00:00.000Z',
      '2026-11-22T00:00:00.000Z',
    ]);
  });

  it('sends the documents of a reference and of a file into the lane of backfills', async () => {
    const { run, bodies } = startWorld({ rows: [{ id: idOf(1), createdAt: now - day }] });
    const file = join(await newFolder(), 'ids');
    await writeFile(file, `${idOf(2)}\n`);
    const message = (documentId: string) => ({
      v: 1,
      kind: 'document',
      documentId,
      trigger: 'backfill',
      requestedAt: new Date(now).toISOString(),
    });

    const byReference = await run({ reference: 'PO-1', yes: true });
    const byFile = await run({ ids: file, yes: true });

    expect(byReference.printed).toContain(
      'With the customer reference "PO-1": 1 document, 1 message into the backfill queue.',
    );
    expect(byFile.printed).toContain(`Listed in ${file}: 1 document, 1 message into the backfill queue.`);
    expect(read(bodies('backfill')).map(({ documentId }) => documentId)).toEqual([idOf(1), idOf(2)]);
    expect(read(bodies('backfill'))[1]).toMatchObject({
      ...message(idOf(2)),
      requestedAt: expect.any(String),
    });
  });

  it('fails where SQS does not take a message, and says nothing of being done', async () => {
    const { run, unstopped } = startWorld({ refused: idOf(3) });
    const file = join(await newFolder(), 'ids');
    await writeFile(file, [1, 2, 3].map(idOf).join('\n'));

    await expect(run({ ids: file, yes: true })).rejects.toMatchObject({ code: 'QueueUnavailable' });
    expect(unstopped()).toBe(0);
  });

  it('sends thousands of messages, each once, and shows how many it has sent', async () => {
    const { run, bodies, batches, sending } = startWorld();
    const file = join(await newFolder(), 'ids');
    await writeFile(file, Array.from({ length: 2_345 }, (_, n) => idOf(n)).join('\n'));

    const told = await run({ ids: file, yes: true });

    expect(new Set(bodies('backfill')).size).toBe(2_345);
    expect(batches.reduce((a, b) => a + b)).toBe(2_345);
    expect(told.records.at(-1)).toEqual({ type: 'sent', messages: 2_345 });
    expect([...sending]).toEqual([0, 1_000, 2_000].map((sent) => `${sent} of 2,345 messages sent`));
  });

  it('asks before it sends, and sends nothing with --dry-run or where there is nothing', async () => {
    const { run, bodies } = startWorld();
    const empty = join(await newFolder(), 'ids');
    await writeFile(empty, '');

    const refused = await run({ since: '12h' });
    const agreed = await run({ since: '12h' }, { answer: true });
    const sent = bodies('spans').length;
    const dry = await run({ since: '12h', dryRun: true });
    const nothing = await run({ ids: empty });

    expect([refused, agreed].map(({ questions }) => questions)).toEqual([['Send them?'], ['Send them?']]);
    expect(refused.noted).toContain('Nothing was sent.');
    expect(agreed.records.at(-1)).toMatchObject({ type: 'sent' });
    expect([...dry.questions, ...nothing.questions]).toEqual([]);
    expect(nothing).toMatchObject({ exitCode: 0, records: [{ type: 'plan', documents: 0, messages: 0 }] });
    expect(bodies('spans')).toHaveLength(sent);
  });
});

describe('archiver backfill --watch', () => {
  const counts = {
    DocumentsFound: 10,
    DocumentsQueued: 9,
    DocumentsArchived: 7,
    DocumentsAlreadyArchived: 3,
    BytesArchived: 4_000_000,
  };
  /** What was counted in the minute of the start, before it. */
  const before = {
    DocumentsFound: 1,
    DocumentsQueued: 1,
    DocumentsArchived: 1,
    DocumentsAlreadyArchived: 1,
    BytesArchived: 1_000_000,
  };

  it('ends when its lanes have been empty for as long as counts may be late', async () => {
    const { run, at, time, sinces, unstopped } = startWorld({
      counted: (look) => (look === 1 ? before : counts),
    });
    const started = time.monotonic();
    time.after(12_000, () => at('spans').splice(0));

    const told = await run({ since: '1h', watch: true, yes: true });

    // Looked at every five seconds: empty from the 15th on, for 60.
    expect(time.monotonic() - started).toBe(75_000);
    expect(told.exitCode).toBe(0);
    expect(told.records.filter(({ type }) => type === 'watch')).toHaveLength(15);
    expect(told.records.find(({ type }) => type === 'watch')).toEqual({
      type: 'watch',
      found: 9,
      queued: 8,
      archived: 6,
      alreadyArchived: 2,
      deadLetters: 0,
      seconds: 0,
      spans: 1,
      waiting: 0,
    });
    expect(told.records.at(-1)).toEqual({
      type: 'end',
      found: 9,
      queued: 8,
      archived: 6,
      alreadyArchived: 2,
      deadLetters: 0,
      seconds: 75,
      unaccounted: 0,
      failed: 0,
    });
    expect(told.printed).toContain(
      '6 archived, 2 already archived, none failed, in 75 s. Archived documents are counted in all lanes.',
    );
    expect(told.printed).not.toContain('To see why');
    expect(told.noted).toBe('');
    expect(unstopped()).toBe(0);
    expect(new Set(sinces)).toEqual(new Set([Math.floor(now / 60_000) * 60_000]));
    expect(told.progress.at(-1)).toEqual({
      ended: 8,
      total: 8,
      text: '9 found · 8 queued · 6 archived (3.0 MB) · 0 dead letters · 0.1/s',
    });
  });

  it('shows the spans that are left, and then how many documents there are', async () => {
    const { run, at, put, time } = startWorld({
      counted: (look) => (look === 1 ? before : { ...counts, DocumentsArchived: 601 }),
    });
    time.after(7_000, () => {
      at('spans').splice(0);
      for (let n = 0; n < 30; n += 1) put('backfill', 'x');
    });
    time.after(22_000, () => at('backfill').splice(0));

    const { progress } = await run({ since: '1h', watch: true, yes: true });

    expect(progress).toContainEqual({
      ended: 8,
      total: undefined,
      text: '1 span left to list · 9 found · 8 queued · 600 archived (3.0 MB) · 0 dead letters · 120/s',
    });
    expect(progress).toContainEqual({
      ended: 0,
      total: 8,
      text: '9 found · 8 queued · 600 archived (3.0 MB) · 0 dead letters · 60/s',
    });
  });

  it('begins to wait anew when a lane is not empty any more', async () => {
    const { run, at, put, time } = startWorld();
    at('spans');
    time.after(2_000, () => at('spans').splice(0));
    time.after(32_000, () => put('backfill', 'x'));
    time.after(42_000, () => at('backfill').splice(0));

    const told = await run({ since: '1h', watch: true, yes: true });

    expect(told.records.at(-1)).toMatchObject({ type: 'end', seconds: 105, found: 0, queued: 0 });
  });

  it('tells new dead letters by document from those that were there before, and ends with 1', async () => {
    const rows = [2, 3, 4, 5, 6].map((n) => ({ id: idOf(n), createdAt: now - n * day }));
    // The other lanes archive hundreds meanwhile.
    const { run, at, put, time, receipts } = startWorld({
      rows,
      counted: (look) => ({ DocumentsArchived: 300 * look }),
    });
    receipts.push(`receipts/${idOf(5)}.json`);
    const letterFor = (n: number) =>
      put('backfill-dead', JSON.stringify({ v: 1, kind: 'document', documentId: idOf(n) }));
    letterFor(1);
    put('documents-dead', 'of another lane');
    time.after(3_000, () => {
      at('backfill').splice(0);
      for (const n of [2, 2, 3]) letterFor(n);
      // Of another backfill, and of a document that another message has archived.
      for (const n of [7, 4]) letterFor(n);
      receipts.push(`receipts/${idOf(4)}.json`);
    });

    const told = await run({ reference: 'PO-1', watch: true, yes: true });

    expect(told.exitCode).toBe(1);
    expect(told.records.at(-1)).toEqual({
      type: 'end',
      found: 5,
      queued: 5,
      archived: 1,
      alreadyArchived: 1,
      deadLetters: 3,
      failed: 2,
      unaccounted: 1,
      seconds: 65,
    });
    expect(told.printed).toContain(
      '1 archived, 1 already archived or erased, 2 documents (3 dead letters) failed, 1 neither archived nor failed, in 65 s.\n',
    );
    expect(told.progress).toContainEqual({
      ended: 0,
      total: 5,
      text: '0 of 5 processed · 0 dead letters · 0.0/s',
    });
    expect(told.progress).toContainEqual({
      ended: 5,
      total: 5,
      text: '5 of 5 processed · 5 dead letters · 1.0/s',
    });
    expect(told.printed).toContain('<red>To see why, run `npm run archiver -- redrive --dry-run`.');
    expect(at('backfill-dead').every(({ isVisible }) => isVisible)).toBe(true);
  });

  it('shows ten documents a second without decimals, and does not count the time before', async () => {
    const { run, at, time } = startWorld({
      counted: (look) => ({ DocumentsArchived: look === 1 ? 0 : 50 }),
    });
    await sleep(time, 7_000, never);
    time.after(2_000, () => at('spans').splice(0));

    const told = await run({ since: '1h', watch: true, yes: true });

    expect(told.progress).toContainEqual(
      expect.objectContaining({ text: expect.stringMatching(/ 50 archived .* · 10\/s$/) }),
    );
    expect(told.records.at(-1)).toMatchObject({ type: 'end', seconds: 65 });
  });

  it('goes on while both of its lanes have the same number of messages', async () => {
    const { run, at, put, time } = startWorld();
    put('backfill', 'x');
    time.after(100_000, () => {
      at('spans').splice(0);
      at('backfill').splice(0);
    });

    const told = await run({ since: '1h', watch: true, yes: true });

    expect(told.records.at(-1)).toMatchObject({ type: 'end', seconds: 160 });
  });

  it('does not count what had failed before as failures of a span', async () => {
    const { run, at, put, time } = startWorld();
    put('spans-dead', 'x');
    time.after(3_000, () => {
      at('spans').splice(0);
      put('spans-dead', 'y');
    });

    const told = await run({ since: '1h', watch: true, yes: true });

    expect(told.records.at(-1)).toMatchObject({ type: 'end', deadLetters: 1, failed: 1 });
  });

  it('says that it may count dead letters that another command has locked', async () => {
    const { run, at, put, time } = startWorld();
    put('spans-dead', 'x').isVisible = false;
    time.after(3_000, () => at('spans').splice(0));

    const { noted } = await run({ since: '1h', watch: true, yes: true });

    expect(noted).toBe(
      '1 dead letter is in use by another command (counted by SQS, up to a minute late).\n' +
        'If that command has ended, it is visible again by 12:11 UTC.\n' +
        'This backfill may count them as its own failures.\n',
    );
  });

  it.each([
    [1, 0],
    [0, 1],
    [1, 1],
  ])('ends with 1 for %i dead letters and %i documents without a trace', async (deadLetters, unaccounted) => {
    const ids = Array.from({ length: deadLetters + unaccounted }, (_, n) => idOf(n));
    const { run, at, put, time } = startWorld({ rows: ids.map((id) => ({ id, createdAt: now - day })) });
    time.after(3_000, () => {
      at('backfill').splice(0);
      for (const documentId of ids.slice(0, deadLetters))
        put('backfill-dead', JSON.stringify({ v: 1, kind: 'document', documentId }));
    });

    const told = await run({ reference: 'PO-1', watch: true, yes: true });

    expect(told.exitCode).toBe(1);
    expect(told.records.at(-1)).toMatchObject({ deadLetters, unaccounted });
  });

  it('counts dead letters that somebody else keeps locked at the end', async () => {
    const { run, at, put, time } = startWorld();
    time.after(3_000, () => {
      at('spans').splice(0);
      put('spans-dead', 'x').isVisible = false;
    });

    const told = await run({ since: '1h', watch: true, yes: true });

    expect(told.exitCode).toBe(1);
    expect(told.records.at(-1)).toMatchObject({ deadLetters: 1, failed: 0 });
  });

  it('reads dead letters only where it watches', async () => {
    const { run, commands } = startWorld();

    await run({ since: '1h', yes: true });

    expect(commands.filter((command) => command instanceof ReceiveMessageCommand)).toEqual([]);
  });
});

it('The options of backfill are passed on as they are typed.', () => {
  const command = backfillCommand.configure(new Command('backfill').exitOverride()) as unknown as Command;

  const parsed = command.parse(['--since', '2d', '--until', '1d', '--dry-run', '--yes', '--watch'], {
    from: 'user',
  });

  expect(backfillOptions(parsed.opts(), now)).toEqual({
    selection: { by: 'span', from: now - 2 * day, to: now - day },
    yes: true,
    dryRun: true,
    watch: true,
  });
  expect(backfillOptions({ all: true }, now)).toEqual({
    selection: { by: 'span', from: undefined, to: now },
    yes: false,
    dryRun: false,
    watch: false,
  });
  expect(() => backfillOptions({ since: '1d', until: '1d' }, now)).toThrow(
    '--since must be earlier than --until.',
  );
});

it.each([
  [{}, /^Pass exactly one of --since, --all, --ids and --reference\.$/],
  [{ since: '1d', all: true }, /^Pass exactly one of --since/],
  [{ all: true, until: '1d' }, /^--until requires --since\.$/],
  [{ since: '1d', until: '2d' }, /^--since must be earlier than --until\.$/],
  [{ since: 'soon' }, /^--since soon: must be a date/],
  [{ since: '1d', until: 'soon' }, /^--until soon: must be a date/],
])('backfill rejects the options %j.', (parsed, message) => {
  expect(() => backfillOptions(parsed, now)).toThrow(message);
});

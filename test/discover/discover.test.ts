import { describe, expect, it, vi } from 'vitest';
import { ArchiverError } from '../../functions/errors.ts';
import type { DiscoveryMessage } from '../../functions/queue/messages.ts';
import { createWorld, documentId, minutes, noon, recent, someDocuments, span, type World } from './world.ts';

const seconds = 1_000;
const hours = 60 * minutes;
/** Not a multiple of five minutes: this sweep reads only the last two minutes. */
const requestedAt = noon + 7 * minutes;

/** Does the archive function's work: writes a receipt for each queued document and empties the queue. */
function archiveQueued(world: World): string[] {
  const ids = world.queued();
  for (const id of ids) world.archive(id);
  world.sent.length = 0;
  return ids;
}

describe('a sweep', () => {
  it('queues documents without a receipt in the live lane with the trigger sweep', async () => {
    const [archived, fresh] = someDocuments(2, requestedAt, seconds);
    const world = createWorld({
      documents: someDocuments(2, requestedAt, seconds),
      archived: [archived?.id ?? ''],
    });

    const result = await world.discover(recent(requestedAt));

    expect(world.sent).toEqual([
      {
        queueUrl: 'documents',
        message: {
          v: 1,
          kind: 'document',
          documentId: fresh?.id,
          trigger: 'sweep',
          requestedAt: new Date(requestedAt).toISOString(),
        },
      },
    ]);
    expect(result).toMatchObject({ found: 2, queued: 1, overdue: 0, requests: 2 });
    expect(world.counted('SweepsCompleted')).toBe(1);
    expect(world.counted('DocumentsFound')).toBe(2);
    expect(world.counted('DocumentsQueued')).toBe(1);
  });

  it('needs one request to Telnyx for its documents and at most three listings for ten archived documents', async () => {
    const documents = someDocuments(10, requestedAt, seconds);
    const world = createWorld({ documents, archived: documents.map(({ id }) => id) });

    await world.discover(recent(requestedAt));

    expect(world.requested).toHaveLength(1);
    expect(world.listings()).toBeLessThanOrEqual(3);
  });

  it('accepts an empty list only after a second request confirms it', async () => {
    const world = createWorld({
      documents: someDocuments(3, requestedAt, seconds),
      step: (request) => ({ fault: request === 1 ? 'empty' : undefined }),
    });
    const empty = createWorld();

    await world.discover(recent(requestedAt));
    await empty.discover(recent(requestedAt));

    expect(world.sent).toHaveLength(3);
    expect(empty.requested).toHaveLength(2);
    expect(empty.counted('SweepsCompleted')).toBe(1);
  });

  it('queues the documents of each page before it requests the next one', async () => {
    const documents = someDocuments(100, requestedAt, seconds);
    const world = createWorld({ documents });
    const sentBeforeCall: number[] = [];
    world.calls.before = () => {
      sentBeforeCall.push(world.sent.length);
    };

    await world.discover(recent(requestedAt));

    expect(new Set(sentBeforeCall).size).toBeGreaterThanOrEqual(3);
    expect(
      world.queued().slice(
        0,
        sentBeforeCall.find((sent) => sent > 0),
      ),
    ).toContain(documents[0]?.id);
  });

  it('counts each document of 10 to 15 minutes without a receipt as overdue in exactly one five-minute sweep', async () => {
    const age = (minutesOld: number, number: number) => ({
      id: documentId(number),
      createdAt: noon - minutesOld * minutes,
    });
    const world = createWorld({
      documents: [age(3, 1), age(10, 2), age(12, 3), age(14.9, 4), age(15, 5), age(20, 6)],
      archived: [documentId(3)],
    });

    const first = await world.discover(recent(noon));
    const between = await world.discover(recent(noon + minutes));
    const next = await world.discover(recent(noon + 5 * minutes));

    expect([first.overdue, between.overdue, next.overdue]).toEqual([2, 0, 0]);
    expect(world.counted('DocumentsOverdue')).toBe(2);
  });

  it('queues documents younger than 2 minutes, of 14 to 24 minutes and of 25 to 26 hours at the full hour', async () => {
    const ages = [0, 1.9, 2.1, 13.9, 14, 23.9, 24.1, 25 * 60 - 0.1, 25 * 60, 26 * 60 - 0.1, 26 * 60 + 0.1];
    const documents = ages.map((age, number) => ({
      id: documentId(number),
      createdAt: noon - age * minutes,
    }));
    const world = createWorld({ documents });

    await world.discover(recent(noon));

    const queued = new Set(world.queued());
    expect(ages.filter((_age, number) => queued.has(documentId(number)))).toEqual([
      0,
      1.9,
      14,
      23.9,
      25 * 60,
      26 * 60 - 0.1,
    ]);
  });

  it('neither queues nor counts as overdue documents that the list shows as infected or too large', async () => {
    const documents = [noon, noon - 11 * minutes, noon - 12 * minutes].map((createdAt, number) => ({
      id: documentId(number),
      createdAt,
    }));
    const rowOf = ({ id, createdAt }: { id: string; createdAt: number }) => ({
      id,
      created_at: new Date(createdAt).toISOString(),
      ...(id === documentId(2) ? { size: { unit: 'bytes', amount: 1_001 } } : { av_scan_status: 'infected' }),
    });
    const world = createWorld({ documents, rowOf, overrides: { maxDocumentBytes: 1_000 } });
    const archivesInfected = createWorld({ documents, rowOf, overrides: { archiveInfected: true } });

    const result = await world.discover(recent(noon));
    await archivesInfected.discover(recent(noon));

    expect(result).toMatchObject({ queued: 0, leftOut: 3, overdue: 0 });
    expect(archivesInfected.queued()).toEqual([documentId(0)]);
    expect(archivesInfected.counted('DocumentsOverdue')).toBe(2);
  });

  it('queues a document that is never archived at most six times', async () => {
    const createdAt = noon + 37 * seconds;
    const world = createWorld({ documents: [{ id: documentId(1), createdAt }] });

    for (let at = noon; at < noon + 27 * hours; at += minutes) {
      world.time.set(at + 2 * seconds);
      await world.discover(recent(at));
    }

    expect(world.queued().length).toBeGreaterThanOrEqual(5);
    expect(world.queued().length).toBeLessThanOrEqual(6);
    expect(world.counted('DocumentsOverdue')).toBe(1);
    expect(world.counted('SweepsCompleted')).toBe(27 * 60);
  });

  it('skips a sweep that is more than 30 minutes late: no requests, and SweepsCompleted is not counted', async () => {
    const late = createWorld({ documents: someDocuments(3, requestedAt, seconds) });
    const inTime = createWorld({ documents: someDocuments(3, requestedAt, seconds) });
    late.time.set(requestedAt + 30 * minutes + 1);
    inTime.time.set(requestedAt + 30 * minutes);

    const result = await late.discover(recent(requestedAt));
    await inTime.discover(recent(requestedAt));

    expect(result).toMatchObject({ found: 0, queued: 0, requests: 0 });
    expect(late.counted('SweepsCompleted')).toBe(0);
    expect(inTime.queued()).toHaveLength(3);
  });

  it('continues after rows without a valid id', async () => {
    const world = createWorld({
      documents: someDocuments(3, requestedAt, seconds),
      rowOf: ({ id, createdAt }) => {
        if (id === documentId(0))
          return { id: id.toUpperCase(), created_at: new Date(createdAt).toISOString() };
        return id === documentId(1) ? 'not a row' : { id, created_at: 'not a date' };
      },
    });

    const result = await world.discover(recent(requestedAt));

    expect(world.queued()).toEqual([documentId(2)]);
    expect(result).toMatchObject({ found: 1, unreadable: 2 });
    expect(world.counted('SweepsCompleted')).toBe(1);
  });

  it('counts a row with an invalid id as overdue by its created_at', async () => {
    const documents = [12, 18, 20].map((age, number) => ({
      id: documentId(number),
      createdAt: noon - age * minutes,
    }));
    const world = createWorld({
      documents,
      archived: [documentId(1)],
      rowOf: ({ id, createdAt }) => ({
        id: id === documentId(1) ? id : 'unreadable',
        created_at: new Date(createdAt).toISOString(),
      }),
    });

    expect(await world.discover(recent(noon))).toMatchObject({ found: 1, unreadable: 2, overdue: 1 });
    expect(world.counted('DocumentsOverdue')).toBe(1);
  });

  it('fails with UnexpectedResponse if no row has a valid id', async () => {
    const world = createWorld({
      documents: someDocuments(3, requestedAt, seconds),
      rowOf: ({ id }) => ({ identifier: id }),
    });

    const promise = world.discover(recent(requestedAt));

    await expect(promise).rejects.toMatchObject({ code: 'UnexpectedResponse' });
    expect(world.counted('SweepsCompleted')).toBe(0);
  });

  it('queues documents in its range and fails with UnexpectedResponse if Telnyx ignores the filter', async () => {
    const documents = someDocuments(300, requestedAt, 24 * hours);
    const world = createWorld({ documents, filtered: () => requestedAt });

    const promise = world.discover(recent(requestedAt));

    await expect(promise).rejects.toMatchObject({ code: 'UnexpectedResponse' });
    expect(world.queued()).toEqual([documents[0]?.id]);
    expect(world.counted('SweepsCompleted')).toBe(0);
  });

  it('repeats a request when the response repeats the previous one', async () => {
    const documents = someDocuments(100, requestedAt, seconds);
    const world = createWorld({
      documents,
      step: (request) => ({ fault: request % 2 === 0 ? 'repeated' : undefined }),
    });

    await world.discover(recent(requestedAt));

    expect(new Set(world.queued())).toEqual(new Set(documents.map(({ id }) => id)));
  });

  it('repeats a request when a page of a single second contains documents of another time', async () => {
    const documents = someDocuments(100, requestedAt, 0);
    const world = createWorld({
      documents,
      pageRows: 20,
      step: (request) => ({ fault: request % 2 === 0 ? 'unfiltered' : undefined }),
    });

    await world.discover(recent(requestedAt));

    expect(new Set(world.queued())).toEqual(new Set(documents.map(({ id }) => id)));
  });

  it('queues what it found and fails if all further pages of a single second contain documents of another time', async () => {
    const documents = someDocuments(100, requestedAt, 0);
    const world: World = createWorld({
      documents,
      pageRows: 20,
      step: () => ({
        fault: world.requested.at(-1)?.query.get('page[number]') === '1' ? undefined : 'unfiltered',
      }),
    });

    const promise = world.discover(recent(requestedAt));

    await expect(promise).rejects.toMatchObject({ code: 'UnexpectedResponse' });
    expect(world.queued()).toHaveLength(20);
    expect(world.counted('SweepsCompleted')).toBe(0);
  });

  it('detects a response repeated from before a failure when it reads the list again', async () => {
    const documents = someDocuments(100, requestedAt, seconds);
    // Applied after the first page: a failure, then the response from before it.
    const faults = ['nonsense', 'repeated'] as const;
    let next = 0;
    const world: World = createWorld({
      documents,
      pageRows: 20,
      step: () => {
        if (world.queued().length === 0) return {};
        next += 1;
        return { fault: faults[next - 1] };
      },
    });

    await world.discover(recent(requestedAt));

    expect(new Set(world.queued())).toEqual(new Set(documents.map(({ id }) => id)));
  });

  it('reads a shorter time range when a response is too large', async () => {
    const documents = someDocuments(40, requestedAt, 2 * seconds);
    const world: World = createWorld({
      documents,
      step: () => {
        const { query } = world.requested.at(-1) ?? {};
        const from = Date.parse(query?.get('filter[created_at][gt]') ?? '');
        const to = Date.parse(query?.get('filter[created_at][lt]') ?? '');
        const rows = documents.filter(({ createdAt }) => createdAt > from && createdAt < to);
        return { fault: rows.length > 10 ? 'too-large' : undefined };
      },
    });

    await world.discover(recent(requestedAt));

    expect(new Set(world.queued())).toEqual(new Set(documents.map(({ id }) => id)));
    expect(world.counted('SweepsCompleted')).toBe(1);
  });

  it.each(['2026-11-25', '5', '2026', 'Nov 25', '-1', '2026-11-24T12:07', 7, { at: 1 }])(
    'queues all documents of a page when one has the invalid created_at %j',
    async (createdAt) => {
      const documents = someDocuments(3, requestedAt, seconds);
      const world = createWorld({
        documents,
        rowOf: ({ id, createdAt: instant }) => ({
          id,
          created_at: id === documentId(1) ? createdAt : new Date(instant).toISOString(),
        }),
      });

      await world.discover(recent(requestedAt));

      expect(new Set(world.queued())).toEqual(new Set(documents.map(({ id }) => id)));
    },
  );

  it('continues after a row whose id is nested 200,000 levels deep', async () => {
    let deep: unknown = 'core';
    for (let level = 0; level < 200_000; level += 1) deep = [deep];
    const world = createWorld({
      documents: someDocuments(3, requestedAt, seconds),
      rowOf: ({ id, createdAt }) => ({
        id: id === documentId(1) ? deep : id,
        created_at: new Date(createdAt).toISOString(),
      }),
    });

    const result = await world.discover(recent(requestedAt));

    expect(result).toMatchObject({ queued: 2, unreadable: 1 });
  });

  it('waits for the rate limit instead of failing', async () => {
    const documents = someDocuments(200, requestedAt, 500);
    const world = createWorld({
      documents,
      step: (request) => ({ fault: request % 3 === 0 ? 'rate-limited' : undefined }),
    });
    const before = world.time.monotonic();

    await world.discover(recent(requestedAt));

    const rateLimited = Math.floor(world.requested.length / 3);
    expect(world.sent).toHaveLength(200);
    expect(world.time.monotonic() - before).toBeGreaterThanOrEqual(rateLimited * 1_000);
  });
});

describe('consecutive sweeps', () => {
  it('find all documents within 30 minutes of their upload after 20 minutes without sweeps', async () => {
    const documents = someDocuments(200, noon + 20 * minutes, 6 * seconds);
    const world = createWorld({ documents });
    const queued: string[] = [];

    for (let at = noon + 20 * minutes; at < noon + 45 * minutes; at += minutes) {
      world.time.set(at);
      await world.discover(recent(at));
      queued.push(...archiveQueued(world));
    }

    expect(new Set(queued)).toEqual(new Set(documents.map(({ id }) => id)));
  });

  it('queue each document once when 30 minutes of sweeps waited in the queue', async () => {
    const documents = someDocuments(180, noon, 10 * seconds);
    const world = createWorld({ documents, start: noon });
    const queued: string[] = [];

    for (let at = noon - 29 * minutes; at <= noon; at += minutes) {
      await world.discover(recent(at));
      queued.push(...archiveQueued(world));
    }

    expect(new Set(queued).size).toBe(180);
    expect(queued).toHaveLength(180);
  });

  it('each queue a document at most once when two overlap', async () => {
    const documents = someDocuments(60, requestedAt, seconds);
    const world = createWorld({ documents });

    await Promise.all([world.discover(recent(requestedAt)), world.discover(recent(requestedAt + 1))]);

    const times = new Map<string, number>();
    for (const id of world.queued()) times.set(id, (times.get(id) ?? 0) + 1);
    expect(times.size).toBe(60);
    expect([...times.values()].every((count) => count <= 2)).toBe(true);
  });
});

describe('a run that is stopped', () => {
  const kinds: Record<string, DiscoveryMessage> = {
    recent: recent(requestedAt),
    span: span(noon - hours, noon + hours),
  };

  it.each(Object.entries(kinds))(
    'at any call loses no document and queues no archived one when run again (%s message)',
    async (_, message) => {
      const documents = someDocuments(90, requestedAt, 1_300);
      const archived = documents.filter((_document, number) => number % 3 === 0).map(({ id }) => id);
      const complete = createWorld({ documents, archived, pageRows: 25 });
      await complete.discover(message);

      for (let stopAt = 1; stopAt <= complete.calls.count; stopAt += 1) {
        const world = createWorld({ documents, archived, pageRows: 25 });
        world.calls.before = (count) => {
          if (count >= stopAt) throw new Error('Killed.');
        };
        await expect(world.discover(message)).rejects.toMatchObject({ code: 'Unexpected' });
        const before = archiveQueued(world);
        world.calls.before = () => undefined;
        await world.discover(message);

        const queued = [...before, ...world.queued()];
        expect(queued).toHaveLength(60);
        expect(new Set([...queued, ...archived]).size).toBe(90);
      }
    },
  );

  it('by its signal at any call fails with the signal’s reason', async () => {
    const documents = someDocuments(90, requestedAt, 1_300);
    const complete = createWorld({ documents, pageRows: 25 });
    await complete.discover(recent(requestedAt));

    for (let stopAt = 1; stopAt <= complete.calls.count; stopAt += 1) {
      const world = createWorld({ documents, pageRows: 25 });
      const abort = new AbortController();
      world.calls.before = (count) => {
        if (count === stopAt) abort.abort(new ArchiverError('OutOfTime', 'The time is over.'));
      };
      const promise = world.discover(recent(requestedAt), abort.signal);

      await expect(promise).rejects.toMatchObject({ code: 'OutOfTime' });
      expect(world.counted('SweepsCompleted')).toBe(0);
    }
  });
});

describe('a span', () => {
  it('queues documents in the backfill lane and counts none as overdue', async () => {
    const documents = someDocuments(50, noon, hours);
    const world = createWorld({ documents });

    const result = await world.discover(span(noon - 24 * hours, noon));

    expect(new Set(world.sent.map(({ queueUrl }) => queueUrl))).toEqual(new Set(['backfill']));
    expect(world.sent[0]?.message).toMatchObject({ trigger: 'backfill' });
    expect(world.queued()).toEqual(
      expect.arrayContaining(
        documents.filter(({ createdAt }) => createdAt >= noon - 24 * hours).map(({ id }) => id),
      ),
    );
    expect(result.queued).toBe(25);
    expect(world.counted('DocumentsOverdue')).toBe(0);
    expect(world.counted('SweepsCompleted')).toBe(0);
  });

  it('includes documents created at either boundary, so that adjacent spans leave no gap', async () => {
    const documents = [noon - hours, noon].map((createdAt, number) => ({
      id: documentId(number),
      createdAt,
    }));
    const world = createWorld({ documents });

    await world.discover(span(noon - hours, noon));

    expect(world.sent).toHaveLength(2);
  });

  it('that ends before it begins fails with MalformedMessage and makes no request', async () => {
    const world = createWorld();

    const promise = world.discover(span(noon, noon - hours));

    await expect(promise).rejects.toMatchObject({ code: 'MalformedMessage' });
    expect(world.requested).toHaveLength(0);
  });

  it('of centuries needs fewer than 80 requests for 1,000 documents', async () => {
    const world = createWorld({ documents: someDocuments(1_000, noon, hours) });

    await world.discover(span(Date.parse('1000-01-01T00:00:00Z'), noon + 8_000 * hours));

    expect(world.sent).toHaveLength(1_000);
    expect(world.requested.length).toBeLessThan(80);
  });

  it('queues the documents found before Telnyx becomes unavailable', async () => {
    const world = createWorld({
      documents: someDocuments(400, noon, minutes),
      step: (request) => ({ fault: request > 8 ? 'unavailable' : undefined }),
    });

    const promise = world.discover(span(noon - 24 * hours, noon));

    await expect(promise).rejects.toMatchObject({ code: 'TelnyxUnavailable' });
    expect(world.sent.length).toBeGreaterThan(0);
    expect(world.counted('DocumentsQueued')).toBe(world.sent.length);
  });

  it('fails with the error of the queue', async () => {
    const world = createWorld({
      documents: someDocuments(40, noon, minutes),
      overrides: { send: () => Promise.reject(new ArchiverError('QueueUnavailable', 'SQS is unavailable.')) },
    });

    const promise = world.discover(span(noon - 24 * hours, noon));

    await expect(promise).rejects.toMatchObject({ code: 'QueueUnavailable' });
  });

  it('sends the documents only once when the queue fails', async () => {
    const send = vi.fn().mockRejectedValue(new ArchiverError('QueueUnavailable', 'No response from SQS.'));
    const world = createWorld({ documents: someDocuments(25, noon, minutes), overrides: { send } });

    await expect(world.discover(span(noon - hours, noon))).rejects.toMatchObject({
      code: 'QueueUnavailable',
    });

    expect(send).toHaveBeenCalledOnce();
  });

  it('stops at the deadline when the list never ends', async () => {
    let number = 0;
    const documents = Array.from({ length: 20_000 }, () => ({ id: documentId(0), createdAt: noon }));
    const world = createWorld({
      pageRows: 20,
      rowOf: () => {
        number += 1;
        return { id: documentId(number), created_at: new Date(noon).toISOString() };
      },
      arrange: () => documents,
    });
    const abort = new AbortController();
    world.time.after(30_000, () => abort.abort(new ArchiverError('OutOfTime', 'The time is over.')));

    const promise = world.discover(span(noon - hours, noon), abort.signal);

    await expect(promise).rejects.toMatchObject({ code: 'OutOfTime' });
  });
});

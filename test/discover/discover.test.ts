import { describe, expect, it, vi } from 'vitest';
import { ArchiverError } from '../../functions/errors.ts';
import type { DiscoveryMessage } from '../../functions/queue/messages.ts';
import { createWorld, documentId, minutes, noon, recent, someDocuments, span, type World } from './world.ts';

const seconds = 1_000;
const hours = 60 * minutes;
/** Neither a fifth minute's sweep nor the first of its hour: it reads the last two minutes alone. */
const requestedAt = noon + 7 * minutes;

/** As the archive function would: every document in a queue gets its receipt, and the queue is empty. */
function archiveQueued(world: World): string[] {
  const ids = world.queued();
  for (const id of ids) world.archive(id);
  world.sent.length = 0;
  return ids;
}

describe('a sweep', () => {
  it('queues what has no receipt, as a live document that the sweep has found', async () => {
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
    expect(result).toMatchObject({ found: 2, queued: 1, overdue: 0, requests: 1 });
    expect(world.counted('SweepsCompleted')).toBe(1);
    expect(world.counted('DocumentsFound')).toBe(2);
    expect(world.counted('DocumentsQueued')).toBe(1);
  });

  it('takes one request to Telnyx and one listing where there is little to see', async () => {
    const documents = someDocuments(10, requestedAt, seconds);
    const world = createWorld({ documents, archived: documents.map(({ id }) => id) });

    await world.discover(recent(requestedAt));

    expect(world.requested).toHaveLength(1);
    expect(world.listings()).toBeLessThanOrEqual(3);
  });

  it('believes an empty list when it comes empty twice', async () => {
    const world = createWorld({
      documents: someDocuments(3, requestedAt, seconds),
      step: (request) => ({ fault: request === 1 ? 'empty' : undefined }),
    });
    const nothing = createWorld();

    await world.discover(recent(requestedAt));
    await nothing.discover(recent(requestedAt));

    expect(world.sent).toHaveLength(3);
    expect(nothing.requested).toHaveLength(2);
    expect(nothing.counted('SweepsCompleted')).toBe(1);
  });

  it('queues what it has seen before it goes on reading', async () => {
    const documents = someDocuments(100, requestedAt, seconds);
    const world = createWorld({ documents });
    const sentWhenAsked: number[] = [];
    world.calls.before = () => {
      sentWhenAsked.push(world.sent.length);
    };

    await world.discover(recent(requestedAt));

    expect(new Set(sentWhenAsked).size).toBeGreaterThanOrEqual(3);
    expect(
      world.queued().slice(
        0,
        sentWhenAsked.find((sent) => sent > 0),
      ),
    ).toContain(documents[0]?.id);
  });

  it('counts documents of 10 to 15 minutes without a receipt as overdue, each at one five-minute sweep only', async () => {
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

  it('gives what is 14 to 24 minutes old a second chance every fifth minute, and what is 25 hours old a last one', async () => {
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

  it('does not queue, and does not call overdue, what the list shows cannot be archived', async () => {
    const documents = [noon, noon - 11 * minutes, noon - 12 * minutes].map((createdAt, number) => ({
      id: documentId(number),
      createdAt,
    }));
    const show = ({ id, createdAt }: { id: string; createdAt: number }) => ({
      id,
      created_at: new Date(createdAt).toISOString(),
      ...(id === documentId(2) ? { size: { unit: 'bytes', amount: 1_001 } } : { av_scan_status: 'infected' }),
    });
    const world = createWorld({ documents, show, overrides: { maxDocumentBytes: 1_000 } });
    const takesAll = createWorld({ documents, show, overrides: { archiveInfected: true } });

    const result = await world.discover(recent(noon));
    await takesAll.discover(recent(noon));

    expect(result).toMatchObject({ queued: 0, leftOut: 3, overdue: 0 });
    expect(takesAll.queued()).toEqual([documentId(0)]);
    expect(takesAll.counted('DocumentsOverdue')).toBe(2);
  });

  it('queues a document that is never settled six times at most, however many sweeps see it', async () => {
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

  it('acknowledges a sweep that comes too late without a request, and counts no heartbeat for it', async () => {
    const late = createWorld({ documents: someDocuments(3, requestedAt, seconds) });
    const justInTime = createWorld({ documents: someDocuments(3, requestedAt, seconds) });
    late.time.set(requestedAt + 30 * minutes + 1);
    justInTime.time.set(requestedAt + 30 * minutes);

    const result = await late.discover(recent(requestedAt));
    await justInTime.discover(recent(requestedAt));

    expect(result).toMatchObject({ found: 0, queued: 0, requests: 0 });
    expect(late.counted('SweepsCompleted')).toBe(0);
    expect(justInTime.queued()).toHaveLength(3);
  });

  it('goes on where a row cannot be read', async () => {
    const world = createWorld({
      documents: someDocuments(3, requestedAt, seconds),
      show: ({ id, createdAt }) => {
        if (id === documentId(0))
          return { id: id.toUpperCase(), created_at: new Date(createdAt).toISOString() };
        return id === documentId(1) ? 'what is this' : { id, created_at: 'no instant' };
      },
    });

    const result = await world.discover(recent(requestedAt));

    expect(world.queued()).toEqual([documentId(2)]);
    expect(result).toMatchObject({ found: 1, unreadable: 2 });
    expect(world.counted('SweepsCompleted')).toBe(1);
  });

  it('calls a document of twelve minutes overdue although its id cannot be read, one of twenty not', async () => {
    const documents = [12, 18, 20].map((age, number) => ({
      id: documentId(number),
      createdAt: noon - age * minutes,
    }));
    const world = createWorld({
      documents,
      archived: [documentId(1)],
      show: ({ id, createdAt }) => ({
        id: id === documentId(1) ? id : 'unreadable',
        created_at: new Date(createdAt).toISOString(),
      }),
    });

    expect(await world.discover(recent(noon))).toMatchObject({ found: 1, unreadable: 2, overdue: 1 });
    expect(world.counted('DocumentsOverdue')).toBe(1);
  });

  it('fails where no row at all can be read', async () => {
    const world = createWorld({
      documents: someDocuments(3, requestedAt, seconds),
      show: ({ id }) => ({ identifier: id }),
    });

    const sweeping = world.discover(recent(requestedAt));

    await expect(sweeping).rejects.toMatchObject({ code: 'UnexpectedResponse' });
    expect(world.counted('SweepsCompleted')).toBe(0);
  });

  it('queues what is fresh and fails where Telnyx does not heed the filter', async () => {
    const documents = someDocuments(300, requestedAt, 24 * hours);
    const world = createWorld({ documents, filtered: () => requestedAt });

    const sweeping = world.discover(recent(requestedAt));

    await expect(sweeping).rejects.toMatchObject({ code: 'UnexpectedResponse' });
    expect(world.queued()).toEqual([documents[0]?.id]);
    expect(world.counted('SweepsCompleted')).toBe(0);
  });

  it('asks again where an answer belongs to another question', async () => {
    const documents = someDocuments(100, requestedAt, seconds);
    const world = createWorld({
      documents,
      step: (request) => ({ fault: request % 2 === 0 ? 'repeated' : undefined }),
    });

    await world.discover(recent(requestedAt));

    expect(new Set(world.queued())).toEqual(new Set(documents.map(({ id }) => id)));
  });

  it('asks again where a page of a crowded second holds documents of another time', async () => {
    const documents = someDocuments(100, requestedAt, 0);
    const world = createWorld({
      documents,
      pageRows: 20,
      step: (request) => ({ fault: request % 2 === 0 ? 'unfiltered' : undefined }),
    });

    await world.discover(recent(requestedAt));

    expect(new Set(world.queued())).toEqual(new Set(documents.map(({ id }) => id)));
  });

  it('queues what it sees and fails where the further pages of a crowded second are always of another time', async () => {
    const documents = someDocuments(100, requestedAt, 0);
    const world: World = createWorld({
      documents,
      pageRows: 20,
      step: () => ({
        fault: world.requested.at(-1)?.query.get('page[number]') === '1' ? undefined : 'unfiltered',
      }),
    });

    const sweeping = world.discover(recent(requestedAt));

    await expect(sweeping).rejects.toMatchObject({ code: 'UnexpectedResponse' });
    expect(world.queued()).toHaveLength(20);
    expect(world.counted('SweepsCompleted')).toBe(0);
  });

  it('does not take an answer from before a failure for the list, when it reads again', async () => {
    const documents = someDocuments(100, requestedAt, seconds);
    // Once a part of the list is read: a failure, and then the answer of before.
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

  it('reads a list whose answer is too large in smaller pieces', async () => {
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
    'queues a document whose created_at is not an instant (%j), and its neighbours',
    async (createdAt) => {
      const documents = someDocuments(3, requestedAt, seconds);
      const world = createWorld({
        documents,
        show: ({ id, createdAt: instant }) => ({
          id,
          created_at: id === documentId(1) ? createdAt : new Date(instant).toISOString(),
        }),
      });

      await world.discover(recent(requestedAt));

      expect(new Set(world.queued())).toEqual(new Set(documents.map(({ id }) => id)));
    },
  );

  it('goes on where a row without an id is nested 200,000 levels deep', async () => {
    let deep: unknown = 'core';
    for (let level = 0; level < 200_000; level += 1) deep = [deep];
    const world = createWorld({
      documents: someDocuments(3, requestedAt, seconds),
      show: ({ id, createdAt }) => ({
        id: id === documentId(1) ? deep : id,
        created_at: new Date(createdAt).toISOString(),
      }),
    });

    const result = await world.discover(recent(requestedAt));

    expect(result).toMatchObject({ queued: 2, unreadable: 1 });
  });

  it('slows down at a rate limit instead of failing', async () => {
    const documents = someDocuments(200, requestedAt, 500);
    const world = createWorld({
      documents,
      step: (request) => ({ fault: request % 3 === 0 ? 'rate-limited' : undefined }),
    });
    const before = world.time.monotonic();

    await world.discover(recent(requestedAt));

    const refused = Math.floor(world.requested.length / 3);
    expect(world.sent).toHaveLength(200);
    expect(world.time.monotonic() - before).toBeGreaterThanOrEqual(refused * 1_000);
  });
});

describe('sweeps after each other', () => {
  it('find all that a silence of 20 minutes hid, inside the 30 minutes of what it hid first', async () => {
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

  it('find all when half an hour of them waited in the queue, each its own part', async () => {
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

  it('overlap without harm: what two have seen at once is queued by each, once', async () => {
    const documents = someDocuments(60, requestedAt, seconds);
    const world = createWorld({ documents });

    await Promise.all([world.discover(recent(requestedAt)), world.discover(recent(requestedAt + 1))]);

    const times = new Map<string, number>();
    for (const id of world.queued()) times.set(id, (times.get(id) ?? 0) + 1);
    expect(times.size).toBe(60);
    expect([...times.values()].every((count) => count <= 2)).toBe(true);
  });
});

describe('a run that is killed', () => {
  const kinds: Record<string, DiscoveryMessage> = {
    recent: recent(requestedAt),
    span: span(noon - hours, noon + hours),
  };

  it.each(Object.entries(kinds))(
    'at any call of a %s message loses nothing and queues nothing archived',
    async (_, message) => {
      const documents = someDocuments(90, requestedAt, 1_300);
      const archived = documents.filter((_document, number) => number % 3 === 0).map(({ id }) => id);
      const untouched = createWorld({ documents, archived, pageRows: 25 });
      await untouched.discover(message);

      for (let fatal = 1; fatal <= untouched.calls.count; fatal += 1) {
        const world = createWorld({ documents, archived, pageRows: 25 });
        world.calls.before = (count) => {
          if (count >= fatal) throw new Error('Killed.');
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

  it('by its signal stops at once with the signal’s reason, at any moment', async () => {
    const documents = someDocuments(90, requestedAt, 1_300);
    const untouched = createWorld({ documents, pageRows: 25 });
    await untouched.discover(recent(requestedAt));

    for (let fatal = 1; fatal <= untouched.calls.count; fatal += 1) {
      const world = createWorld({ documents, pageRows: 25 });
      const abort = new AbortController();
      world.calls.before = (count) => {
        if (count === fatal) abort.abort(new ArchiverError('OutOfTime', 'The time is over.'));
      };
      const swept = world.discover(recent(requestedAt), abort.signal);

      await expect(swept).rejects.toMatchObject({ code: 'OutOfTime' });
      expect(world.counted('SweepsCompleted')).toBe(0);
    }
  });
});

describe('a span', () => {
  it('goes into the backfill lane and counts nothing as overdue', async () => {
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

  it('holds what was created at either end, so that spans which touch leave no gap', async () => {
    const documents = [noon - hours, noon].map((createdAt, number) => ({
      id: documentId(number),
      createdAt,
    }));
    const world = createWorld({ documents });

    await world.discover(span(noon - hours, noon));

    expect(world.sent).toHaveLength(2);
  });

  it('that ends before it begins is a malformed message', async () => {
    const world = createWorld();

    const discovering = world.discover(span(noon, noon - hours));

    await expect(discovering).rejects.toMatchObject({ code: 'MalformedMessage' });
    expect(world.requested).toHaveLength(0);
  });

  it('of centuries takes few requests', async () => {
    const world = createWorld({ documents: someDocuments(1_000, noon, hours) });

    await world.discover(span(Date.parse('1000-01-01T00:00:00Z'), noon + 8_000 * hours));

    expect(world.sent).toHaveLength(1_000);
    expect(world.requested.length).toBeLessThan(80);
  });

  it('keeps what it has found when reading on is not possible', async () => {
    const world = createWorld({
      documents: someDocuments(400, noon, minutes),
      step: (request) => ({ fault: request > 8 ? 'unavailable' : undefined }),
    });

    const discovering = world.discover(span(noon - 24 * hours, noon));

    await expect(discovering).rejects.toMatchObject({ code: 'TelnyxUnavailable' });
    expect(world.sent.length).toBeGreaterThan(0);
    expect(world.counted('DocumentsQueued')).toBe(world.sent.length);
  });

  it('fails with the failure of the bucket or the queue', async () => {
    const world = createWorld({
      documents: someDocuments(40, noon, minutes),
      overrides: { send: () => Promise.reject(new ArchiverError('QueueUnavailable', 'SQS took nothing.')) },
    });

    const discovering = world.discover(span(noon - 24 * hours, noon));

    await expect(discovering).rejects.toMatchObject({ code: 'QueueUnavailable' });
  });

  it('asks bucket and queue no second time once one of them has failed', async () => {
    const send = vi.fn().mockRejectedValue(new ArchiverError('QueueUnavailable', 'Its answer was lost.'));
    const world = createWorld({ documents: someDocuments(25, noon, minutes), overrides: { send } });

    await expect(world.discover(span(noon - hours, noon))).rejects.toMatchObject({
      code: 'QueueUnavailable',
    });

    expect(send).toHaveBeenCalledOnce();
  });

  it('ends with the invocation, should the list never end', async () => {
    let endless = 0;
    const pages = Array.from({ length: 20_000 }, () => ({ id: documentId(0), createdAt: noon }));
    const world = createWorld({
      pageRows: 20,
      show: () => {
        endless += 1;
        return { id: documentId(endless), created_at: new Date(noon).toISOString() };
      },
      arrange: () => pages,
    });
    const abort = new AbortController();
    world.time.after(30_000, () => abort.abort(new ArchiverError('OutOfTime', 'The time is over.')));

    const discovering = world.discover(span(noon - hours, noon), abort.signal);

    await expect(discovering).rejects.toMatchObject({ code: 'OutOfTime' });
  });
});

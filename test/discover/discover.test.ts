import { describe, expect, it, vi } from 'vitest';
import { missedAfterMs, recentWindow } from '../../functions/discover/discover.ts';
import { ArchiverError } from '../../functions/errors.ts';
import { sweep, unlinkedLifetimeMs } from '../../functions/limits.ts';
import type { DiscoveryMessage } from '../../functions/queue/messages.ts';
import {
  createWorld,
  documentId,
  minutes,
  newestFirst,
  noon,
  recent,
  someDocuments,
  span,
  type World,
} from './world.ts';

const hours = 60 * minutes;
/** Not the first sweep of its hour. */
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
    const [archived, fresh] = someDocuments(2, requestedAt, minutes);
    const world = createWorld({
      documents: someDocuments(2, requestedAt, minutes),
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
    expect(result).toMatchObject({ found: 2, queued: 1, missed: 0, requests: 1 });
    expect(world.counted('SweepsCompleted')).toBe(1);
    expect(world.counted('DocumentsFound')).toBe(2);
    expect(world.counted('DocumentsQueued')).toBe(1);
  });

  it('takes one request to Telnyx and one listing where there is little to see', async () => {
    const documents = someDocuments(10, requestedAt, minutes);
    const world = createWorld({ documents, archived: documents.map(({ id }) => id) });

    await world.discover(recent(requestedAt));

    expect(world.requested).toHaveLength(1);
    expect(world.listings()).toBeLessThanOrEqual(3);
  });

  it('believes an empty list when it comes empty twice', async () => {
    const world = createWorld({
      documents: someDocuments(3, requestedAt, minutes),
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
    const documents = someDocuments(100, requestedAt, 30_000);
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

  it('counts what has had the time to be archived and is not, and nothing younger', async () => {
    const young = { id: documentId(1), createdAt: requestedAt - missedAfterMs(5 * minutes) + 1_000 };
    const old = { id: documentId(2), createdAt: requestedAt - missedAfterMs(5 * minutes) - 1_000 };
    const done = { id: documentId(3), createdAt: requestedAt - hours };
    const world = createWorld({ documents: [young, old, done], archived: [done.id] });

    const result = await world.discover(recent(requestedAt));

    expect(result.missed).toBe(1);
    expect(world.counted('DocumentsMissed')).toBe(1);
  });

  it('leaves the whole retry ladder its time before it calls a document missed, yet speaks before Telnyx deletes', () => {
    const after = missedAfterMs(sweep.intervalMinutes * minutes);

    expect(after).toBeGreaterThan(15 * minutes);
    expect(after).toBeLessThan(unlinkedLifetimeMs);
  });

  it('goes on where a row cannot be read, and counts it as missed', async () => {
    const world = createWorld({
      documents: someDocuments(3, requestedAt, minutes),
      show: ({ id, createdAt }) => {
        if (id === documentId(0))
          return { id: id.toUpperCase(), created_at: new Date(createdAt).toISOString() };
        return id === documentId(1) ? 'what is this' : { id, created_at: 'no instant' };
      },
    });

    const result = await world.discover(recent(requestedAt));

    expect(world.queued()).toEqual([documentId(2)]);
    expect(result).toMatchObject({ found: 1, unreadable: 2 });
    expect(world.counted('DocumentsMissed')).toBe(2);
    expect(world.counted('SweepsCompleted')).toBe(1);
  });

  it('fails where no row at all can be read', async () => {
    const world = createWorld({
      documents: someDocuments(3, requestedAt, minutes),
      show: ({ id }) => ({ identifier: id }),
    });

    const sweeping = world.discover(recent(requestedAt));

    await expect(sweeping).rejects.toMatchObject({ code: 'UnexpectedResponse' });
    expect(world.counted('SweepsCompleted')).toBe(0);
  });

  it('queues what it sees and fails where Telnyx does not heed the filter', async () => {
    const documents = someDocuments(300, requestedAt, 24 * hours);
    const world = createWorld({ documents, filtered: () => Date.parse('2026-11-24T11:59:59Z') });

    const sweeping = world.discover(recent(requestedAt));

    await expect(sweeping).rejects.toMatchObject({ code: 'UnexpectedResponse' });
    expect(world.queued()).toHaveLength(250);
    expect(world.counted('SweepsCompleted')).toBe(0);
  });

  it('asks again where an answer belongs to another question', async () => {
    const documents = someDocuments(100, requestedAt, 30_000);
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

  it('slows down at a rate limit instead of failing', async () => {
    const documents = someDocuments(200, requestedAt, 20_000);
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

describe('the window of a sweep', () => {
  const settings = { sweepIntervalMs: 5 * minutes, sweepLookBackMs: 90 * minutes };

  it('overlaps those before and after, whenever it is worked on', () => {
    const { from, to } = recentWindow(new Date(requestedAt).toISOString(), settings);

    expect(from).toBe(requestedAt - 90 * minutes);
    expect(to).toBe(requestedAt + 90 * minutes);
  });

  it('reaches back over a day once an hour', () => {
    const lookBacks = Array.from({ length: 12 }, (_, sweepNumber) => {
      const requested = noon + sweepNumber * 5 * minutes + 40_000;
      return requested - recentWindow(new Date(requested).toISOString(), settings).from;
    });

    expect(lookBacks).toEqual([26 * hours, ...Array(11).fill(90 * minutes)]);
  });

  it('is never shorter than what is set', () => {
    const { from } = recentWindow(new Date(noon).toISOString(), { ...settings, sweepLookBackMs: 48 * hours });

    expect(from).toBe(noon - 48 * hours);
  });
});

describe('sweeps after each other', () => {
  it('find all that a silence of 24 hours hid within an hour, and queue nothing twice', async () => {
    const documents = someDocuments(500, noon + 7 * minutes, (24 * hours) / 500);
    const world = createWorld({ documents });
    const queued: string[] = [];

    for (let at = noon + 7 * minutes; at < noon + 67 * minutes; at += 5 * minutes) {
      await world.discover(recent(at));
      queued.push(...archiveQueued(world));
    }

    expect(newestFirst(documents).map(({ id }) => id)).toEqual(expect.arrayContaining(queued));
    expect(new Set(queued).size).toBe(500);
    expect(queued).toHaveLength(500);
  });

  it('find all when a day of them waited in the queue, each its own part', async () => {
    const documents = someDocuments(500, noon, (24 * hours) / 500);
    const world = createWorld({ documents, start: noon });
    const queued: string[] = [];

    // As many as a schedule sends, apart from those that would look back further.
    for (let at = noon - 24 * hours; at <= noon; at += 5 * minutes) {
      if (at % hours < 5 * minutes) continue;
      await world.discover(recent(at));
      queued.push(...archiveQueued(world));
    }

    expect(new Set(queued).size).toBe(500);
    expect(queued).toHaveLength(500);
  });

  it('overlap without harm: what two have seen at once is queued by each, once', async () => {
    const documents = someDocuments(60, requestedAt, minutes);
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
    span: span(noon - 2 * hours, noon + hours),
  };

  it.each(Object.entries(kinds))(
    'at any call of a %s message loses nothing and queues nothing archived',
    async (_, message) => {
      const documents = someDocuments(90, requestedAt, 40_000);
      const archived = documents.filter((_document, number) => number % 3 === 0).map(({ id }) => id);
      const untouched = createWorld({ documents, archived, pageRows: 25 });
      await untouched.discover(message);

      for (let fatal = 1; fatal <= untouched.calls.count; fatal += 1) {
        const world = createWorld({ documents, archived, pageRows: 25 });
        world.calls.before = (count) => {
          if (count >= fatal) throw new Error('Killed.');
        };
        await expect(world.discover(message)).rejects.toThrow('Killed.');
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
    const documents = someDocuments(90, requestedAt, 40_000);
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
  it('goes into the backfill lane and counts nothing as missed', async () => {
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
    expect(world.counted('DocumentsMissed')).toBe(0);
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

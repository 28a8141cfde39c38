/** What discovery writes about whose documents it has found. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type DocumentContext, keyOfFact, parseContext } from '../../functions/bucket/contexts.ts';
import { contextTombstoneKey } from '../../functions/bucket/keys.ts';
import { linkPageOf } from '../../functions/discover/sweep.ts';
import { ArchiverError } from '../../functions/errors.ts';
import type { DiscoveryMessage } from '../../functions/queue/messages.ts';
import { sleep } from '../../functions/time.ts';
import { fuzzRuns } from '../fuzz-runs.ts';
import {
  createWorld,
  documentId,
  minutes,
  noon,
  recent,
  someDocuments,
  type World,
  type WorldOptions,
} from './world.ts';

const orderId = 'b41d7f0a-93c4-4f57-8a2b-1c9d4e5f6071';
const message: DiscoveryMessage = {
  v: 1,
  kind: 'porting-order',
  orderId,
  requestedAt: new Date(noon).toISOString(),
};
const unlimited = { limit: undefined, remaining: undefined, resetMs: undefined };
const fact = { kind: 'porting-order', id: orderId, reference: 'PO-17' } as const;

/** A world whose porting order has the documents 1 and 2. */
function orderWorld(options: WorldOptions = {}) {
  return createWorld({
    ...options,
    overrides: {
      telnyx: {
        get: async (path) => {
          const order = {
            id: orderId,
            customer_reference: 'PO-17',
            documents: { loa: documentId(1), invoice: documentId(2) },
          };
          return { body: { data: path === `porting_orders/${orderId}` ? order : [] }, rateLimit: unlimited };
        },
      },
    },
  });
}

/** What is written, without when and by which version. */
function factsIn(world: World): Omit<DocumentContext, 'v' | 'learntAt' | 'archiver'>[] {
  return [...world.contexts]
    .filter(([, body]) => body.length > 0)
    .map(([key, body]) => parseContext(key, body))
    .map(({ v: _v, learntAt: _at, archiver: _by, ...rest }) => rest);
}

const link = (number: number, resource: unknown = orderId, type: unknown = 'porting_order') => ({
  id: `link-${number}`,
  document_id: documentId(number),
  linked_resource_id: resource,
  linked_record_type: type,
});

describe('a message about an order', () => {
  it('writes what the order says about each document, archived or not, after the documents are queued', async () => {
    const world = orderWorld({ archived: [documentId(2)] });
    const sentBefore: number[] = [];
    world.calls.before = () => void (world.contexts.size === 0 && sentBefore.push(world.sent.length));

    await world.discover(message);

    expect(factsIn(world)).toEqual([1, 2].map((number) => ({ documentId: documentId(number), ...fact })));
    expect([...world.contexts.values()].map(String)[0]).toContain('"archiver": "0.2.0"');
    expect(sentBefore.at(-1)).toBe(1);
    expect(world.counted('ContextsWritten')).toBe(2);
  });

  it('writes the same context only once', async () => {
    const world = orderWorld();
    await world.discover(message);
    const { bucket } = world.dependencies;
    const put: string[] = [];
    const putOnce: typeof bucket.putOnce = async ({ key }) => {
      put.push(key);
      return 'exists';
    };
    Object.assign(bucket, { putOnce });

    await world.discover(message);

    expect(put).toEqual([]);
    expect(world.counted('ContextsWritten')).toBe(2);
  });

  it('writes nothing about an erased document', async () => {
    const world = orderWorld({ contexts: [contextTombstoneKey(documentId(1))] });

    await world.discover(message);

    expect(factsIn(world)).toEqual([{ documentId: documentId(2), ...fact }]);
  });

  it('fails if the bucket does not accept a context, after the documents are queued', async () => {
    const world = orderWorld();
    const putOnce = async () => {
      throw new ArchiverError('BucketUnavailable', 'Unavailable.');
    };
    Object.assign(world.dependencies.bucket, { putOnce });

    await expect(world.discover(message)).rejects.toMatchObject({ code: 'BucketUnavailable' });

    expect(world.queued()).toHaveLength(2);
  });

  it('writes what it knows and then fails with the error of a source, if another source fails', async () => {
    const world = orderWorld();
    const { get } = world.dependencies.telnyx;
    world.dependencies.telnyx.get = async (path, ...others) => {
      if (path === 'document_links') throw new ArchiverError('UnexpectedResponse', 'Not as specified.');
      return get(path, ...others);
    };

    await expect(world.discover(message)).rejects.toMatchObject({ code: 'UnexpectedResponse' });

    expect(factsIn(world)).toHaveLength(2);
  });

  it('fails with the error of a source, if the bucket fails too', async () => {
    const world = orderWorld();
    world.dependencies.telnyx.get = async (path) => {
      if (path === 'document_links') throw new ArchiverError('UnexpectedResponse', 'Not as specified.');
      return { body: { data: { id: orderId, documents: { loa: documentId(1) } } }, rateLimit: unlimited };
    };
    const putOnce = async () => {
      throw new ArchiverError('BucketUnavailable', 'Unavailable.');
    };
    Object.assign(world.dependencies.bucket, { putOnce });

    await expect(world.discover(message)).rejects.toMatchObject({ code: 'UnexpectedResponse' });

    expect(world.lines).toContainEqual(
      expect.objectContaining({ message: 'Contexts not written', code: 'BucketUnavailable' }),
    );
  });
});

describe('a sweep', () => {
  const sweep = recent(noon + 7 * minutes);

  it('writes the links of one page, after its documents are queued and it has been counted', async () => {
    const world = createWorld({
      documents: someDocuments(1, noon + 7 * minutes, 1_000),
      links: () => [link(1), link(2, 'a resource', null), link(1, documentId(9), 'sub_number_order')],
    });

    const result = await world.discover(sweep);

    expect(result).toMatchObject({ found: 1, queued: 1, requests: 2 });
    expect(world.linkPages).toEqual([linkPageOf(sweep.requestedAt)]);
    expect(factsIn(world)).toEqual([
      { documentId: documentId(1), kind: 'link', id: orderId, type: 'porting_order' },
      { documentId: documentId(2), kind: 'link', id: 'a resource' },
      { documentId: documentId(1), kind: 'link', id: documentId(9), type: 'sub_number_order' },
    ]);
  });

  it.each<[string, ErrorOf]>([
    ['Telnyx is not available', () => ({ telnyx: 'TelnyxUnavailable' })],
    ['Telnyx answers with something else', () => ({ body: 'nothing' })],
    ['Telnyx throws what is no error of the archiver', () => ({ throws: new TypeError('A bug.') })],
    ['the bucket is not available', () => ({ bucket: 'BucketUnavailable' })],
  ])('ends well if %s, with one request and a line in the log', async (_which, failure) => {
    const { telnyx: code, body, throws, bucket } = failure();
    const world = createWorld({
      documents: someDocuments(1, noon + 7 * minutes, 1_000),
      links: () => [link(1)],
    });
    const { get } = world.dependencies.telnyx;
    let requests = 0;
    world.dependencies.telnyx.get = async (path, ...others) => {
      if (path !== 'document_links' || bucket) return get(path, ...others);
      requests += 1;
      if (code) throw new ArchiverError(code, 'Failed.');
      if (throws) throw throws;
      return { body, rateLimit: unlimited };
    };
    const putOnce = async () => {
      requests += 1;
      throw new ArchiverError('BucketUnavailable', 'Failed.');
    };
    Object.assign(world.dependencies.bucket, { putOnce });

    const result = await world.discover(sweep);

    expect(result.queued).toBe(1);
    expect(world.counted('SweepsCompleted')).toBe(1);
    expect(requests).toBe(1);
    expect(world.lines.filter(({ message: text }) => text === 'Contexts not written')).toHaveLength(1);
  });

  it('does not ask for links while the rate limit asks for a pause', async () => {
    const world = createWorld({
      documents: someDocuments(1, noon + 7 * minutes, 1_000),
      links: () => [link(1)],
    });
    const { get } = world.dependencies.telnyx;
    world.dependencies.telnyx.get = async (...request) => ({
      ...(await get(...request)),
      rateLimit: { limit: 100, remaining: 0, resetMs: 30_000 },
    });
    const before = world.time.now();

    await world.discover(sweep);

    expect(world.linkPages).toEqual([]);
    expect(world.counted('SweepsCompleted')).toBe(1);
    expect(world.time.now() - before).toBeLessThan(5_000);
  });

  it('stops reading the links after 20 seconds', async () => {
    const world = createWorld({ links: () => Array.from({ length: 8 }, (_, number) => link(number)) });
    const list = world.dependencies.bucket.list;
    Object.assign(world.dependencies.bucket, {
      list: (prefix: string, after: string | undefined, signal: AbortSignal) =>
        prefix.startsWith('contexts/')
          ? new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
          : list(prefix, after, signal),
    });
    const before = world.time.now();

    await world.discover(sweep);

    expect(world.time.now() - before).toBeGreaterThanOrEqual(20_000);
    expect(world.time.now() - before).toBeLessThan(25_000);
    expect(world.lines).toContainEqual(expect.objectContaining({ code: 'OutOfTime' }));
  });

  it('does not ask the bucket for contexts if Telnyx lists the links after 20 seconds', async () => {
    const world = createWorld({ links: () => Array.from({ length: 8 }, (_, number) => link(number)) });
    const { get } = world.dependencies.telnyx;
    world.dependencies.telnyx.get = async (path, ...others) => {
      if (path === 'document_links') await sleep(world.time, 21_000);
      return get(path, ...others);
    };
    const listed: string[] = [];
    const { list } = world.dependencies.bucket;
    world.dependencies.bucket.list = (prefix, ...others) => {
      listed.push(prefix);
      return list(prefix, ...others);
    };

    await world.discover(sweep);

    expect(listed.filter((prefix) => prefix.startsWith('contexts/'))).toEqual([]);
    expect(world.lines).toContainEqual(expect.objectContaining({ code: 'OutOfTime' }));
    expect(world.counted('SweepsCompleted')).toBe(1);
  });

  it('without links publishes no number of contexts', async () => {
    const world = createWorld();

    await world.discover(sweep);

    expect(world.lines.filter((line) => 'ContextsWritten' in line)).toEqual([]);
  });

  it('writes facts that can be read, whatever Telnyx lists, and about no other documents', async () => {
    const row = fc.oneof(
      fc.anything(),
      fc.record({
        document_id: fc.oneof(fc.integer({ min: 1, max: 3 }).map(documentId), fc.anything()),
        linked_resource_id: fc.oneof(
          fc.string({ unit: 'binary', maxLength: 600, size: 'max' }),
          fc.anything(),
        ),
        linked_record_type: fc.oneof(fc.string(), fc.anything()),
      }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(row, { maxLength: 5 }), async (rows) => {
        const world = createWorld({ links: () => rows, contexts: [contextTombstoneKey(documentId(3))] });

        await world.discover(sweep);

        const facts = factsIn(world);
        expect(world.lines.some(({ message: text }) => text === 'Contexts not written')).toBe(false);
        expect([...world.contexts.keys()].slice(1)).toEqual(facts.map(keyOfFact));
        for (const each of facts) expect([1, 2].map(documentId)).toContain(each.documentId);
      }),
      { numRuns: fuzzRuns(1_000) },
    );
  });
});

type ErrorOf = () => {
  telnyx?: 'TelnyxUnavailable';
  body?: unknown;
  throws?: Error;
  bucket?: string;
};

describe('the page of links that a sweep reads', () => {
  const pagesOf = (sweeps: number) =>
    Array.from({ length: sweeps }, (_, minute) =>
      linkPageOf(new Date(noon + minute * minutes).toISOString()),
    );

  it('is one of the first at even minutes, and one behind them at odd minutes', () => {
    const isFirst = pagesOf(128).map((page) => page <= 64);

    expect(isFirst).toEqual(Array.from({ length: 128 }, (_, minute) => minute % 2 === 0));
  });

  it('is each of the first 64 pages within 128 minutes', () => {
    const pages = new Set(pagesOf(128));

    expect(Array.from({ length: 64 }, (_, page) => page + 1).filter((page) => !pages.has(page))).toEqual([]);
  });

  it('is each of the 8,192 pages behind them within eleven and a half days', () => {
    const pages = new Set(pagesOf(2 * 8_192));

    expect(pages.size).toBe(64 + 8_192);
    expect(Math.max(...pages)).toBe(64 + 8_192);
  });
});

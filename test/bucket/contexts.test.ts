import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type ContextFact,
  factsOf,
  keyOfFact,
  listContextKeys,
  maxContextBytes,
  parseContext,
  relationOf,
  writeContext,
} from '../../functions/bucket/contexts.ts';
import {
  contextKey,
  contextTombstoneKey,
  documentIdOfContext,
  documentIdOfContextTombstone,
} from '../../functions/bucket/keys.ts';
import { createBucket, type NewObject } from '../../functions/bucket/store.ts';
import { virtualTime } from '../fakes/clock.ts';
import { noon, written } from '../fakes/documents.ts';
import { MemoryBucket, sha256 } from '../fakes/memory-bucket.ts';
import { fuzzRuns, propertyRuns } from '../fuzz-runs.ts';

const never = new AbortController().signal;
const id = '6e0c8a55-2d0b-4bb0-9d6a-0a6c1e5d7f01';
const orderId = 'b41d7f0a-93c4-4f57-8a2b-1c9d4e5f6071';
const fact: ContextFact = {
  documentId: id,
  kind: 'number-order',
  id: orderId,
  reference: 'PO-1001',
  numbers: ['+33100000000', '+33100000001'],
};
const about = { learntAt: new Date(noon).toISOString(), archiver: '0.2.0' };

function startBucket() {
  const memory = new MemoryBucket(virtualTime(noon));
  return { memory, bucket: createBucket({ s3: memory as never, name: 'archive', time: virtualTime(noon) }) };
}

const anyText = fc.oneof(fc.string({ unit: 'binary' }), fc.string({ minLength: 500, maxLength: 520 }));
const stated = fc.record({
  documentId: fc.uuid(),
  kind: fc.constantFrom('porting-order', 'port-out', 'number-order', 'link'),
  id: anyText,
  type: fc.option(anyText, { nil: undefined }),
  reference: fc.option(anyText, { nil: undefined }),
  numbers: fc.option(fc.array(fc.oneof(anyText, fc.constantFrom('+1', '+2')), { maxLength: 5 }), {
    nil: undefined,
  }),
} as const);

describe('a context', () => {
  it('is read as it was written, whatever others have stated', async () => {
    await fc.assert(
      fc.asyncProperty(stated, async (statement) => {
        const { memory, bucket } = startBucket();
        const facts = factsOf(statement);

        for (const each of facts) await writeContext(each, about, bucket, never);

        const read = [...memory.objects].map(([key, { body }]) => parseContext(key, body));
        expect(read).toEqual(facts.map((each) => ({ v: 1, ...each, ...about })));
        expect(read.map(relationOf)).toStrictEqual(facts.map(({ documentId: _, ...relation }) => relation));
        expect(facts.every((each) => Object.values(each).every((value) => value !== undefined))).toBe(true);
      }),
      { numRuns: propertyRuns(2_000) },
    );
  });

  it('has texts cut to 512 characters without half a character, and no empty ones', () => {
    const long = `${'x'.repeat(511)}😀`;

    expect(factsOf({ ...fact, reference: long, type: '', numbers: ['', '+1'] })).toEqual([
      { ...fact, reference: `${'x'.repeat(511)}�`, numbers: ['+1'] },
    ]);
  });

  it('is one of several for a document that meets the requirement of more than a thousand numbers', () => {
    const numbers = Array.from({ length: 2_001 }, (_, index) => `+${10_000 + index}`);

    const facts = factsOf({ ...fact, numbers: numbers.toReversed() });

    expect(facts.map((each) => each.numbers?.length)).toEqual([1_000, 1_000, 1]);
    expect(facts.flatMap((each) => each.numbers)).toEqual(numbers);
    const largest = { ...fact, numbers: Array(1_000).fill('\u0001'.repeat(512)) };
    expect(Buffer.byteLength(JSON.stringify(largest, undefined, 2))).toBeLessThan(maxContextBytes);
  });

  it('has the SHA-256 of kind, ID, type, reference and sorted numbers in its key', () => {
    const canonical = `{"kind":"number-order","id":"${orderId}","reference":"PO-1001","numbers":["+33100000000","+33100000001"]}`;

    expect(keyOfFact(fact)).toBe(contextKey(id, sha256(canonical)));
    expect(keyOfFact({ ...fact, numbers: fact.numbers?.toReversed() })).toBe(keyOfFact(fact));
  });

  it('is written once, however often discovery finds the same fact', async () => {
    const { memory, bucket } = startBucket();

    const first = await writeContext(fact, about, bucket, never);
    const second = await writeContext(fact, { ...about, archiver: '0.3.0' }, bucket, never);

    expect([first, second]).toEqual([true, false]);
    expect(memory.versioned.versions(keyOfFact(fact))).toHaveLength(1);
  });

  it('is written as JSON, with its checksum', async () => {
    const { bucket } = startBucket();
    const put: NewObject[] = [];

    await writeContext(
      fact,
      about,
      {
        putOnce: async (object, signal) => {
          put.push(object);
          return bucket.putOnce(object, signal);
        },
      },
      never,
    );

    const body = written({ v: 1, ...fact, ...about });
    expect(put).toEqual([
      {
        key: keyOfFact(fact),
        body: Buffer.from(body),
        bytes: Buffer.byteLength(body),
        sha256: sha256(body),
        contentType: 'application/json',
      },
    ]);
  });

  const text = JSON.stringify({ v: 1, ...fact, ...about });
  it.each([
    ['at the key of another fact', contextKey(id, '0'.repeat(64)), text],
    ['of another document', contextKey(orderId, keyOfFact(fact).slice(-69, -5)), text],
    ['of a document whose ID is not a UUID', keyOfFact(fact), text.replaceAll(id, '../receipts')],
    ['with an unknown field', keyOfFact(fact), text.replace('{', '{"x":1,')],
    ['of another version', keyOfFact(fact), text.replace('"v":1', '"v":2')],
    ['that is not JSON', keyOfFact(fact), text.slice(1)],
    ['that is empty', keyOfFact(fact), ''],
  ])('is rejected %s', (_which, key, body) => {
    expect(() => parseContext(key, Buffer.from(body))).toThrow(
      expect.objectContaining({ code: 'UnexpectedResponse', message: expect.stringContaining(key) }),
    );
  });

  it('is rejected with UnexpectedResponse, whatever bytes are there', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array(),
          fc.json().map((text) => Buffer.from(text)),
        ),
        (bytes) => {
          expect(() => parseContext(keyOfFact(fact), Buffer.from(bytes))).toThrow(
            expect.objectContaining({ code: 'UnexpectedResponse' }),
          );
        },
      ),
      { numRuns: fuzzRuns(2_000) },
    );
  });
});

describe('the keys of contexts', () => {
  it('are of a context or of a tombstone, never of both', () => {
    expect(contextTombstoneKey(id)).toBe(`contexts/${id}.json`);
    expect(documentIdOfContextTombstone(contextTombstoneKey(id))).toBe(id);
    expect(documentIdOfContext(contextTombstoneKey(id))).toBeUndefined();
    expect(documentIdOfContext(keyOfFact(fact))).toBe(id);
    expect(documentIdOfContextTombstone(keyOfFact(fact))).toBeUndefined();
    expect(documentIdOfContextTombstone(`contexts/${id}`)).toBeUndefined();
    expect(documentIdOfContextTombstone(`receipts/${id}.json`)).toBeUndefined();
  });

  it('are listed for the documents asked for, with at most one listing for each and one more', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(
          fc.record({
            id: fc.uuid(),
            digits: fc.subarray(['0', '7', 'f']),
            erased: fc.boolean(),
            asked: fc.boolean(),
          }),
          { selector: (each) => each.id, maxLength: 150, size: 'max' },
        ),
        fc.integer({ min: 4, max: 50 }),
        async (documents, pageKeys) => {
          const keysOf = ({ id, digits, erased }: (typeof documents)[number]) => [
            ...(erased ? [contextTombstoneKey(id)] : []),
            ...digits.map((digit) => contextKey(id, digit.repeat(64))),
          ];
          const { memory, bucket } = startBucket();
          for (const key of documents.flatMap(keysOf)) memory.put(key, '', noon);
          memory.pageKeys = pageKeys;
          const asked = documents.filter((each) => each.asked);

          const found = await listContextKeys(
            asked.map((each) => each.id),
            bucket,
            never,
          );

          const ofAsked = [...found].filter((key) => asked.some((each) => key.includes(each.id)));
          // The last document of a page may have its first keys only; its tombstone is the first.
          const tombstones = asked.filter((each) => each.erased).map((each) => contextTombstoneKey(each.id));
          expect(ofAsked).toEqual(expect.arrayContaining(tombstones));
          const missing = asked.flatMap(keysOf).filter((key) => !found.has(key));
          expect(new Set(missing.map(documentIdOfContext)).size).toBeLessThanOrEqual(memory.requests.length);
          expect(memory.requests.length).toBeLessThanOrEqual(asked.length + 1);
        },
      ),
      { numRuns: propertyRuns(500) },
    );
  });

  it('of a small archive are listed with few requests, those of a few documents with one for each', async () => {
    const { memory, bucket } = startBucket();
    const ids = fc.sample(fc.uuid(), { numRuns: 250, seed: 1 });
    for (const each of ids) memory.put(contextKey(each, '0'.repeat(64)), '', noon);

    const all = await listContextKeys(ids, bucket, never);
    const some = await listContextKeys([...ids.slice(0, 2), id], bucket, never);

    expect(all.size).toBe(250);
    expect(some.size).toBe(2);
    expect(memory.requests).toHaveLength(1 + 3);
  });

  it('are listed page by page as long as a page answers for eight of the documents', async () => {
    const { memory, bucket } = startBucket();
    const ids = fc.sample(fc.uuid(), { numRuns: 24, seed: 1 }).sort();
    for (const each of ids) memory.put(contextTombstoneKey(each), '', noon);
    memory.pageKeys = 8;

    const found = await listContextKeys(ids, bucket, never);

    expect([...found]).toEqual(ids.map(contextTombstoneKey));
    expect(memory.requests).toEqual(Array(3).fill('list contexts/'));
  });

  it('are listed for one document after the other if a page answers for fewer', async () => {
    const { memory, bucket } = startBucket();
    const ids = fc.sample(fc.uuid(), { numRuns: 100, seed: 1 }).sort();
    for (const each of ids) memory.put(contextTombstoneKey(each), '', noon);
    memory.pageKeys = 8;
    const asked = ids.filter((_id, index) => index % 10 === 9);

    const found = await listContextKeys(asked, bucket, never);

    expect([...found]).toEqual(expect.arrayContaining(asked.map(contextTombstoneKey)));
    expect(memory.requests).toEqual([
      'list contexts/',
      ...asked.slice(1).map((each) => `list contexts/${each}`),
    ]);
  });
});

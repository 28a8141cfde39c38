import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { receiptKey } from '../../functions/bucket/keys.ts';
import { withoutReceipt } from '../../functions/bucket/unarchived.ts';
import { ArchiverError } from '../../functions/errors.ts';
import { propertyRuns } from '../fuzz-runs.ts';

const never = new AbortController().signal;

/** A bucket that lists `pageKeys` keys at a time, and how often it did. */
function bucketWith(ids: readonly string[], pageKeys = 1_000) {
  const keys = ids.map(receiptKey).sort();
  const state = { listings: 0, underWay: 0, mostUnderWay: 0 };
  return {
    state,
    list: async (prefix: string, startAfter?: string) => {
      state.listings += 1;
      state.underWay += 1;
      state.mostUnderWay = Math.max(state.mostUnderWay, state.underWay);
      await Promise.resolve();
      state.underWay -= 1;
      return keys
        .filter((key) => key.startsWith(prefix) && (startAfter === undefined || key > startAfter))
        .slice(0, pageKeys);
    },
  };
}

const uuids = (count: number) => fc.sample(fc.uuid(), { numRuns: count, seed: count });

describe('withoutReceipt', () => {
  it('is the set difference, whatever the sizes and pages, in no more listings than ids', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.record({ id: fc.uuid(), archived: fc.boolean(), asked: fc.boolean() }), {
          selector: ({ id }) => id,
          maxLength: 300,
          size: 'max',
        }),
        fc.integer({ min: 1, max: 50 }),
        async (documents, pageKeys) => {
          const bucket = bucketWith(
            documents.filter(({ archived }) => archived).map(({ id }) => id),
            pageKeys,
          );
          const asked = documents.filter(({ asked }) => asked);

          const missing = await withoutReceipt(
            asked.map(({ id }) => id),
            bucket,
            never,
          );

          expect(missing.sort()).toEqual(
            asked
              .filter(({ archived }) => !archived)
              .map(({ id }) => id)
              .sort(),
          );
          expect(bucket.state.listings).toBeLessThanOrEqual(asked.length);
        },
      ),
      { numRuns: propertyRuns(300) },
    );
  });

  it('walks along the listing where that settles many ids at once', async () => {
    const ids = uuids(10_000);
    const bucket = bucketWith(ids.slice(0, 9_900));

    const missing = await withoutReceipt(ids, bucket, never);

    expect(missing).toHaveLength(100);
    expect(bucket.state.listings).toBeLessThanOrEqual(32);
  });

  it('looks each id up by its key where receipts are many and ids few', async () => {
    const receipts = uuids(50_000);
    const ids = [...receipts.slice(0, 30), ...uuids(10)];
    const bucket = bucketWith(receipts);

    const missing = await withoutReceipt(ids, bucket, never);

    expect(missing).toHaveLength(10);
    expect(bucket.state.listings).toBeLessThanOrEqual(40);
  });

  it('has at most sixteen requests under way', async () => {
    const bucket = bucketWith([]);

    await withoutReceipt(uuids(1_000), bucket, never);
    const many = bucketWith(uuids(20_000));
    await withoutReceipt(uuids(500), many, never);

    expect(bucket.state.mostUnderWay).toBeLessThanOrEqual(16);
    expect(many.state.mostUnderWay).toBeLessThanOrEqual(16);
  });

  it('ends with the first failure, and leaves nothing running', async () => {
    let underWay = 0;
    const bucket = {
      list: async (_prefix: string, startAfter: string | undefined, signal: AbortSignal) => {
        underWay += 1;
        try {
          if (startAfter === undefined || startAfter > 'receipts/8') {
            throw new ArchiverError('BucketUnavailable', 'S3 is down.');
          }
          await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
          return [];
        } finally {
          underWay -= 1;
        }
      },
    };

    const asking = withoutReceipt(uuids(1_000), bucket, never);

    await expect(asking).rejects.toMatchObject({ code: 'BucketUnavailable' });
    expect(underWay).toBe(0);
  });
});

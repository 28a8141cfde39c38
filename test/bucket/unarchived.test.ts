import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { receiptKey } from '../../functions/bucket/keys.ts';
import { withoutReceipt } from '../../functions/bucket/unarchived.ts';
import { ArchiverError } from '../../functions/errors.ts';
import { propertyRuns } from '../fuzz-runs.ts';

const never = new AbortController().signal;

/** A bucket with these receipts and pages of `pageKeys` keys. `state` counts its requests. */
function bucketWith(ids: readonly string[], pageKeys = 1_000) {
  const keys = ids.map(receiptKey).sort();
  const state = { listings: 0, active: 0, maxActive: 0 };
  return {
    state,
    list: async (prefix: string, startAfter?: string) => {
      state.listings += 1;
      state.active += 1;
      state.maxActive = Math.max(state.maxActive, state.active);
      await Promise.resolve();
      state.active -= 1;
      return keys
        .filter((key) => key.startsWith(prefix) && (startAfter === undefined || key > startAfter))
        .slice(0, pageKeys);
    },
  };
}

const uuids = (count: number) => fc.sample(fc.uuid(), { numRuns: count, seed: count });

describe('withoutReceipt', () => {
  it('returns exactly the IDs without a receipt, with at most one listing per ID', async () => {
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

  it('reads page after page if each page answers for many IDs', async () => {
    const ids = uuids(10_000);
    const bucket = bucketWith(ids.slice(0, 9_900));

    const missing = await withoutReceipt(ids, bucket, never);

    expect(missing).toHaveLength(100);
    expect(bucket.state.listings).toBeLessThanOrEqual(32);
  });

  it('looks up each ID by its key if there are many receipts and few IDs', async () => {
    const receipts = uuids(50_000);
    const ids = [...receipts.slice(0, 30), ...uuids(10)];
    const bucket = bucketWith(receipts);

    const missing = await withoutReceipt(ids, bucket, never);

    expect(missing).toHaveLength(10);
    expect(bucket.state.listings).toBeLessThanOrEqual(40);
  });

  it('sends at most 16 requests at the same time', async () => {
    const bucket = bucketWith([]);

    await withoutReceipt(uuids(1_000), bucket, never);
    const many = bucketWith(uuids(20_000));
    await withoutReceipt(uuids(500), many, never);

    expect(bucket.state.maxActive).toBeLessThanOrEqual(16);
    expect(many.state.maxActive).toBeLessThanOrEqual(16);
  });

  it('rejects with the first failure and leaves no request running', async () => {
    let active = 0;
    const bucket = {
      list: async (_prefix: string, startAfter: string | undefined, signal: AbortSignal) => {
        active += 1;
        try {
          if (startAfter === undefined || startAfter > 'receipts/8') {
            throw new ArchiverError('BucketUnavailable', 'S3 is down.');
          }
          await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
          return [];
        } finally {
          active -= 1;
        }
      },
    };

    const result = withoutReceipt(uuids(1_000), bucket, never);

    await expect(result).rejects.toMatchObject({ code: 'BucketUnavailable' });
    expect(active).toBe(0);
  });

  it.each([
    ['8 ids of which none is archived', 8, 0, 1_000, 1],
    ['8 ids that are all archived', 8, 8, 1_000, 1],
    ['7 ids, each by its key', 7, 0, 1_000, 7],
    // 16 runs of 25: two pages of 10, then 5 by their keys.
    ['400 archived ids in pages of 10', 400, 400, 10, 16 * (2 + 5)],
    // 16 runs of 25: three pages of 8, then 1 by its key.
    ['400 archived ids in pages of 8', 400, 400, 8, 16 * (3 + 1)],
    // A page that settles 5 only is not followed by another, since pages are large.
    ['400 archived ids in pages of 5', 400, 400, 5, 16 * (1 + 20)],
  ])('asks as seldom as it can for %s', async (_what, count, archived, pageKeys, listings) => {
    const ids = uuids(count);
    const bucket = bucketWith(ids.slice(0, archived), pageKeys);

    expect(await withoutReceipt(ids, bucket, never)).toHaveLength(count - archived);

    expect(bucket.state.listings).toBe(listings);
  });
});

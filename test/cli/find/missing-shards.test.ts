import fc from 'fast-check';
import { expect, it } from 'vitest';
import { countMissingShards } from '../../../cli/find/missing-shards.ts';
import { shardOf } from '../../../functions/bucket/catalogue-rows.ts';
import { receiptKey } from '../../../functions/bucket/keys.ts';

const never = new AbortController().signal;

/** Lists these keys in pages, and counts the requests. */
function createListing(keys: readonly string[], pageKeys: number) {
  const sorted = keys.toSorted();
  const listing = {
    requests: 0,
    list: async (prefix: string, startAfter = '') => {
      listing.requests += 1;
      return sorted.filter((key) => key.startsWith(prefix) && key > startAfter).slice(0, pageKeys);
    },
  };
  return listing;
}

const allShards = Array.from({ length: 4_096 }, (_, number) => number.toString(16).padStart(3, '0'));
const idIn = (shard: string, number = 0) =>
  `${shard}b1e00-0000-4000-8000-${String(number).padStart(12, '0')}`;
/** `0a7` and five further digits. */
const idOf = (number: number) => idIn(`${number.toString(16).padStart(3, '0')}`);

it('counts the shards that have receipts and do not exist', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(fc.nat(4_095), { maxLength: 60 }),
      fc.uniqueArray(fc.nat(4_095), { maxLength: 60 }),
      fc.integer({ min: 1, max: 8 }),
      async (archived, stored, pageKeys) => {
        const ids = archived.map(idOf);
        const existing = new Set(stored.map((number) => shardOf(idOf(number))));
        const listing = createListing([...ids.map(receiptKey), 'receipts/notes.txt'], pageKeys);

        const missing = await countMissingShards(existing, listing, never);

        expect(missing).toBe(new Set(ids.map(shardOf).filter((shard) => !existing.has(shard))).size);
        expect(listing.requests).toBeLessThanOrEqual(archived.length + 2);
      },
    ),
    { numRuns: 100 },
  );
});

it('sends no request when all shards exist', async () => {
  const listing = createListing([receiptKey(idOf(1))], 1_000);

  expect(await countMissingShards(allShards, listing, never)).toBe(0);
  expect(listing.requests).toBe(0);
});

it('sends one request for each shard that does not exist between many documents', async () => {
  const keys = allShards.flatMap((shard) => [0, 1, 2].map((number) => receiptKey(idIn(shard, number))));
  const listing = createListing(keys, 2);

  const missing = await countMissingShards(
    allShards.filter((shard) => shard !== '00a' && shard !== 'fff'),
    listing,
    never,
  );

  expect([missing, listing.requests]).toEqual([2, 2]);
});

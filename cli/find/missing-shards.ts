/** Counts the shards of the catalogue that should exist but do not. */
import { shardOf } from '../../functions/bucket/catalogue-rows.ts';
import { documentIdOfReceipt, receiptPrefix } from '../../functions/bucket/keys.ts';
import type { Bucket } from '../../functions/bucket/store.ts';

const allShards = Array.from({ length: 0x1000 }, (_, number) => number.toString(16).padStart(3, '0'));

/**
 * Lists receipts where the catalogue has no shard. After each page it continues at the next missing shard. So a small archive
 * takes one request per thousand documents, and a catalogue that has all shards takes none.
 *
 * @param stored names of the shards that exist
 * @returns number of shards that do not exist although there are receipts for them
 * @throws ArchiverError the errors of `Bucket`
 */
export async function countMissingShards(
  stored: Iterable<string>,
  bucket: Pick<Bucket, 'list'>,
  signal: AbortSignal,
): Promise<number> {
  const existing = new Set(stored);
  const missing = new Set<string>();
  let last = '';
  for (const shard of allShards) {
    if (existing.has(shard) || shard <= last) continue;
    const keys = await bucket.list(receiptPrefix, receiptPrefix + shard, signal);
    for (const key of keys) {
      const id = documentIdOfReceipt(key);
      if (id !== undefined && !existing.has(shardOf(id))) missing.add(shardOf(id));
    }
    const end = keys.at(-1);
    if (end === undefined) break;
    last = shardOf(end.slice(receiptPrefix.length));
  }
  return missing.size;
}

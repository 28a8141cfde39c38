/** Which shards of the catalogue should exist but do not. */
import { shardOf } from '../../functions/bucket/catalogue-rows.ts';
import { documentIdOfReceipt, receiptPrefix } from '../../functions/bucket/keys.ts';
import type { Bucket } from '../../functions/bucket/store.ts';

const allShards = Array.from({ length: 0x1000 }, (_, number) => number.toString(16).padStart(3, '0'));

/**
 * Looks for receipts where there is no shard. Each page of the listing goes on at the next shard that does not exist, so
 * an archive with few documents takes one request per thousand of them, and a catalogue with all shards none.
 *
 * @param stored names of the shards that exist
 * @returns number of the shards that do not exist although there are receipts
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

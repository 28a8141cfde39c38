/** A catalogue in memory, in the bucket of a deployed one. */
import { type CatalogueStore, createCatalogueBucket } from '../../functions/bucket/catalogue.ts';
import type { CatalogueRow } from '../../functions/bucket/catalogue-rows.ts';
import { readShard } from '../../functions/bucket/catalogue-shards.ts';
import { shardKey } from '../../functions/bucket/keys.ts';
import { virtualTime } from './clock.ts';
import { noon } from './documents.ts';
import { MemoryBucket } from './memory-bucket.ts';

const never = new AbortController().signal;

export function createCatalogue(time = virtualTime(noon)) {
  const bucket = new MemoryBucket(time);
  const store = createCatalogueBucket({ s3: bucket as never, name: 'catalogue', time });
  return {
    bucket,
    store,
    rows: () => allRows(store),
    /** Puts any bytes in the place of a shard. */
    damage: (shard: string, body: Buffer | string = 'half a shard') =>
      bucket.put(shardKey(shard), body, time.now()),
    /** Keys of the shards that were written since the last call. */
    written: () =>
      bucket.requests.splice(0).flatMap((request) => (request.startsWith('put ') ? request.slice(4) : [])),
  };
}

/** All rows of a catalogue. Throws if a shard is not whole. */
async function allRows(store: CatalogueStore): Promise<CatalogueRow[]> {
  const rows: CatalogueRow[] = [];
  for (const shard of await store.list(never)) {
    const read = await readShard(store, shard, never);
    if (!read.isWhole) throw new Error(`The shard ${shard} is not whole.`);
    rows.push(...read.rows);
  }
  return rows;
}

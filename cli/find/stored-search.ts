/** Searches the catalogue as it is stored. */
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import pLimit from 'p-limit';
import type { CatalogueStore } from '../../functions/bucket/catalogue.ts';
import type { CatalogueRow } from '../../functions/bucket/catalogue-rows.ts';
import { mapConcurrently } from '../../functions/map-concurrently.ts';
import type { RowFilter } from './scan.ts';

export interface StoredSearch {
  /** When the oldest of the shards was written. Milliseconds since the Unix epoch; undefined if none could be read. */
  asOf: number | undefined;
  /** Number of shards that are not as the archiver writes them. */
  corrupt: number;
}

export interface StoredSearchOptions {
  store: Pick<CatalogueStore, 'read'>;
  /** Names of the shards that exist. */
  shards: readonly string[];
  filter: RowFilter;
  /** Called with the matching rows of each shard, in any order. */
  onRows: (rows: readonly CatalogueRow[]) => void;
  /** Called after each shard. */
  onShard: () => void;
  signal: AbortSignal;
}

/** More than are searched at the same time, because a response of S3 takes longer than a search. */
const readsAtOnce = 32;
/** Node decompresses on four threads. */
const searchesAtOnce = 4;
/** Bytes of decompressed text: about a hundred thousand rows. An archive with such shards has hundreds of millions of documents. */
const maxShardBytes = 64 * 1_024 ** 2;

/** Most shards fit into few chunks. With Node's 16 KiB, the search takes twice the CPU time. */
const chunkSize = 256 * 1_024;

const decompress = promisify(gunzip);

/**
 * Searches all shards. Holds in memory the compressed shards that are being read, and the text of those being searched.
 *
 * @throws ArchiverError the errors of `CatalogueStore`
 */
export async function searchStored({
  store,
  shards,
  filter,
  onRows,
  onShard,
  signal,
}: StoredSearchOptions): Promise<StoredSearch> {
  const limit = pLimit(searchesAtOnce);
  const result: StoredSearch = { asOf: undefined, corrupt: 0 };
  await mapConcurrently(shards, readsAtOnce, signal, async (shard, limited) => {
    const stored = await store.read(shard, limited);
    // A shard that was deleted since the listing has no rows.
    if (stored) {
      const rows = await limit(() => rowsIn(stored.body, shard, filter));
      if (rows) onRows(rows);
      else result.corrupt += 1;
      result.asOf = Math.min(result.asOf ?? stored.modified, stored.modified);
    }
    onShard();
  });
  return result;
}

/** @returns undefined if it is not a shard as the archiver writes it */
async function rowsIn(body: Buffer, shard: string, filter: RowFilter): Promise<CatalogueRow[] | undefined> {
  try {
    return filter.scan(await decompress(body, { maxOutputLength: maxShardBytes, chunkSize }), shard);
  } catch (error) {
    if (isCorruption(error)) return undefined;
    throw error;
  }
}

/** Errors of zlib have a code: `Z_DATA_ERROR`, `Z_BUF_ERROR` at an early end, `ERR_BUFFER_TOO_LARGE`. */
function isCorruption(error: unknown): boolean {
  if (error instanceof RangeError) return true;
  // Stryker disable next-line ConditionalExpression,LogicalOperator: every error of zlib is an Error; required by the type.
  return error instanceof Error && 'code' in error && String(error.code).startsWith('Z_');
}

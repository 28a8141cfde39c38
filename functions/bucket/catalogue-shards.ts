/** Reads and writes the shards of the catalogue. Writers at the same time do not undo each other's changes. */
import { gunzipSync, gzipSync } from 'node:zlib';
import { ArchiverError } from '../errors.ts';
import type { CatalogueStore } from './catalogue.ts';
import { type CatalogueRow, formatRows, parseRow, shardOf } from './catalogue-rows.ts';

export interface ReadShard {
  /** Sorted by ID. */
  rows: CatalogueRow[];
  /** False if the stored bytes are not a valid shard of this name. `rows` is empty then. */
  isWhole: boolean;
  /** Size as stored; 0 if nothing is stored, or if an erasure has emptied the shard. */
  bytes: number;
  /** Undefined if nothing is stored. */
  etag: string | undefined;
  /** Milliseconds since the Unix epoch; undefined if nothing is stored. */
  modified: number | undefined;
}

/** The level is fixed, so that the same rows give the same bytes. Node's gzip header has neither time nor name. */
const level = 6;
/** Uncompressed: a million rows. More would not fit a string of V8. */
const maxShardBytes = 400 * 1024 ** 2;
/** Attempts to write a shard that others keep changing. */
const maxRounds = 64;

export function encodeShard(rows: readonly CatalogueRow[]): Buffer {
  // Stryker disable next-line ObjectLiteral: 6 is the default of zlib as well.
  return gzipSync(formatRows(rows), { level });
}

/** @throws ArchiverError as `CatalogueStore` does, or the signal's reason */
export async function readShard(
  store: CatalogueStore,
  shard: string,
  signal: AbortSignal,
): Promise<ReadShard> {
  const stored = await store.read(shard, signal);
  if (!stored) return { rows: [], isWhole: true, bytes: 0, etag: undefined, modified: undefined };
  const { body, etag, modified } = stored;
  const rows = decodeShard(shard, body);
  return { rows: rows ?? [], isWhole: rows !== undefined, bytes: body.length, etag, modified };
}

/** @returns undefined if the bytes are not a valid shard of this name */
function decodeShard(shard: string, body: Buffer): CatalogueRow[] | undefined {
  try {
    // Stryker disable next-line ObjectLiteral: seen only beyond 400 MiB; a test of that would take too long.
    const text = gunzipSync(body, { maxOutputLength: maxShardBytes }).toString('utf8');
    const lines = text.split('\n');
    // Each line ends with a line break.
    if (lines.pop() !== '') return undefined;
    const rows = lines.map(parseRow);
    const isInOrder = rows.every(({ id }, index) => {
      const before = rows[index - 1];
      return shardOf(id) === shard && (before === undefined || before.id < id);
    });
    return isInOrder ? rows : undefined;
  } catch {
    // A damaged shard is made again from the receipts. The error is dropped because its message would quote the shard.
  }
  return undefined;
}

/**
 * Changes the rows of a shard, and writes them if they differ. A damaged shard is emptied instead, so that an erasure leaves
 * nothing in it. An empty object is not a valid shard either, so the next audit makes it again.
 *
 * @param change called again with the new rows if another writer was faster
 * @throws ArchiverError as `CatalogueStore` does, or the signal's reason
 */
export async function updateShard(
  store: CatalogueStore,
  shard: string,
  change: (rows: CatalogueRow[]) => CatalogueRow[],
  signal: AbortSignal,
): Promise<void> {
  for (let round = 0; round < maxRounds; round += 1) {
    const found = await readShard(store, shard, signal);
    if (!found.isWhole) {
      if (await store.write(shard, Buffer.alloc(0), found.etag, signal)) return;
    } else if (await write(store, shard, found, change(found.rows), signal)) return;
  }
  throw busy();
}

/**
 * Replaces the rows of a shard. A row that another writer has changed since `base` was read stays as that writer left it.
 *
 * This never undoes an erasure if the caller reads `base` before the records from which it makes new rows: an erasure first
 * replaces the receipt, and then changes the row.
 *
 * @param rows sorted by ID
 * @throws ArchiverError BucketConflict if another writer has emptied the shard; else as `CatalogueStore` does, or the
 *   signal's reason
 */
export async function replaceShard(
  store: CatalogueStore,
  shard: string,
  base: ReadShard,
  rows: readonly CatalogueRow[],
  signal: AbortSignal,
): Promise<void> {
  if (await write(store, shard, base, rows, signal)) return;
  for (let round = 1; round < maxRounds; round += 1) {
    const found = await readShard(store, shard, signal);
    if (!found.isWhole) break;
    if (await write(store, shard, found, merge(base.rows, rows, found.rows), signal)) return;
  }
  throw busy();
}

/** @returns false if the shard has changed since it was read */
async function write(
  store: CatalogueStore,
  shard: string,
  { rows: before, isWhole, etag }: ReadShard,
  rows: readonly CatalogueRow[],
  signal: AbortSignal,
): Promise<boolean> {
  if (isWhole && formatRows(before) === formatRows(rows)) return true;
  return await store.write(shard, encodeShard(rows), etag, signal);
}

/** Three-way merge: of each document, their row if it differs from the base, otherwise ours. */
function merge(
  base: readonly CatalogueRow[],
  ours: readonly CatalogueRow[],
  theirs: readonly CatalogueRow[],
): CatalogueRow[] {
  const [baseById, oursById, theirsById] = [base, ours, theirs].map(
    (rows) => new Map(rows.map((row) => [row.id, row])),
  ) as [Map<string, CatalogueRow>, Map<string, CatalogueRow>, Map<string, CatalogueRow>];
  const ids = [...new Set([...oursById.keys(), ...theirsById.keys()])].sort();
  return ids.flatMap((id) => {
    const their = theirsById.get(id);
    const isTheirs = JSON.stringify(their) !== JSON.stringify(baseById.get(id));
    return (isTheirs ? their : oursById.get(id)) ?? [];
  });
}

function busy(): ArchiverError {
  return new ArchiverError('BucketConflict', 'Other writers keep changing the same part of the catalogue.');
}

/** Searches the catalogue after bringing it up to date with the archive. */
import { readRow } from '../../functions/audit/catalogue-reading.ts';
import { mergeById } from '../../functions/audit/merge-by-id.ts';
import type { CatalogueStore } from '../../functions/bucket/catalogue.ts';
import {
  type CatalogueRow,
  type ListedRecords,
  shardOf,
  stampOf,
} from '../../functions/bucket/catalogue-rows.ts';
import { type ReadShard, readShard, replaceShard } from '../../functions/bucket/catalogue-shards.ts';
import {
  contextPrefix,
  documentIdOfContext,
  documentIdOfHold,
  documentIdOfReceipt,
  holdPrefix,
  receiptKey,
  receiptPrefix,
} from '../../functions/bucket/keys.ts';
import { type ListingOptions, listVersions } from '../../functions/bucket/listing.ts';
import type { Bucket } from '../../functions/bucket/store.ts';
import { ArchiverError } from '../../functions/errors.ts';
import { mapConcurrently, mapStreamConcurrently } from '../../functions/map-concurrently.ts';
import { DiskError } from '../../local/s3/file-errors.ts';
import type { RowFilter } from './scan.ts';

export interface FreshSearch {
  /** Number of receipts that are not as the archiver writes them. Their documents have no row. */
  invalid: number;
  /** Why the catalogue was not updated, in words; undefined if it was. */
  notUpdated: string | undefined;
}

export interface FreshSearchOptions {
  listing: ListingOptions;
  bucket: Pick<Bucket, 'read' | 'head'>;
  /** Undefined: the archiver keeps no catalogue, so all receipts are read. */
  store: CatalogueStore | undefined;
  filter: RowFilter;
  /** Called with the matching rows of each shard. */
  onRows: (rows: readonly CatalogueRow[]) => void;
  /** Called after each shard: how many documents it has, and of how many the records were read. */
  onShard: (shard: string, documents: number, read: number) => void;
  signal: AbortSignal;
}

/** Shards, and documents of each, that are read at the same time: 32 requests in all. */
const shardsAtOnce = 4;
const documentsAtOnce = 8;

const noShard: ReadShard = { rows: [], isWhole: true, bytes: 0, etag: undefined, modified: undefined };

/**
 * Lists all receipts, contexts and hold records. Uses a row of the catalogue if it was made from the listed versions, makes
 * all other rows again, and writes the shards that changed.
 *
 * @throws ArchiverError the errors of `listVersions`, of `Bucket` and, for reads, of `CatalogueStore`
 */
export async function searchFresh({
  listing,
  bucket,
  store,
  filter,
  onRows,
  onShard,
  signal,
}: FreshSearchOptions): Promise<FreshSearch> {
  const result: FreshSearch = { invalid: 0, notUpdated: undefined };
  /** The rows of a shard as the archive has them. */
  const currentRows = async (listed: readonly ListedDocument[], base: ReadShard, limited: AbortSignal) => {
    const stored = new Map(base.rows.map((row) => [row.id, row]));
    let read = 0;
    const rows = await mapConcurrently(listed, documentsAtOnce, limited, async (document, each) => {
      const { id, records } = document;
      const row = stored.get(id);
      stored.delete(id);
      if (row?.stamp === stampOf(records)) return row;
      read += 1;
      const made = await readRow(id, records, bucket, each);
      if (!made && records.receipt.current) result.invalid += 1;
      return made;
    });
    // Rows without a listed receipt: another writer may have added them after the listing.
    const others = await mapConcurrently([...stored.values()], documentsAtOnce, limited, async (row, each) =>
      (await bucket.head(receiptKey(row.id), each)) ? row : undefined,
    );
    const current = [...rows, ...others].filter((row) => row !== undefined);
    // Stryker disable next-line EqualityOperator: no two rows have the same ID.
    return { rows: current.sort((a, b) => (a.id < b.id ? -1 : 1)), read };
  };
  const update = async (shard: string, base: ReadShard, rows: CatalogueRow[], limited: AbortSignal) => {
    if (!store || result.notUpdated !== undefined) return;
    try {
      await replaceShard(store, shard, base, rows, limited);
    } catch (error) {
      // The answer does not depend on the catalogue.
      if (!(error instanceof ArchiverError || error instanceof DiskError)) throw error;
      result.notUpdated = error.message;
    }
  };
  const stored = (await store?.list(signal)) ?? [];
  const shards = mergeById({
    listed: groupNeighbours(listDocuments(listing), ({ id }) => shardOf(id)),
    stored: stored.map((id) => ({ id })),
  });
  const work = mapStreamConcurrently(shards, shardsAtOnce, signal, async ({ id: shard, listed }, limited) => {
    // Read before the receipts, as `replaceShard` requires.
    const base = store ? await readShard(store, shard, limited) : noShard;
    const { rows, read } = await currentRows(listed?.items ?? [], base, limited);
    onRows(rows.filter(filter.matches));
    await update(shard, base, rows, limited);
    onShard(shard, rows.length, read);
  });
  for await (const _shard of work);
  return result;
}

interface ListedDocument {
  id: string;
  records: ListedRecords;
}

/** All documents with a receipt, sorted by ID. */
async function* listDocuments(listing: ListingOptions): AsyncGenerator<ListedDocument> {
  const records = (prefix: string, idOf: (key: string) => string | undefined) =>
    groupNeighbours(listVersions(listing, { prefix }), ({ key }) => idOf(key));
  const merged = mergeById({
    receipt: records(receiptPrefix, documentIdOfReceipt),
    contexts: records(contextPrefix, documentIdOfContext),
    holds: records(holdPrefix, documentIdOfHold),
  });
  for await (const { id, receipt, contexts, holds } of merged) {
    const [listed] = receipt?.items ?? [];
    if (!listed) continue;
    yield { id, records: { receipt: listed, contexts: contexts?.items ?? [], holds: holds?.items ?? [] } };
  }
}

interface Group<Item> {
  id: string;
  items: Item[];
}

/** Groups consecutive items with the same ID. @param idOf returns undefined for an item to leave out */
async function* groupNeighbours<Item>(
  items: AsyncIterable<Item>,
  idOf: (item: Item) => string | undefined,
): AsyncGenerator<Group<Item>> {
  let group: Group<Item> | undefined;
  for await (const item of items) {
    const id = idOf(item);
    if (id === undefined) continue;
    if (group?.id === id) group.items.push(item);
    else {
      if (group) yield group;
      group = { id, items: [item] };
    }
  }
  // Stryker disable next-line ConditionalExpression: `mergeById` takes undefined for the end; required by the type.
  if (group) yield group;
}

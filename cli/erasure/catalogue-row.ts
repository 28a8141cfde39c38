/** The row of a document in the catalogue: after an erasure it states nothing but that the document is erased. */
import { erasedRow, shardOf } from '../../functions/bucket/catalogue-rows.ts';
import { readShard, updateShard } from '../../functions/bucket/catalogue-shards.ts';
import type { ErasureDependencies } from './examine.ts';

type Dependencies = Pick<ErasureDependencies, 'catalogue' | 'retry'>;

/**
 * Whether the catalogue states anything else of the document, or may: a shard that is not whole can hold anything.
 *
 * @throws ArchiverError the errors of `CatalogueStore`
 */
export async function isInCatalogue(
  documentId: string,
  { catalogue, retry }: Dependencies,
): Promise<boolean> {
  if (!catalogue) return false;
  const { rows, isWhole, bytes } = await retry((signal) => readShard(catalogue, shardOf(documentId), signal));
  if (!isWhole) return bytes > 0;
  return rows.some(({ id, state }) => id === documentId && state !== 'erased');
}

/**
 * Adds the row even if there is none: an audit that has read the document before its tombstone was written must find the
 * shard changed.
 *
 * @throws ArchiverError the errors of `CatalogueStore`
 */
export async function eraseRow(documentId: string, { catalogue, retry }: Dependencies): Promise<void> {
  if (!catalogue) return;
  const shard = shardOf(documentId);
  await retry(async (signal) => {
    // A single shard would pass for a catalogue.
    if (!(await catalogue.read(shard, signal)) && (await catalogue.list(signal)).length === 0) return;
    await updateShard(
      catalogue,
      shard,
      (rows) => {
        const isErased = ({ id, state }: (typeof rows)[number]) => id === documentId && state === 'erased';
        if (rows.some(isErased)) return rows;
        const others = rows.filter(({ id }) => id !== documentId);
        // Stryker disable next-line EqualityOperator: no two rows have the same ID.
        return [...others, erasedRow(documentId)].sort((a, b) => (a.id < b.id ? -1 : 1));
      },
      signal,
    );
  });
}

/** Erases the row of a document in the catalogue. Afterwards it states only that the document is erased. */
import { erasedRow, shardOf } from '../../functions/bucket/catalogue-rows.ts';
import { readShard, updateShard } from '../../functions/bucket/catalogue-shards.ts';
import type { ErasureDependencies } from './examine.ts';

type Dependencies = Pick<ErasureDependencies, 'catalogue' | 'retry'>;

/**
 * Whether the catalogue states more of the document than that it is erased, or may do so: a damaged shard can hold anything.
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
 * Writes the row, even if the document had none. So an audit that read the document before its tombstone was written finds
 * the shard changed, and does not bring the row back.
 *
 * @throws ArchiverError the errors of `CatalogueStore`
 */
export async function eraseRow(documentId: string, { catalogue, retry }: Dependencies): Promise<void> {
  if (!catalogue) return;
  const shard = shardOf(documentId);
  await retry(async (signal) => {
    // Does not create a catalogue: a single shard would look like a complete one.
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

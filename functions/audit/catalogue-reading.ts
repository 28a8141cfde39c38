/** Makes a row of the catalogue from the records of a document. Ignores a record that is not as the archiver writes it. */
import { type CatalogueRow, type ListedRecords, type Relation, stampOf } from '../bucket/catalogue-rows.ts';
import { maxContextBytes, parseContext, relationOf } from '../bucket/contexts.ts';
import { parseHoldRecord } from '../bucket/holds.ts';
import type { ListedKey } from '../bucket/listing.ts';
import { maxReceiptBytes } from '../bucket/receipts.ts';
import type { Bucket } from '../bucket/store.ts';
import { parseTombstone, type Tombstone } from '../bucket/tombstones.ts';
import { mapConcurrently } from '../map-concurrently.ts';
import { wholeRecord } from './inspect.ts';
import { type ReceiptReading, readReceipt } from './receipt-reading.ts';

/** Contexts of one document that are read at the same time. */
const contextsAtOnce = 4;

/** What was read at the key of a receipt: a receipt or a tombstone. */
export interface ReadRecord {
  reading?: ReceiptReading | undefined;
  tombstone?: { content?: Tombstone } | undefined;
}

/**
 * @param known what was read at the receipt's key after the listing. @default it is read now
 * @returns undefined if there is no receipt, or if it is not as the archiver writes it
 * @throws ArchiverError the errors of `Bucket`
 */
export async function readRow(
  id: string,
  listed: ListedRecords,
  bucket: Pick<Bucket, 'read'>,
  signal: AbortSignal,
  known?: ReadRecord,
): Promise<CatalogueRow | undefined> {
  const { reading, tombstone } = known ?? (await readRecord(id, listed.receipt, bucket, signal)) ?? {};
  const isErased = tombstone?.content !== undefined;
  const isArchived = reading !== undefined && reading.alteration === undefined;
  if (!isErased && !isArchived) return undefined;
  const isHeld = await isHeldBy(listed.holds, bucket, signal);
  const relations = isErased ? [] : await relationsIn(listed.contexts, bucket, signal);
  return {
    id,
    state: isErased ? 'erased' : 'archived',
    stamp: stampOf(listed),
    ...(isArchived && documentOf(reading)),
    ...(isHeld && { held: true }),
    ...(relations.length > 0 && { relations }),
  };
}

async function readRecord(
  id: string,
  { key, current }: ListedKey,
  bucket: Pick<Bucket, 'read'>,
  signal: AbortSignal,
): Promise<ReadRecord | undefined> {
  if (!current || current.bytes > maxReceiptBytes) return undefined;
  const body = await bucket.read(key, signal);
  if (!body) return undefined;
  const tombstone = parseTombstone(id, body);
  if (tombstone === undefined) return { reading: readReceipt(id, body) };
  return typeof tombstone === 'string' ? undefined : { tombstone: { content: tombstone } };
}

/** In the order of the schema of rows, so that a row that is made again has the same text. */
function documentOf(reading: ReceiptReading): Partial<CatalogueRow> {
  const { stated, createdAt, archivedAt } = reading;
  return {
    name: reading.fileName,
    reference: reading.customerReference,
    type: reading.contentType,
    bytes: stated.bytes,
    sha256: stated.sha256,
    created: instant(createdAt),
    archived: instant(archivedAt),
    trigger: reading.trigger,
  };
}

/** Whether the newest valid hold record says that the document is on hold. */
async function isHeldBy(
  holds: readonly ListedKey[],
  bucket: Pick<Bucket, 'read'>,
  signal: AbortSignal,
): Promise<boolean> {
  for (const { key, current } of holds.toReversed()) {
    const body = current && (await bucket.read(key, signal));
    const record = body && wholeRecord(() => parseHoldRecord(key, body));
    if (record) return record.action === 'hold';
  }
  return false;
}

/** The relations that the valid contexts state, in the order of their keys. */
async function relationsIn(
  contexts: readonly ListedKey[],
  bucket: Pick<Bucket, 'read'>,
  signal: AbortSignal,
): Promise<Relation[]> {
  const relations = await mapConcurrently(
    contexts,
    contextsAtOnce,
    signal,
    async ({ key, current }, limited) => {
      if (!current || current.bytes > maxContextBytes) return undefined;
      const body = await bucket.read(key, limited);
      const context = body && wholeRecord(() => parseContext(key, body));
      return context && relationOf(context);
    },
  );
  return relations.filter((relation) => relation !== undefined);
}

function instant(ms: number | undefined): string | undefined {
  return ms === undefined ? undefined : new Date(ms).toISOString();
}

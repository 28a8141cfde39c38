/** Collects the evidence on each document from the listings, Telnyx, the manifest and the bucket, and judges it. */
import {
  documentIdOfObject,
  documentIdOfReceipt,
  documentKey,
  receiptKey,
  receiptPrefix,
} from '../bucket/keys.ts';
import { type ListedObject, type ListingOptions, listArchive } from '../bucket/listing.ts';
import { type ManifestEntry, parseManifestKey, readManifestEntries } from '../bucket/manifest-text.ts';
import type { StorageRetry } from '../bucket/storage-retry.ts';
import type { Bucket } from '../bucket/store.ts';
import { asArchiverError } from '../errors.ts';
import type { Finding } from './findings.ts';
import { type AuditConditions, type Evidence, judge } from './judge.ts';
import { type MergedRow, mergeById } from './merge-by-id.ts';
import { maxReceiptBytes, readReceipt, tooLargeReceipt } from './receipt-reading.ts';
import type { ListedDocument } from './telnyx-documents.ts';

/** What the listings and the manifest say about one document. */
export interface SourceRow {
  id: string;
  object?: ListedObject & { id: string };
  receipt?: ListedObject & { id: string };
  telnyx?: ListedDocument;
  manifest?: ManifestEntry;
}

export interface AuditSources {
  listing: ListingOptions;
  /** Sorted by ID. */
  telnyx: Iterable<ListedDocument>;
  /** Path of a local copy of a manifest. */
  manifest: string | undefined;
  /** Called for each object that the archiver did not write, judged by its key. */
  onForeign: (object: ListedObject) => void;
}

/** Merges all sources: every document that one of them has, sorted by ID. @throws ArchiverError the errors of `listArchive` */
export function mergeSources({
  listing,
  telnyx,
  manifest,
  onForeign,
}: AuditSources): AsyncGenerator<SourceRow> {
  // Together these two listings cover the whole bucket, so no object is overlooked.
  const objects = listArchive(listing, { before: receiptPrefix });
  const receipts = listArchive(listing, { from: receiptPrefix });
  type Streams = MergedRow<{ [Name in keyof Omit<SourceRow, 'id'>]-?: NonNullable<SourceRow[Name]> }>;
  const rows: AsyncGenerator<Streams> = mergeById({
    object: withIds(objects, documentIdOfObject, onForeign),
    receipt: withIds(receipts, documentIdOfReceipt, onForeign),
    telnyx,
    manifest: manifest === undefined ? [] : readManifestEntries(manifest),
  });
  return rows;
}

async function* withIds(
  listed: AsyncIterable<ListedObject>,
  idOf: (key: string) => string | undefined,
  onForeign: (object: ListedObject) => void,
): AsyncGenerator<ListedObject & { id: string }> {
  for await (const object of listed) {
    const id = idOf(object.key);
    if (id !== undefined) yield { ...object, id };
    else if (!parseManifestKey(object.key)) onForeign(object);
  }
}

export interface Inspection {
  evidence: Evidence;
  findings: Finding[];
}

export interface InspectDependencies {
  bucket: Pick<Bucket, 'head' | 'read' | 'hash'>;
  retry: StorageRetry;
  conditions: AuditConditions;
  /** Compare listings only: do not read receipts or request the checksums of objects. */
  quick: boolean;
  /** Decides for each object whether to download and hash it although S3 verified its SHA-256. */
  readData: () => boolean;
  /** Milliseconds since the Unix epoch. */
  now: () => number;
  /** Called before each request. */
  onRequest: () => void;
  /** Called with the size of each object that was downloaded and hashed. */
  onRead: (bytes: number) => void;
}

/** @returns the findings; a failed request is the finding `unreadable`. @throws the signal's reason */
export async function inspect(
  row: SourceRow,
  signal: AbortSignal,
  dependencies: InspectDependencies,
): Promise<Inspection> {
  const { conditions } = dependencies;
  const evidence: Evidence = { documentId: row.id };
  if (row.telnyx) evidence.telnyx = row.telnyx;
  if (row.manifest) evidence.manifest = row.manifest;
  const inspection = (findings: Finding[]): Inspection => {
    const facts = documentFacts(evidence, conditions);
    return { evidence, findings: findings.map((finding) => ({ ...finding, ...facts })) };
  };
  try {
    const outcomes = await Promise.allSettled([
      inspectObject(row, dependencies),
      inspectReceipt(row, dependencies),
    ]);
    signal.throwIfAborted();
    const [object, receipt] = outcomes.map((outcome) => {
      if (outcome.status === 'rejected') throw outcome.reason;
      return outcome.value;
    }) as [Evidence['object'], Evidence['receipt']];
    if (object) evidence.object = object;
    if (receipt) evidence.receipt = receipt;
    return inspection(judge(evidence, conditions));
  } catch (thrown) {
    signal.throwIfAborted();
    const { code, message } = asArchiverError(thrown);
    const detail = `${code}: ${message}`;
    const key = documentKey(row.id);
    return inspection([{ code: 'unreadable', key, documentId: row.id, detail }]);
  }
}

function documentFacts(
  evidence: Evidence,
  { telnyxListed }: AuditConditions,
): Pick<Finding, 'fileName' | 'customerReference' | 'versionId' | 'atTelnyx'> {
  const { telnyx, receipt } = evidence;
  return {
    ...namesOf(evidence),
    versionId: receipt?.reading?.versionId,
    atTelnyx: telnyx ? true : telnyxListed ? false : undefined,
  };
}

/** File name and reference as the receipt states them. Telnyx's list takes precedence over an altered receipt. */
export function namesOf({ telnyx, receipt }: Evidence): Pick<Finding, 'fileName' | 'customerReference'> {
  const reading = receipt?.reading;
  const [first, second] = reading?.alteration === undefined ? [reading, telnyx] : [telnyx, reading];
  return {
    fileName: first?.fileName ?? second?.fileName,
    customerReference: first?.customerReference ?? second?.customerReference,
  };
}

/**
 * The two listings are not read at the same moment. So a document that only one of them has is looked up again, as is
 * one that the manifest names and neither has.
 */
function needsLookup({ object, receipt, manifest }: SourceRow): boolean {
  return (object === undefined) !== (receipt === undefined) || (manifest !== undefined && !object);
}

async function inspectObject(
  row: SourceRow,
  { bucket, retry, quick, readData, now, onRequest, onRead }: InspectDependencies,
): Promise<Evidence['object']> {
  const { object } = row;
  if (!object && !needsLookup(row)) return undefined;
  if (quick && object) return { bytes: object.bytes, modified: object.modified };
  const key = documentKey(row.id);
  const head = await retry((limited) => {
    onRequest();
    return bucket.head(key, limited);
  });
  if (!head) return undefined;
  const found = { bytes: head.bytes, modified: object?.modified ?? now() };
  if (quick) return found;
  // Without a SHA-256 that S3 verified, only the bytes themselves are evidence.
  if (head.sha256 !== undefined && !readData()) return { ...found, sha256: head.sha256 };
  const sha256 = await retry((limited) => {
    onRequest();
    return bucket.hash(key, limited);
  });
  onRead(head.bytes);
  return { ...found, sha256 };
}

async function inspectReceipt(
  row: SourceRow,
  { bucket, retry, quick, now, onRequest }: InspectDependencies,
): Promise<Evidence['receipt']> {
  const { receipt } = row;
  if (!receipt && !needsLookup(row)) return undefined;
  if (quick && receipt) return { modified: receipt.modified };
  if (receipt && receipt.bytes > maxReceiptBytes) {
    return { modified: receipt.modified, reading: tooLargeReceipt(receipt.bytes) };
  }
  const body = await retry((limited) => {
    onRequest();
    return bucket.read(receiptKey(row.id), limited);
  });
  if (!body) return undefined;
  return {
    modified: receipt?.modified ?? now(),
    reading: quick ? undefined : readReceipt(row.id, body),
  };
}

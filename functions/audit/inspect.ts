/** Gathers the evidence on each document from listings, Telnyx, manifest and bucket, and has it judged. */
import {
  documentIdOfReceipt,
  documentKey,
  documentPrefix,
  receiptKey,
  receiptPrefix,
} from '../bucket/keys.ts';
import { type ListedObject, type ListingOptions, listArchive } from '../bucket/listing.ts';
import { documentsIn, manifestOfKey, type NamedDocument } from '../bucket/manifest-text.ts';
import type { StorageRetry } from '../bucket/storage-retry.ts';
import type { Bucket } from '../bucket/store.ts';
import { asArchiverError } from '../errors.ts';
import { uuidPattern } from '../uuid.ts';
import { type Aligned, align } from './align.ts';
import type { Finding } from './findings.ts';
import { type Circumstances, type Evidence, judge } from './judge.ts';
import { largestReceiptBytes, readReceipt, tooLargeReceipt } from './receipt-reading.ts';
import type { ListedDocument } from './telnyx-documents.ts';

/** What the listings and the manifest hold of one document. */
export interface Listed {
  id: string;
  objects?: ListedObject & { id: string };
  receipts?: ListedObject & { id: string };
  telnyx?: ListedDocument;
  named?: NamedDocument;
}

export interface Sources {
  listing: ListingOptions;
  /** Sorted by id. */
  telnyx: Iterable<ListedDocument>;
  /** Path of a manifest on this machine. */
  manifest: string | undefined;
  /** Told of each object whose key is none of the archiver's. */
  onForeign: (object: ListedObject) => void;
}

/** Every document that anybody knows of, sorted by id. @throws ArchiverError those of `listArchive` */
export function gather({ listing, telnyx, manifest, onForeign }: Sources): AsyncGenerator<Listed> {
  // Together these two listings are the whole bucket, so that nothing in it goes unseen.
  const objects = listArchive(listing, { before: receiptPrefix });
  const receipts = listArchive(listing, { from: receiptPrefix });
  type Streams = Aligned<{ [Name in keyof Omit<Listed, 'id'>]-?: NonNullable<Listed[Name]> }>;
  const rows: AsyncGenerator<Streams> = align({
    objects: withIds(objects, documentIdOfObject, onForeign),
    receipts: withIds(receipts, documentIdOfReceipt, onForeign),
    telnyx,
    named: manifest === undefined ? [] : documentsIn(manifest),
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
    else if (!manifestOfKey(object.key)) onForeign(object);
  }
}

function documentIdOfObject(key: string): string | undefined {
  const id = key.startsWith(documentPrefix) ? key.slice(documentPrefix.length) : '';
  return uuidPattern.test(id) ? id : undefined;
}

export interface Inspected {
  evidence: Evidence;
  findings: Finding[];
}

export interface InspectDependencies {
  bucket: Pick<Bucket, 'head' | 'read' | 'hash'>;
  retry: StorageRetry;
  circumstances: Circumstances;
  /** Listings only: no receipt is read, no object is asked for. */
  quick: boolean;
  /** Whether the bytes of the next object are to be read back although S3 has verified them. */
  readData: () => boolean;
  /** Milliseconds since the Unix epoch. */
  now: () => number;
  onRequest: () => void;
  /** Told how many bytes were read back. */
  onRead: (bytes: number) => void;
}

/** @returns what was found; a request that failed is a finding as well. @throws the signal's reason */
export async function inspect(
  listed: Listed,
  signal: AbortSignal,
  dependencies: InspectDependencies,
): Promise<Inspected> {
  const { circumstances } = dependencies;
  const evidence: Evidence = { documentId: listed.id };
  if (listed.telnyx) evidence.telnyx = listed.telnyx;
  if (listed.named) evidence.named = listed.named;
  try {
    const looked = await Promise.allSettled([
      lookAtObject(listed, dependencies),
      lookAtReceipt(listed, dependencies),
    ]);
    signal.throwIfAborted();
    const [object, receipt] = looked.map((end) => {
      if (end.status === 'rejected') throw end.reason;
      return end.value;
    }) as [Evidence['object'], Evidence['receipt']];
    if (object) evidence.object = object;
    if (receipt) evidence.receipt = receipt;
    return { evidence, findings: judge(evidence, circumstances) };
  } catch (thrown) {
    signal.throwIfAborted();
    const { code, message } = asArchiverError(thrown);
    const detail = `${code}: ${message}`;
    const key = documentKey(listed.id);
    return { evidence, findings: [{ code: 'unreadable', key, documentId: listed.id, detail }] };
  }
}

/**
 * The two listings are read side by side, not at one moment: whatever only one of them has is looked at once more,
 * and so is what a manifest names and none has.
 */
function isInDoubt({ objects, receipts, named }: Listed): boolean {
  return (objects === undefined) !== (receipts === undefined) || (named !== undefined && !objects);
}

async function lookAtObject(
  listed: Listed,
  { bucket, retry, quick, readData, now, onRequest, onRead }: InspectDependencies,
): Promise<Evidence['object']> {
  const { objects } = listed;
  if (!objects && !isInDoubt(listed)) return undefined;
  if (quick && objects) return { bytes: objects.bytes, modified: objects.modified };
  const key = documentKey(listed.id);
  const head = await retry((limited) => {
    onRequest();
    return bucket.head(key, limited);
  });
  if (!head) return undefined;
  const found = { bytes: head.bytes, modified: objects?.modified ?? now() };
  if (quick) return found;
  // Without a SHA-256 that S3 has verified there is nothing to go by but the bytes themselves.
  if (head.sha256 !== undefined && !readData()) return { ...found, sha256: head.sha256 };
  const sha256 = await retry((limited) => {
    onRequest();
    return bucket.hash(key, limited);
  });
  onRead(head.bytes);
  return { ...found, sha256 };
}

async function lookAtReceipt(
  listed: Listed,
  { bucket, retry, quick, now, onRequest }: InspectDependencies,
): Promise<Evidence['receipt']> {
  const { receipts } = listed;
  if (!receipts && !isInDoubt(listed)) return undefined;
  if (quick && receipts) return { modified: receipts.modified };
  if (receipts && receipts.bytes > largestReceiptBytes) {
    return { modified: receipts.modified, reading: tooLargeReceipt(receipts.bytes) };
  }
  const body = await retry((limited) => {
    onRequest();
    return bucket.read(receiptKey(listed.id), limited);
  });
  if (!body) return undefined;
  return {
    modified: receipts?.modified ?? now(),
    reading: quick ? undefined : readReceipt(listed.id, body),
  };
}

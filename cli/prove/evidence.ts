/** Collects the evidence on one document in a folder, and checks whether its parts agree. */
import { hash } from 'node:crypto';
import { type ReceiptReading, readReceipt, tooLargeReceipt } from '../../functions/audit/receipt-reading.ts';
import { type DocumentContext, parseContext } from '../../functions/bucket/contexts.ts';
import { type HoldRecord, parseHoldRecord } from '../../functions/bucket/holds.ts';
import {
  contextsOfPrefix,
  contextTombstoneKey,
  documentIdOfContext,
  documentIdOfHold,
  documentKey,
  holdsOfPrefix,
  receiptKey,
} from '../../functions/bucket/keys.ts';
import {
  formatEntry,
  formatLine,
  type ManifestEntry,
  type ManifestLine,
  parseManifestKey,
  tagManifestKey,
} from '../../functions/bucket/manifest-text.ts';
import { openObject } from '../../functions/bucket/open-object.ts';
import { maxReceiptBytes } from '../../functions/bucket/receipts.ts';
import { createRetryingBucket } from '../../functions/bucket/retrying-bucket.ts';
import { asBucketError } from '../../functions/bucket/s3-errors.ts';
import type { StorageRetry } from '../../functions/bucket/storage-retry.ts';
import type { Bucket } from '../../functions/bucket/store.ts';
import { parseTombstone, type Tombstone } from '../../functions/bucket/tombstones.ts';
import type { ObjectLock, Versions } from '../../functions/bucket/versions.ts';
import { ArchiverError } from '../../functions/errors.ts';
import { mapConcurrently } from '../../functions/map-concurrently.ts';
import type { Time } from '../../functions/time.ts';
import { DiskError } from '../../local/s3/file-errors.ts';
import { formatCount } from '../../terminal/counts.ts';
import { FileError } from '../export/folder.ts';
import { safeFileName } from '../export/paths.ts';
import type { BucketAccess } from '../target/target.ts';
import type { ChainLink, ManifestNamings } from './namings.ts';
import type { ProofFolder } from './proof-folder.ts';

/** Where the evidence is read from. */
export interface ProofSource extends Pick<BucketAccess, 's3' | 'name'> {
  bucket: Bucket;
  versions: Pick<Versions, 'of' | 'lockOf'>;
  retry: StorageRetry;
  time: Time;
  signal: AbortSignal;
}

/** The document cannot be proven. The message says why, and what to do. */
export class ProofError extends Error {
  // Stryker disable next-line StringLiteral: only for a stack trace.
  override readonly name = 'ProofError';
}

/** What S3 states about an object. */
export interface StoredFacts {
  key: string;
  /** The SHA-256 that S3 verified and keeps, in lower-case hex. */
  sha256: string | undefined;
  versionId: string;
  /** When S3 wrote it; milliseconds since the Unix epoch. */
  written: number;
  /** Versions and delete markers besides the current version. */
  others: number;
  lock: ObjectLock;
}

export interface ProofEvidence {
  documentId: string;
  /** What is at the keys of document and receipt: these two, or the same tombstone at both. */
  subject:
    | { state: 'archived'; reading: ReceiptReading; bytes: number; sha256: string; namedPath: string }
    | { state: 'erased'; tombstone: Tombstone; sha256: string };
  /** Of object and receipt. */
  stored: readonly StoredFacts[];
  contexts: readonly DocumentContext[];
  /** Whether a tombstone keeps contexts of the erased document from being written. */
  hasContextTombstone: boolean;
  /** Oldest first. */
  holds: readonly HoldRecord[];
  chain: readonly ChainLink[];
  /** Whether the ID of another document in a file name was replaced by `withheld`. */
  isWithheld: boolean;
  /** What is missing for a complete proof, or contradicts it, in words. */
  gaps: readonly string[];
}

/** Names of files in the folder of a proof. */
export const proofFiles = {
  chain: 'chain.txt',
  wholeFiles: 'whole-files.txt',
  excerpts: 'excerpts/',
} as const;

/** Manifests whose files are read at the same time. */
const manifestsAtOnce = 8;

/**
 * @param folder receives the evidence
 * @throws ProofError, DiskError, and the errors of `Bucket`
 */
export async function collectEvidence(
  documentId: string,
  namings: ManifestNamings,
  source: ProofSource,
  folder: ProofFolder,
): Promise<ProofEvidence> {
  const { signal } = source;
  const bucket = createRetryingBucket(source.bucket, source.retry, () => undefined);
  const subject = await collectSubject(documentId, bucket, source, folder);
  const stored = await Promise.all(
    [documentKey(documentId), receiptKey(documentId)].map((key) => storedFacts(key, bucket, source)),
  );
  const isErased = subject.state === 'erased';
  if (isErased && stored.some(({ others }) => others > 0)) throw unfinished('versions are');

  const contexts: DocumentContext[] = [];
  const foreign: string[] = [];
  for await (const key of keysUnder(contextsOfPrefix(documentId), bucket, signal)) {
    if (documentIdOfContext(key) !== documentId) continue;
    if (isErased) throw unfinished('contexts are');
    const body = await readListed(key, bucket, signal);
    try {
      contexts.push(parseContext(key, body));
    } catch (error) {
      // Stryker disable next-line ConditionalExpression: nothing else is thrown; required by the type.
      if (!(error instanceof ArchiverError)) throw error;
      foreign.push(error.message);
      continue;
    }
    await folder.write(key, body);
  }
  const contextTombstone = isErased && (await bucket.read(contextTombstoneKey(documentId), signal));
  if (contextTombstone) {
    if (digestOf(contextTombstone) !== subject.sha256)
      throw unfinished('another tombstone of the contexts is');
    await folder.write(contextTombstoneKey(documentId), contextTombstone);
  }
  const holds: HoldRecord[] = [];
  for await (const key of keysUnder(holdsOfPrefix(documentId), bucket, signal)) {
    if (documentIdOfHold(key) !== documentId) continue;
    const body = await readListed(key, bucket, signal);
    holds.push(parseHoldRecord(key, body));
    // Windows allows no colon in a file name.
    await folder.write(key.replaceAll(':', '-'), body);
  }
  const chain = namings.chainOf(documentId);
  const links = await collectChain(documentId, chain, bucket, signal, folder);
  const gaps = [
    ...gapsOf(subject, stored, chain),
    ...links.gaps,
    ...foreign,
    ...namings.defects.map(({ key, detail }) => `Not used as evidence: ${key}, ${detail}.`),
  ];
  return {
    documentId,
    subject,
    stored,
    contexts,
    hasContextTombstone: Boolean(contextTombstone),
    holds,
    chain,
    isWithheld: links.isWithheld,
    gaps: gaps.map((gap) => withhold(gap, documentId)),
  };
}

async function collectSubject(
  documentId: string,
  bucket: Bucket,
  source: ProofSource,
  folder: ProofFolder,
): Promise<ProofEvidence['subject']> {
  const { signal } = source;
  const key = receiptKey(documentId);
  const head = await bucket.head(key, signal);
  const body = head && head.bytes <= maxReceiptBytes ? await bucket.read(key, signal) : undefined;
  if (!head) throw new ProofError('Not archived: there is no receipt.');
  const tombstone = body && parseTombstone(documentId, body);
  if (typeof tombstone === 'string') throw invalid(`tombstone: ${tombstone}`);
  if (tombstone) {
    const object = await bucket.read(documentKey(documentId), signal);
    if (!object?.equals(body)) throw unfinished('the document is');
    await folder.write(documentKey(documentId), body);
    await folder.write(key, body);
    return { state: 'erased', tombstone, sha256: digestOf(body) };
  }
  const reading = body ? readReceipt(documentId, body) : tooLargeReceipt(head.bytes);
  const { alteration, stated } = reading;
  if (!body || alteration !== undefined) throw invalid(`receipt: ${alteration}`);
  await folder.write(key, body);
  const namedPath = `file/${safeFileName(reading.fileName, documentId)}`;
  const received = await download(documentId, namedPath, source, folder);
  if (received.sha256 !== stated.sha256 || received.bytes !== stated.bytes) {
    throw new ProofError(
      'The receipt does not match the object, which has other bytes. Run `archiver audit --read-data`.',
    );
  }
  return { state: 'archived', reading, ...received, namedPath };
}

function invalid(what: string): ProofError {
  return new ProofError(`Invalid ${what}. Run \`archiver audit\`.`);
}

function unfinished(what: string): ProofError {
  return new ProofError(`The erasure is not finished: ${what} left. Run \`archiver erase\` again.`);
}

/** @throws ProofError, DiskError, and the errors of `Bucket` */
async function download(
  documentId: string,
  namedPath: string,
  { s3, name, retry }: ProofSource,
  folder: ProofFolder,
): Promise<{ bytes: number; sha256: string }> {
  const key = documentKey(documentId);
  return await retry(async (signal) => {
    try {
      const body = await openObject({ s3, name }, key, { signal });
      return await folder.receive(key, body, [namedPath], signal);
    } catch (error) {
      if (error instanceof DiskError || error instanceof FileError) throw error;
      if (error instanceof Error && error.name === 'NoSuchKey') {
        throw new ProofError('The receipt exists but the object does not. Run `archiver audit`.');
      }
      throw asBucketError(error);
    }
  });
}

async function storedFacts(
  key: string,
  bucket: Bucket,
  { versions, retry, signal }: ProofSource,
): Promise<StoredFacts> {
  const all = await retry(() => versions.of(key, signal));
  const current = all.find(({ isLatest, isDeleteMarker }) => isLatest && !isDeleteMarker);
  const head = await bucket.head(key, signal);
  const lock = current && (await retry(() => versions.lockOf(key, current.versionId, signal)));
  // Stryker disable next-line ConditionalExpression: without a version there is no lock either; required by the type.
  if (!head || !current || !lock)
    throw new ProofError('Document or receipt was deleted while it was read. Run `archiver audit`.');
  const { versionId, modified } = current;
  return { key, sha256: head.sha256, versionId, written: modified, others: all.length - 1, lock };
}

async function* keysUnder(prefix: string, bucket: Bucket, signal: AbortSignal): AsyncGenerator<string> {
  let last: string | undefined;
  for (;;) {
    const keys = await bucket.list(prefix, last, signal);
    if (keys.length === 0) return;
    yield* keys;
    last = keys.at(-1);
  }
}

async function readListed(key: string, bucket: Bucket, signal: AbortSignal): Promise<Buffer> {
  const body = await bucket.read(key, signal);
  if (body) return body;
  throw new ProofError(`${key} was listed, but was gone when it was read. Run the command again.`);
}

/**
 * Writes what the chain of manifests states about the document, and nothing about other documents: root manifests and tag
 * files as they are, and excerpts of the files that name documents.
 */
async function collectChain(
  documentId: string,
  chain: readonly ChainLink[],
  bucket: Bucket,
  signal: AbortSignal,
  folder: ProofFolder,
): Promise<{ gaps: string[]; isWithheld: boolean }> {
  const gaps: string[] = [];
  const excerpts: ManifestLine[] = [];
  const excerpt = async ({ key, sha256 }: ManifestLine, lines: string) => {
    const named = { key: withhold(key, documentId), sha256 };
    excerpts.push(named);
    await folder.write(proofFiles.excerpts + named.key, withhold(lines, documentId));
  };
  await mapConcurrently(chain, manifestsAtOnce, signal, async ({ manifest, named }, limited) => {
    const { key, sha256, predecessor, stretches } = manifest;
    // Stryker disable next-line OptionalChaining,StringLiteral: it is the key of a manifest; required by the type.
    const timestamp = parseManifestKey(key)?.timestamp ?? '';
    const tagKey = tagManifestKey(timestamp);
    const tag = await bucket.read(tagKey, limited);
    if (tag?.toString() === formatLine({ sha256, key })) await folder.write(tagKey, tag);
    else gaps.push(`${key} has no tag file that names it.`);
    const first = predecessor ? formatLine(predecessor) : '';
    const lines = named ? formatEntry(named.entry) : '';
    if (!stretches) {
      await excerpt(manifest, first + lines);
      return;
    }
    const root = await bucket.read(key, limited);
    if (!root || digestOf(root) !== sha256) throw changed(key);
    const text = root.toString();
    if (withhold(text, documentId) === text) await folder.write(key, root);
    else await excerpt(manifest, first + (named ? formatLine(named.file) : ''));
    if (named) await excerpt(named.file, lines);
  });
  if (chain.length > 0) {
    await folder.write(proofFiles.chain, chain.map(({ manifest }) => formatLine(manifest)).join(''));
    await folder.write(proofFiles.wholeFiles, excerpts.map(formatLine).sort().join(''));
  }
  return { gaps, isWithheld: excerpts.some(({ key }) => key.includes(withheld)) };
}

function changed(key: string): ProofError {
  return new ProofError(`${key} was changed while it was read. Run \`archiver audit\`.`);
}

const withheld = 'withheld';
const anyId = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g;

/** Replaces the IDs of other documents. The name of a stretch file has one if a piece of the audit ended at that document. */
function withhold(text: string, documentId: string): string {
  return text.replace(anyId, (id) => (id === documentId ? id : withheld));
}

/** What is missing in the evidence, and where it contradicts itself. */
function gapsOf(
  subject: ProofEvidence['subject'],
  stored: readonly StoredFacts[],
  chain: readonly ChainLink[],
): string[] {
  const gaps: string[] = [];
  const [object] = stored;
  const last = chain.at(-1)?.named?.entry;
  if (chain.length === 0) {
    gaps.push('No manifest names the document yet. The next manifest of the audit will.');
  } else if (subject.state === 'erased' && last && last.document !== subject.sha256) {
    gaps.push('No manifest names the tombstone yet. The next manifest of the audit will.');
  }
  if (subject.state === 'archived') {
    const { versionId } = subject.reading;
    // Stryker disable next-line OptionalChaining: there is an object; required by the type.
    if (versionId !== undefined && versionId !== object?.versionId) {
      gaps.push(`The receipt names version ${versionId} of the object, not the current one.`);
    }
  }
  for (const { key, others } of stored) {
    if (others > 0) gaps.push(`${key} has ${formatCount(others, 'other version')}. Run \`archiver audit\`.`);
  }
  for (const { manifest, named } of chain) {
    const detail = named ? contradiction(named.entry, subject) : 'leaves the document out';
    if (detail !== undefined) gaps.push(`${manifest.key} ${detail}.`);
  }
  return gaps;
}

function contradiction(entry: ManifestEntry, subject: ProofEvidence['subject']): string | undefined {
  if (subject.state === 'archived') {
    if (entry.document !== subject.sha256) return 'states another SHA-256 of the document';
    return entry.receipt === subject.reading.digest ? undefined : 'states another SHA-256 of the receipt';
  }
  const { document, receipt } = subject.tombstone.erased;
  const namesTombstone = entry.document === subject.sha256 && entry.receipt === subject.sha256;
  const namesErased = entry.document === document?.sha256 && entry.receipt === receipt?.sha256;
  return namesTombstone || namesErased ? undefined : 'states other digests than the tombstone';
}

function digestOf(bytes: Buffer): string {
  return hash('sha256', bytes);
}

/**
 * Archives one document: check for a receipt, get metadata and download link from Telnyx, copy the download into one
 * PUT, write the receipt.
 */
import { contentDisposition, contentType } from '../bucket/content-disposition.ts';
import { documentKey } from '../bucket/keys.ts';
import type { ReceiptState, Receipts } from '../bucket/receipts.ts';
import type { Bucket, StoredObject } from '../bucket/store.ts';
import { ArchiverError, type ErrorCode } from '../errors.ts';
import type { HttpResponse } from '../http.ts';
import { attempts, type RetryTimings } from '../limits.ts';
import type { Log } from '../log.ts';
import type { DocumentMessage } from '../queue/messages.ts';
import { withRetry } from '../retry.ts';
import type { TelnyxClient, TelnyxDocument } from '../telnyx/client.ts';
import type { Random, Time } from '../time.ts';
import { copyToBucket, measureDownload } from './copy.ts';
import type { Download } from './download.ts';
import { documentTooLarge } from './verifying-body.ts';

export interface ArchiveDependencies {
  telnyx: TelnyxClient;
  download: Download;
  bucket: Bucket;
  receipts: Receipts;
  log: Log;
  time: Time;
  random: Random;
  timings: RetryTimings;
  /** Whether to archive documents that Telnyx's malware scanner reports as infected. */
  archiveInfected: boolean;
  maxDocumentBytes: number;
  /** Version of the archiver, for the receipt. */
  version: string;
}

/** The SQS receive in which a document is archived. */
export interface DocumentReceive {
  /** How often SQS has delivered the message, including this time. */
  receives: number;
  /** Milliseconds since the message was first received. */
  ageMs: number;
  /** Monotonic milliseconds. */
  deadline: number;
  signal: AbortSignal;
}

export type Outcome =
  | { outcome: 'archived'; bytes: number; createdAt: string | undefined }
  | { outcome: 'already-archived' }
  /** An operator has erased the document, so it is not archived again. */
  | { outcome: 'erased' };

/**
 * Archives one document unless its receipt exists or it was erased. Retries until an attempt succeeds. Each attempt
 * starts over with a fresh download link. The number of attempts, the remaining time and the signal limit the retries.
 *
 * @throws ArchiverError with any code that is not about messages, or the signal's reason
 */
export function archiveDocument(
  message: DocumentMessage,
  receive: DocumentReceive,
  dependencies: ArchiveDependencies,
): Promise<Outcome> {
  const { time, random, log, timings } = dependencies;
  const { documentId } = message;
  // From this age on, a failure can make the document a dead letter. Attempts that are spread over time show that the
  // document is at fault, and not a short outage.
  const spreadAttempts = receive.ageMs >= timings.documentFaultAfterMs;
  // An event can arrive before Telnyx's API knows the document, so the first "not found" is retried.
  let wasNotFound = false;
  return withRetry(() => attemptArchive(message, receive, dependencies), {
    maxAttempts: attempts.max,
    delayAfter: (error, attempt, sinceFirstMs) => {
      const isFirstNotFound = error.code === 'DocumentGone' && !wasNotFound;
      wasNotFound ||= isFirstNotFound;
      const delay = isFirstNotFound || isRetryable(error) ? retryDelayMs(error, attempt, random) : undefined;
      if (delay === undefined || !spreadAttempts || error.retryPolicy !== 'retry') return delay;
      return Math.max(delay, (timings.attemptsSpanMs * attempt) / (attempts.max - 1) - sinceFirstMs);
    },
    minTimeLeftMs: attempts.minTimeLeftMs,
    deadline: receive.deadline,
    attemptsSpanMs: timings.attemptsSpanMs,
    signal: receive.signal,
    time,
    onRetry: ({ code }, attempt, delayMs) =>
      log.info('Trying again', { documentId, attempt, retryInMs: Math.round(delayMs), code }),
  });
}

/** Errors that are often over within seconds, so that another attempt within the same receive is worthwhile. */
const transientErrors: ReadonlySet<ErrorCode> = new Set([
  'TelnyxUnavailable',
  'DownloadFailed',
  'BucketConflict',
  'BucketUnavailable',
]);

/** Whether another attempt within the same receive can succeed. */
function isRetryable({ code, retryPolicy, retryAfterMs }: ArchiverError): boolean {
  if (code === 'RateLimited') return retryAfterMs !== undefined;
  return retryPolicy === 'retry' || transientErrors.has(code);
}

/** Milliseconds until the next attempt; undefined if the server asks for a longer wait than one receive allows. */
function retryDelayMs({ retryAfterMs }: ArchiverError, attempt: number, random: Random): number | undefined {
  if (retryAfterMs !== undefined) return retryAfterMs <= attempts.maxDelayMs ? retryAfterMs : undefined;
  const ceiling = Math.min(attempts.maxDelayMs, attempts.minDelayMs * 2 ** attempt);
  return ceiling * (0.5 + random() / 2);
}

async function attemptArchive(
  message: DocumentMessage,
  receive: DocumentReceive,
  dependencies: ArchiveDependencies,
): Promise<Outcome> {
  const { receipts, log, time, version } = dependencies;
  const earlyLookup = isReceiptUnlikely(message, receive)
    ? lookUp(message.documentId, receive.signal, dependencies)
    : undefined;
  // Waits for all requests, even if one fails, so that none outlives the attempt.
  const [receipt] = await Promise.allSettled([
    receipts.state(message.documentId, receive.signal),
    // Stryker disable next-line ArrayDeclaration: only awaited, never read.
    ...(earlyLookup ?? []),
  ]);
  if (receipt.status === 'rejected') throw receipt.reason;
  if (receipt.value !== undefined) return outcomeOf(receipt.value);

  const transferred = await transfer(
    earlyLookup ?? lookUp(message.documentId, receive.signal, dependencies),
    receive.signal,
    dependencies,
  );
  if (transferred === 'erased') return outcomeOf(transferred);
  const { document, object, sha256 } = transferred;
  reportRecord(document, log);
  const stored = await receipts.writeOnce(
    {
      v: 1,
      documentId: message.documentId,
      archivedAt: new Date(time.now()).toISOString(),
      object: {
        key: documentKey(message.documentId),
        bytes: object.bytes,
        sha256,
        sha256StatedBy: document.sha256 === undefined ? 'archiver' : 'telnyx',
        etag: object.etag,
        versionId: object.versionId,
      },
      request: {
        trigger: message.trigger,
        event: message.event,
        requestedAt: message.requestedAt,
        receives: receive.receives,
      },
      archiver: version,
      telnyxCut: document.cut || undefined,
      telnyx: document.record,
    },
    receive.signal,
  );
  return stored === 'written'
    ? { outcome: 'archived', bytes: object.bytes, createdAt: document.createdAt }
    : outcomeOf(stored);
}

function outcomeOf(receipt: ReceiptState): Outcome {
  return { outcome: receipt === 'archived' ? 'already-archived' : 'erased' };
}

/** Logs and counts malformed fields of Telnyx's record, and records that the receipt does not hold in full. */
function reportRecord({ id, malformed, cut }: TelnyxDocument, log: Log): void {
  if (malformed.length > 0) {
    log.warn('Ignored malformed fields of the record', {
      documentId: id,
      problems: malformed.length,
      reason: malformed.join(', '),
    });
    log.count('FieldsMalformed', malformed.length);
  }
  if (cut) {
    log.warn('The record is oversized; the receipt holds only its documented fields', { documentId: id });
    log.count('RecordsCut');
  }
}

/**
 * Whether a sweep or a span found, just before it queued the message, that the receipt does not exist. Telnyx is then
 * asked in parallel with the receipt check, which saves nearly every document one round trip.
 */
function isReceiptUnlikely({ trigger }: DocumentMessage, { receives }: DocumentReceive): boolean {
  return receives === 1 && (trigger === 'sweep' || trigger === 'backfill');
}

/** The two Telnyx requests for one document, running in parallel. */
type TelnyxLookup = readonly [document: Promise<TelnyxDocument>, link: Promise<string>];

function lookUp(documentId: string, signal: AbortSignal, { telnyx }: ArchiveDependencies): TelnyxLookup {
  return [telnyx.document(documentId, signal), telnyx.downloadLink(documentId, signal)];
}

interface Transferred {
  document: TelnyxDocument;
  object: StoredObject;
  /** Lower-case hex. The same for the object and for the document at Telnyx. */
  sha256: string;
}

/** Waits for metadata and link, then copies the document. */
async function transfer(
  lookup: TelnyxLookup,
  signal: AbortSignal,
  dependencies: ArchiveDependencies,
): Promise<Transferred | 'erased'> {
  // Waits for both requests, even if one fails, so that none outlives the attempt.
  await Promise.allSettled(lookup);
  const [document, link] = await Promise.all(lookup);
  assertAllowed(document, dependencies);
  return copyDocument(document, link, document, signal, dependencies);
}

/**
 * Downloads the document and uploads it to the bucket.
 *
 * @param known length and SHA-256 of the document, if known
 * @throws ArchiverError KeyCollision if the bucket has other bytes under the key of a document that is not erased
 */
async function copyDocument(
  document: TelnyxDocument,
  link: string,
  known: Pick<TelnyxDocument, 'bytes' | 'sha256'>,
  signal: AbortSignal,
  dependencies: ArchiveDependencies,
): Promise<Transferred | 'erased'> {
  const { telnyx, download, bucket, receipts, time, maxDocumentBytes } = dependencies;
  const response = await download(link, signal);
  const bytes = lengthOf(response, known.bytes, maxDocumentBytes);
  if (bytes === undefined) {
    // S3 requires the length before the first byte: download once to measure, then again to copy.
    const expected = { bytes, maxBytes: maxDocumentBytes, sha256: known.sha256 };
    const measured = await measureDownload(response, expected, time, signal);
    const freshLink = await telnyx.downloadLink(document.id, signal);
    return copyDocument(document, freshLink, measured, signal, dependencies);
  }

  const target = {
    key: documentKey(document.id),
    bytes,
    sha256: known.sha256,
    contentType: contentType(document.contentType),
    contentDisposition: contentDisposition(document.fileName),
  };
  const { stored, digest } = await copyToBucket(response, target, { bucket, time }, signal);
  if (stored !== 'exists') return { document, object: stored, sha256: digest };

  // The object exists: another delivery of this message stored it, an earlier receive that failed before its receipt, or
  // an erasure. An erasure replaces the receipt before the object.
  const isErased = async () => (await receipts.state(document.id, signal)) === 'erased';
  if (await isErased()) return 'erased';
  const downloadedDigest = async () =>
    (await measureDownload(await download(link, signal), { bytes, sha256: undefined }, time, signal)).sha256;
  const sha256 = known.sha256 ?? digest ?? (await downloadedDigest());
  const object = await existingObject(target.key, sha256, bucket, signal);
  if (object !== undefined) return { document, object, sha256 };
  // The erasure may have begun since the first check.
  if (await isErased()) return 'erased';
  throw new ArchiverError(
    'KeyCollision',
    'The key of this document already holds different bytes. Nothing was overwritten. Compare the two manually.',
  );
}

/**
 * Returns the existing object if its SHA-256 is `sha256`, otherwise undefined. If S3 states no SHA-256 of the whole
 * object, reads the object back to compute it.
 *
 * @throws ArchiverError BucketConflict if the object no longer exists
 */
async function existingObject(
  key: string,
  sha256: string,
  bucket: Bucket,
  signal: AbortSignal,
): Promise<StoredObject | undefined> {
  const existing = await bucket.head(key, signal);
  if (existing === undefined) {
    throw new ArchiverError('BucketConflict', 'The object existed during the upload but was then not found.');
  }
  return (existing.sha256 ?? (await bucket.hash(key, signal))) === sha256 ? existing : undefined;
}

/** @throws ArchiverError DocumentInfected, DocumentTooLarge */
function assertAllowed(
  document: TelnyxDocument,
  { archiveInfected, maxDocumentBytes }: ArchiveDependencies,
): void {
  if (document.infected && !archiveInfected) {
    throw new ArchiverError(
      'DocumentInfected',
      "Telnyx's scanner found malware in the document. Set archiveInfected to keep such documents too.",
    );
  }
  if (document.bytes !== undefined) assertWithinLimit(document.bytes, maxDocumentBytes);
}

/** @throws ArchiverError DocumentTooLarge */
function assertWithinLimit(bytes: number, maxDocumentBytes: number): void {
  if (bytes <= maxDocumentBytes) return;
  throw documentTooLarge(bytes, maxDocumentBytes);
}

/**
 * Length of the document in bytes: `known`, or the response's Content-Length; undefined if neither is stated.
 *
 * @throws ArchiverError SizeMismatch, DocumentTooLarge; the response's body is then destroyed
 */
function lengthOf(
  response: HttpResponse,
  known: number | undefined,
  maxDocumentBytes: number,
): number | undefined {
  const header = response.headers['content-length'];
  const bytes = known ?? (header === undefined ? undefined : Number(header));
  try {
    if (header !== undefined && Number(header) !== bytes) {
      throw new ArchiverError(
        'SizeMismatch',
        `Expected ${bytes} bytes, but the Content-Length is ${header}.`,
      );
    }
    if (bytes !== undefined) assertWithinLimit(bytes, maxDocumentBytes);
    return bytes;
  } catch (error) {
    response.body.destroy();
    throw error;
  }
}

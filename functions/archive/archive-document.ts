/**
 * The story of one document: is there a receipt? → metadata and link → download → one PUT → receipt.
 */
import { contentDisposition, contentType } from '../bucket/content-disposition.ts';
import { documentKey } from '../bucket/keys.ts';
import type { Receipts } from '../bucket/receipts.ts';
import type { Bucket, StoredObject } from '../bucket/store.ts';
import { ArchiverError, type ErrorCode } from '../errors.ts';
import type { HttpAnswer } from '../http.ts';
import { attempts, type RetryTimings } from '../limits.ts';
import type { Log } from '../log.ts';
import type { DocumentMessage } from '../queue/messages.ts';
import { withRetry } from '../retry.ts';
import type { TelnyxClient, TelnyxDocument } from '../telnyx/client.ts';
import type { Random, Time } from '../time.ts';
import { copyToBucket, measure } from './copy.ts';
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
  /** Whether documents that Telnyx's scanner calls infected are archived too. */
  archiveInfected: boolean;
  maxDocumentBytes: number;
  /** Version of the archiver, for the receipt. */
  version: string;
}

/** The receive that a document is archived in. */
export interface DocumentReceive {
  /** How often SQS has delivered the message, this time included. */
  receives: number;
  /** Milliseconds since the message was first received. */
  ageMs: number;
  /** Monotonic milliseconds. */
  deadline: number;
  signal: AbortSignal;
}

export type Outcome =
  | { outcome: 'archived'; bytes: number; createdAt: string | undefined }
  | { outcome: 'already-archived' };

/**
 * Archives one document, or finds that it is archived. Attempts are made until one succeeds, each from the beginning
 * with a fresh link, bounded by their count, the time left and the signal.
 *
 * @throws ArchiverError of any code that is not about messages, or the signal's reason
 */
export function archiveDocument(
  message: DocumentMessage,
  receive: DocumentReceive,
  dependencies: ArchiveDependencies,
): Promise<Outcome> {
  const { time, random, log, timings } = dependencies;
  const { documentId } = message;
  // Once the document itself may be at fault, attempts are spread, so that a dead letter says something.
  const spread = receive.ageMs >= timings.documentFaultAfterMs;
  // The event may be faster than the document: what Telnyx does not know (yet) is looked up twice.
  let isGone = false;
  return withRetry(() => archiveOnce(message, receive, dependencies), {
    most: attempts.most,
    delayAfter: (error, attempt, sinceFirstMs) => {
      const isFirstGone = error.code === 'DocumentGone' && !isGone;
      isGone ||= isFirstGone;
      const delay =
        isFirstGone || isWorthAnotherAttempt(error) ? delayBefore(error, attempt, random) : undefined;
      if (delay === undefined || !spread || error.retryPolicy !== 'retry') return delay;
      return Math.max(delay, (timings.attemptsSpanMs * attempt) / (attempts.most - 1) - sinceFirstMs);
    },
    leastTimeMs: attempts.leastTimeMs,
    deadline: receive.deadline,
    attemptsSpanMs: timings.attemptsSpanMs,
    signal: receive.signal,
    time,
    onRetry: ({ code }, attempt, delayMs) =>
      log.info('Trying again', { documentId, attempt, retryInMs: Math.round(delayMs), code }),
  });
}

/** What passes so soon that another attempt within the same receive is worth it. */
const briefOutages: ReadonlySet<ErrorCode> = new Set([
  'TelnyxUnavailable',
  'DownloadFailed',
  'BucketConflict',
  'BucketUnavailable',
]);

function isWorthAnotherAttempt({ code, retryPolicy, retryAfterMs }: ArchiverError): boolean {
  if (code === 'RateLimited') return retryAfterMs !== undefined;
  return retryPolicy === 'retry' || briefOutages.has(code);
}

/** Milliseconds to wait before another attempt; undefined where the other side asks for more than a receive allows. */
function delayBefore({ retryAfterMs }: ArchiverError, attempt: number, random: Random): number | undefined {
  if (retryAfterMs !== undefined) return retryAfterMs <= attempts.maxDelayMs ? retryAfterMs : undefined;
  const ceiling = Math.min(attempts.maxDelayMs, attempts.minDelayMs * 2 ** attempt);
  return ceiling * (0.5 + random() / 2);
}

async function archiveOnce(
  message: DocumentMessage,
  receive: DocumentReceive,
  dependencies: ArchiveDependencies,
): Promise<Outcome> {
  const { receipts, log, time, version } = dependencies;
  const asked = isFoundWithoutReceipt(message, receive)
    ? ask(message.documentId, receive.signal, dependencies)
    : undefined;
  // All are waited for, whatever comes of one of them: nothing is left running.
  const [isSettled] = await Promise.allSettled([
    receipts.exists(message.documentId, receive.signal),
    ...(asked ?? []),
  ]);
  if (isSettled.status === 'rejected') throw isSettled.reason;
  if (isSettled.value) return { outcome: 'already-archived' };

  const { document, object, sha256 } = await transfer(
    asked ?? ask(message.documentId, receive.signal, dependencies),
    receive.signal,
    dependencies,
  );
  reportRecord(document, log);
  const written = await receipts.writeOnce(
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
  return written
    ? { outcome: 'archived', bytes: object.bytes, createdAt: document.createdAt }
    : { outcome: 'already-archived' };
}

/** Says what of Telnyx's record is not as specified, or not in the receipt. */
function reportRecord({ id, malformed, cut }: TelnyxDocument, log: Log): void {
  if (malformed.length > 0) {
    log.warn('Fields of the record are not as specified and count as not stated', {
      documentId: id,
      problems: malformed.length,
      reason: malformed.join(', '),
    });
    log.count('FieldsMalformed', malformed.length);
  }
  if (cut) {
    log.warn('The receipt holds only the specified fields of an oversized record', { documentId: id });
    log.count('RecordsCut');
  }
}

/**
 * Whether a sweep or a span has looked for the receipt just before and found none. Then Telnyx is asked without
 * waiting for the answer to a second look, which is one wait less for nearly every document.
 */
function isFoundWithoutReceipt({ trigger }: DocumentMessage, { receives }: DocumentReceive): boolean {
  return receives === 1 && (trigger === 'sweep' || trigger === 'backfill');
}

type Questions = readonly [document: Promise<TelnyxDocument>, link: Promise<string>];

function ask(documentId: string, signal: AbortSignal, { telnyx }: ArchiveDependencies): Questions {
  return [telnyx.document(documentId, signal), telnyx.downloadLink(documentId, signal)];
}

interface Transferred {
  document: TelnyxDocument;
  object: StoredObject;
  /** Lower-case hex: of the bytes in the bucket, and of those at Telnyx. */
  sha256: string;
}

/** From metadata and link, asked for side by side, to the object. */
async function transfer(
  asked: Questions,
  signal: AbortSignal,
  dependencies: ArchiveDependencies,
): Promise<Transferred> {
  // Both are waited for even if one fails: nothing is left running.
  await Promise.allSettled(asked);
  const [document, link] = await Promise.all(asked);
  refuseUnwanted(document, dependencies);
  return copyDocument(document, link, document, signal, dependencies);
}

/**
 * From the link to the object.
 *
 * @param known length and SHA-256 of the bytes behind the link, where they are known
 */
async function copyDocument(
  document: TelnyxDocument,
  link: string,
  known: Pick<TelnyxDocument, 'bytes' | 'sha256'>,
  signal: AbortSignal,
  dependencies: ArchiveDependencies,
): Promise<Transferred> {
  const { telnyx, download, bucket, time, maxDocumentBytes } = dependencies;
  const answer = await download(link, signal);
  const bytes = announcedBytes(known.bytes, answer, maxDocumentBytes);
  if (bytes === undefined) {
    // S3 must know the length before the first byte: one reading to learn it, another to copy.
    const promised = { bytes, maxBytes: maxDocumentBytes, sha256: known.sha256 };
    const measured = await measure(answer, promised, time, signal);
    const freshLink = await telnyx.downloadLink(document.id, signal);
    return copyDocument(document, freshLink, measured, signal, dependencies);
  }

  const copy = {
    key: documentKey(document.id),
    bytes,
    sha256: known.sha256,
    contentType: contentType(document.contentType),
    contentDisposition: contentDisposition(document.fileName),
  };
  const { stored, digest } = await copyToBucket(answer, copy, { bucket, time }, signal);
  if (stored !== 'exists') return { document, object: stored, sha256: digest };

  // Another delivery of this message, or a receive that ended before the receipt, was here first.
  const readAgain = async () =>
    (await measure(await download(link, signal), { bytes, sha256: undefined }, time, signal)).sha256;
  const expected = known.sha256 ?? digest ?? (await readAgain());
  return { document, object: await assertSameContent(copy.key, expected, bucket, signal), sha256: expected };
}

/**
 * The object that stands at the key, if it has the digest: as S3 states it or, where S3 has none for the whole
 * object, as its bytes read back have it.
 *
 * @throws ArchiverError KeyCollision
 */
async function assertSameContent(
  key: string,
  sha256: string,
  bucket: Bucket,
  signal: AbortSignal,
): Promise<StoredObject> {
  const existing = await bucket.head(key, signal);
  if (existing === undefined) {
    throw new ArchiverError('BucketConflict', 'The object was there and is gone again.');
  }
  if ((existing.sha256 ?? (await bucket.hash(key, signal))) === sha256) return existing;
  throw new ArchiverError(
    'KeyCollision',
    'The key of this document holds other bytes. Nothing was overwritten; compare both by hand.',
  );
}

function refuseUnwanted(
  document: TelnyxDocument,
  { archiveInfected, maxDocumentBytes }: ArchiveDependencies,
): void {
  if (document.infected && !archiveInfected) {
    throw new ArchiverError(
      'DocumentInfected',
      "Telnyx's scanner found malware in the document. Set archiveInfected to keep such documents too.",
    );
  }
  if (document.bytes !== undefined) refuseTooLarge(document.bytes, maxDocumentBytes);
}

function refuseTooLarge(bytes: number, maxDocumentBytes: number): void {
  if (bytes <= maxDocumentBytes) return;
  throw documentTooLarge(bytes, maxDocumentBytes);
}

/**
 * How many bytes there will be: as known already, else as the storage announces; undefined if it does not.
 *
 * @throws ArchiverError SizeMismatch, DocumentTooLarge; the answer's body is destroyed then
 */
function announcedBytes(
  known: number | undefined,
  answer: HttpAnswer,
  maxDocumentBytes: number,
): number | undefined {
  const header = answer.headers['content-length'];
  const bytes = known ?? (header === undefined ? undefined : Number(header));
  try {
    if (header !== undefined && Number(header) !== bytes) {
      throw new ArchiverError(
        'SizeMismatch',
        `The storage announces ${header} bytes for a document of ${bytes}.`,
      );
    }
    if (bytes !== undefined) refuseTooLarge(bytes, maxDocumentBytes);
    return bytes;
  } catch (error) {
    answer.body.destroy();
    throw error;
  }
}

/**
 * The story of one document: is there a receipt? → metadata and link → download → one PUT → receipt.
 */
import pRetry from 'p-retry';
import { contentDisposition, contentType } from '../bucket/content-disposition.ts';
import { documentKey } from '../bucket/keys.ts';
import type { Receipts } from '../bucket/receipts.ts';
import type { Bucket, StoredObject } from '../bucket/store.ts';
import { ArchiverError } from '../errors.ts';
import type { HttpAnswer } from '../http.ts';
import { attempts } from '../limits.ts';
import type { Log } from '../log.ts';
import type { DocumentMessage } from '../queue/messages.ts';
import type { TelnyxClient, TelnyxDocument } from '../telnyx/client.ts';
import { type Random, sleep, type Time } from '../time.ts';
import { copyToBucket, digestOf } from './copy.ts';
import type { Download } from './download.ts';

export interface ArchiveDependencies {
  telnyx: TelnyxClient;
  download: Download;
  bucket: Bucket;
  receipts: Receipts;
  log: Log;
  time: Time;
  random: Random;
  /** Whether documents that Telnyx's scanner calls infected are archived too. */
  archiveInfected: boolean;
  maxDocumentBytes: number;
  /** Version of the archiver, for the receipt. */
  version: string;
}

/** How often SQS has delivered this message, and until when there is time to work on it. */
export interface Receive {
  receives: number;
  /** Monotonic milliseconds. */
  deadline: number;
  signal: AbortSignal;
}

export type Outcome =
  | { outcome: 'archived'; bytes: number; createdAt: string | undefined }
  | { outcome: 'already-archived' };

/**
 * Archives one document, or finds that it is archived.
 *
 * @throws ArchiverError of any code that is not about messages, or the signal's reason
 */
export async function archiveDocument(
  message: DocumentMessage,
  receive: Receive,
  dependencies: ArchiveDependencies,
): Promise<Outcome> {
  const { receipts, time, version } = dependencies;
  if (await receipts.exists(message.documentId, receive.signal)) return { outcome: 'already-archived' };

  const { document, object, sha256 } = await transferWithRetries(message.documentId, receive, dependencies);
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
      telnyx: document.record,
    },
    receive.signal,
  );
  return written
    ? { outcome: 'archived', bytes: object.bytes, createdAt: document.createdAt }
    : { outcome: 'already-archived' };
}

interface Transferred {
  document: TelnyxDocument;
  object: StoredObject;
  /** Lower-case hex: of the bytes in the bucket, and of those at Telnyx. */
  sha256: string;
}

/** p-retry around whole attempts, each with a fresh link: bounded by count, by the time left and by the signal. */
function transferWithRetries(
  documentId: string,
  { deadline, signal }: Receive,
  dependencies: ArchiveDependencies,
): Promise<Transferred> {
  const { time, random, log } = dependencies;
  return pRetry(() => transfer(documentId, signal, dependencies), {
    retries: attempts.retries,
    // p-retry's own waiting knows only the real clock: the waiting is done in shouldRetry.
    minTimeout: 0,
    signal,
    shouldRetry: async ({ error, attemptNumber }) => {
      if (!(error instanceof ArchiverError)) return false;
      const { code } = error;
      const delay = delayBeforeAttempt(error, attemptNumber, random);
      if (delay === undefined || deadline - time.monotonic() < delay + attempts.leastTimeMs) return false;
      log.info('Trying again', { documentId, attempt: attemptNumber, retryInMs: Math.round(delay), code });
      await sleep(time, delay, signal);
      return true;
    },
  });
}

/**
 * Milliseconds to wait before another attempt within the same receive; undefined where that makes no sense. A
 * document that Telnyx does not know (yet) is looked up twice, since the event may be faster than the document.
 */
function delayBeforeAttempt(error: ArchiverError, attemptNumber: number, random: Random): number | undefined {
  const again =
    error.fate === 'retry' ||
    (error.code === 'DocumentGone' && attemptNumber === 1) ||
    (error.code === 'RateLimited' && error.retryAfterMs !== undefined);
  if (!again) return undefined;
  if (error.retryAfterMs !== undefined) {
    return error.retryAfterMs <= attempts.maxDelayMs ? error.retryAfterMs : undefined;
  }
  const ceiling = Math.min(attempts.maxDelayMs, attempts.minDelayMs * 2 ** attemptNumber);
  return ceiling * (0.5 + random() / 2);
}

/** One attempt: metadata and link side by side, then the bytes. */
async function transfer(
  documentId: string,
  signal: AbortSignal,
  dependencies: ArchiveDependencies,
): Promise<Transferred> {
  const { telnyx, download, bucket, time } = dependencies;
  const asked = [telnyx.document(documentId, signal), telnyx.downloadLink(documentId, signal)] as const;
  // Both are waited for even if one fails: nothing is left running.
  await Promise.allSettled(asked);
  const [document, link] = await Promise.all(asked);
  refuseUnwanted(document, dependencies);

  const answer = await download(link, signal);
  const bytes = announcedBytes(document, answer, dependencies.maxDocumentBytes);
  const copy = {
    key: documentKey(documentId),
    bytes,
    sha256: document.sha256,
    contentType: contentType(document.contentType),
    contentDisposition: contentDisposition(document.fileName),
  };
  const { stored, digest } = await copyToBucket(answer, copy, { bucket, time }, signal);
  if (stored !== 'exists') return { document, object: stored, sha256: digest };

  // Another delivery of this message, or a receive that ended before the receipt, was here first.
  const expected =
    document.sha256 ?? digest ?? (await digestOf(await download(link, signal), bytes, time, signal));
  return { document, object: await provenSame(copy.key, expected, bucket, signal), sha256: expected };
}

/**
 * The object that stands at the key, if it has the digest: as S3 states it or, where S3 has none for the whole
 * object, as its bytes read back have it.
 *
 * @throws ArchiverError KeyCollision
 */
async function provenSame(
  key: string,
  sha256: string,
  bucket: Bucket,
  signal: AbortSignal,
): Promise<StoredObject> {
  const standing = await bucket.head(key, signal);
  if (standing === undefined) {
    throw new ArchiverError('BucketConflict', 'The object was there and is gone again.');
  }
  if ((standing.sha256 ?? (await bucket.hash(key, signal))) === sha256) return standing;
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
  throw new ArchiverError(
    'DocumentTooLarge',
    `The document has ${bytes} bytes; at most ${maxDocumentBytes} are archived.`,
  );
}

/** How many bytes there will be, which S3 must be told before the first: Telnyx's figure, else the storage's. */
function announcedBytes(document: TelnyxDocument, answer: HttpAnswer, maxDocumentBytes: number): number {
  const header = answer.headers['content-length'];
  const announced = document.bytes ?? (header === undefined ? undefined : Number(header));
  try {
    if (announced === undefined) {
      throw new ArchiverError(
        'LengthUnknown',
        'Neither Telnyx nor its storage states the length of the document, which S3 must know beforehand.',
      );
    }
    if (header !== undefined && Number(header) !== announced) {
      throw new ArchiverError(
        'SizeMismatch',
        `Telnyx states ${announced} bytes for the document, its storage ${header}.`,
      );
    }
    refuseTooLarge(announced, maxDocumentBytes);
    return announced;
  } catch (error) {
    answer.body.destroy();
    throw error;
  }
}

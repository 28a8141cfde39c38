/**
 * One document's bytes, from an open download into one PUT. Whatever goes wrong on either side ends both sides.
 */
import { pipeline } from 'node:stream/promises';
import type { Bucket, StoredObject } from '../bucket/store.ts';
import { ArchiverError, nameOf } from '../errors.ts';
import type { HttpAnswer } from '../http.ts';
import { calls } from '../limits.ts';
import type { Time } from '../time.ts';
import { VerifyingTransform } from './verifying-transform.ts';

export interface Copy {
  key: string;
  bytes: number;
  /** What Telnyx states, in lower-case hex. */
  sha256: string | undefined;
  contentType: string;
  contentDisposition: string;
}

/** What the PUT ended with, and the digest of the bytes in lower-case hex, known only if all of them were read. */
export type Copied =
  | { stored: StoredObject; digest: string }
  | { stored: 'exists'; digest: string | undefined };

/**
 * @throws ArchiverError SizeMismatch, ChecksumMismatch, DownloadFailed, those of `Bucket`, or the signal's reason:
 *   whichever came first
 */
export async function copyToBucket(
  answer: HttpAnswer,
  copy: Copy,
  { bucket, time }: { bucket: Bucket; time: Time },
  signal: AbortSignal,
): Promise<Copied> {
  const verifier = new VerifyingTransform({ bytes: copy.bytes, sha256: copy.sha256 });
  const upload = new AbortController();
  let cause: unknown;
  const end = (error: unknown) => {
    cause ??= error;
    upload.abort(cause);
    verifier.destroy();
  };

  const reading = readThrough(answer, verifier, time, signal).catch(end);
  const writing = bucket
    // The invocation's end too must reach an upload whose bytes have all been read.
    .putOnce({ ...copy, body: verifier, sha256: copy.sha256 }, AbortSignal.any([signal, upload.signal]))
    .then((stored) => {
      // An early 412: nobody reads the rest.
      if (stored === 'exists' && !verifier.writableFinished) verifier.destroy();
      return stored;
    })
    .catch((error: unknown) => {
      end(error);
      return undefined;
    });

  const stored = await writing;
  await reading;
  if (stored === 'exists') return { stored, digest: verifier.digest };
  const { digest } = verifier;
  if (stored === undefined || cause !== undefined || digest === undefined) throw cause;
  if (stored.sha256 !== undefined && stored.sha256 !== digest) {
    throw new ArchiverError('ChecksumMismatch', 'S3 states another SHA-256 than that of the bytes sent.');
  }
  return { stored, digest };
}

/**
 * The digest of a download, read to its end and kept nowhere.
 *
 * @throws as `copyToBucket` for the side of the download
 */
export async function digestOf(
  answer: HttpAnswer,
  bytes: number,
  time: Time,
  signal: AbortSignal,
): Promise<string> {
  const verifier = new VerifyingTransform({ bytes, sha256: undefined });
  // The bytes themselves go nowhere. A second pipeline would be the first to fail, with an error not translated.
  verifier.resume();
  await readThrough(answer, verifier, time, signal);
  // There, now that the verifier has ended without an error.
  return verifier.digest as string;
}

/** Pumps the download into the verifier; a source that sends nothing while it is asked for more counts as stalled. */
async function readThrough(
  answer: HttpAnswer,
  verifier: VerifyingTransform,
  time: Time,
  signal: AbortSignal,
): Promise<void> {
  const stopWatching = watchForStall(answer, verifier, time);
  try {
    await pipeline(answer.body, verifier, { signal });
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof ArchiverError) throw error;
    throw new ArchiverError('DownloadFailed', `The download broke off (${nameOf(error)}).`, { cause: error });
  } finally {
    stopWatching();
  }
}

/** How often to look: a stall is found out within 10 s, before S3's own patience of 15 s is at an end. */
const lookEveryMs = calls.downloadIdleMs / 4;

function watchForStall(answer: HttpAnswer, verifier: VerifyingTransform, time: Time): () => void {
  let seen = 0;
  let silentSince = time.monotonic();
  let cancel: () => void;
  const look = () => {
    // While S3 holds the stream back, the silence is not the source's.
    if (verifier.passed !== seen || verifier.writableNeedDrain || verifier.writableFinished) {
      seen = verifier.passed;
      silentSince = time.monotonic();
    } else if (time.monotonic() - silentSince >= calls.downloadIdleMs) {
      answer.body.destroy(
        new ArchiverError(
          'DownloadFailed',
          `The storage sent nothing for ${calls.downloadIdleMs / 1_000} s.`,
        ),
      );
      return;
    }
    cancel = time.after(lookEveryMs, look);
  };
  cancel = time.after(lookEveryMs, look);
  return () => cancel();
}

/**
 * One document's bytes, from an open download into one PUT. Whatever goes wrong on either side ends both sides.
 */
import type { Bucket, StoredObject } from '../bucket/store.ts';
import { ArchiverError } from '../errors.ts';
import type { HttpAnswer } from '../http.ts';
import { calls } from '../limits.ts';
import type { Time } from '../time.ts';
import { type Promised, VerifyingBody } from './verifying-body.ts';

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
export function copyToBucket(
  answer: HttpAnswer,
  copy: Copy,
  { bucket, time }: { bucket: Bucket; time: Time },
  signal: AbortSignal,
): Promise<Copied> {
  return withBody(answer, copy, time, signal, async (body) => {
    const upload = new AbortController();
    body.verified.catch((cause: unknown) => upload.abort(cause));
    // The invocation's end too must reach an upload whose bytes have all been read.
    const stored = await bucket.putOnce({ ...copy, body }, AbortSignal.any([signal, upload.signal]));
    if (stored === 'exists') return { stored, digest: body.digest };
    const digest = await body.verified;
    if (stored.sha256 !== undefined && stored.sha256 !== digest) {
      throw new ArchiverError('ChecksumMismatch', 'S3 states another SHA-256 than that of the bytes sent.');
    }
    return { stored, digest };
  });
}

/**
 * Length and SHA-256 (lower-case hex) of a download, which is read to its end and kept nowhere.
 *
 * @throws as `copyToBucket` for the side of the download, and ArchiverError DocumentTooLarge
 */
export function measure(
  answer: HttpAnswer,
  promised: Promised,
  time: Time,
  signal: AbortSignal,
): Promise<{ bytes: number; sha256: string }> {
  return withBody(answer, promised, time, signal, async (body) => {
    body.resume();
    const sha256 = await body.verified;
    return { bytes: body.passed, sha256 };
  });
}

/** The download is open no longer than `use` takes, breaks off with the signal, and is watched over meanwhile. */
async function withBody<Result>(
  answer: HttpAnswer,
  promised: Promised,
  time: Time,
  signal: AbortSignal,
  use: (body: VerifyingBody) => Promise<Result>,
): Promise<Result> {
  const body = new VerifyingBody(answer.body, promised);
  const stopWatching = watchForStall(body, time);
  const onAbort = () => body.breakOff(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  try {
    return await use(body);
  } finally {
    signal.removeEventListener('abort', onAbort);
    stopWatching();
    body.destroy();
  }
}

/** How often to look: a stall is found out within 10 s, before S3's own patience of 15 s is at an end. */
const lookEveryMs = calls.downloadIdleMs / 4;

/**
 * Ends a download whose source sends nothing while it is asked for more, or too little on the whole. Only the time in
 * which bytes are awaited counts, so that a slow upload is not blamed on the source.
 */
function watchForStall(body: VerifyingBody, time: Time): () => void {
  let seen = 0;
  let lookedAt = time.monotonic();
  let silentMs = 0;
  let awaitedMs = 0;
  let cancel: () => void;
  const look = () => {
    const passedMs = time.monotonic() - lookedAt;
    lookedAt += passedMs;
    silentMs = body.passed === seen && body.awaitsSource ? silentMs + passedMs : 0;
    seen = body.passed;
    if (body.awaitsSource) awaitedMs += passedMs;
    const problem = problemOf(body.passed, silentMs, awaitedMs);
    if (problem === undefined) cancel = time.after(lookEveryMs, look);
    else
      body.breakOff(
        new ArchiverError('DownloadFailed', `${problem} The next attempt asks for a fresh link.`),
      );
  };
  cancel = time.after(lookEveryMs, look);
  return () => cancel();
}

/** What is wrong with the pace of a download, if anything. */
function problemOf(bytes: number, silentMs: number, awaitedMs: number): string | undefined {
  if (silentMs >= calls.downloadIdleMs)
    return `The storage sent nothing for ${calls.downloadIdleMs / 1_000} s.`;
  const allowedMs = Math.max(calls.downloadMs, (bytes / calls.downloadBytesPerSecond) * 1_000);
  if (awaitedMs <= allowedMs) return undefined;
  const seconds = Math.round(awaitedMs / 1_000);
  return `The storage sent only ${bytes} bytes in ${seconds} s, less than ${calls.downloadBytesPerSecond} a second.`;
}

/**
 * Copies an open download into one PUT. A failure on either side ends both.
 */
import type { Bucket, StoredObject } from '../bucket/store.ts';
import { ArchiverError } from '../errors.ts';
import type { HttpResponse } from '../http.ts';
import { calls } from '../limits.ts';
import type { Time } from '../time.ts';
import { type ExpectedContent, VerifyingBody } from './verifying-body.ts';

export interface CopyTarget {
  key: string;
  bytes: number;
  /** The SHA-256 of the document, in lower-case hex, if known. */
  sha256: string | undefined;
  contentType: string;
  contentDisposition: string;
}

/**
 * `stored` is the new object, or `exists` if the key was taken. `digest` is the SHA-256 of the download in lower-case
 * hex, undefined if the download was not read to its end.
 */
export type CopyResult =
  | { stored: StoredObject; digest: string }
  | { stored: 'exists'; digest: string | undefined };

/**
 * @throws ArchiverError SizeMismatch, ChecksumMismatch, DownloadFailed, those of `Bucket`, or the signal's reason:
 *   whichever comes first
 */
export function copyToBucket(
  response: HttpResponse,
  target: CopyTarget,
  { bucket, time }: { bucket: Bucket; time: Time },
  signal: AbortSignal,
): Promise<CopyResult> {
  return withBody(response, target, time, signal, async (body) => {
    const upload = new AbortController();
    body.verified.catch((cause: unknown) => upload.abort(cause));
    // `signal` is needed as well: once all bytes are verified, it no longer reaches the upload through the body.
    const stored = await bucket.putOnce({ ...target, body }, AbortSignal.any([signal, upload.signal]));
    if (stored === 'exists') return { stored, digest: body.digest };
    const digest = await body.verified;
    if (stored.sha256 !== undefined && stored.sha256 !== digest) {
      throw new ArchiverError(
        'ChecksumMismatch',
        'S3 returned a SHA-256 that does not match the bytes sent.',
      );
    }
    return { stored, digest };
  });
}

/**
 * Reads a download to its end without storing it, and returns its length and SHA-256 (lower-case hex).
 *
 * @throws ArchiverError SizeMismatch, ChecksumMismatch, DocumentTooLarge, DownloadFailed, or the signal's reason
 */
export function measureDownload(
  response: HttpResponse,
  expected: ExpectedContent,
  time: Time,
  signal: AbortSignal,
): Promise<{ bytes: number; sha256: string }> {
  return withBody(response, expected, time, signal, async (body) => {
    body.resume();
    const sha256 = await body.verified;
    return { bytes: body.bytesReceived, sha256 };
  });
}

/** Runs `use` with the verified body of the response. Aborts the body with the signal, or if the download stalls. */
async function withBody<Result>(
  response: HttpResponse,
  expected: ExpectedContent,
  time: Time,
  signal: AbortSignal,
  use: (body: VerifyingBody) => Promise<Result>,
): Promise<Result> {
  const body = new VerifyingBody(response.body, expected);
  const stopWatching = watchForStall(body, time);
  const onAbort = () => body.abort(signal.reason);
  signal.addEventListener('abort', onAbort);
  if (signal.aborted) onAbort();
  try {
    return await use(body);
  } finally {
    signal.removeEventListener('abort', onAbort);
    stopWatching();
    body.destroy();
  }
}

/** A stall is detected within 10 s, before the S3 client times out after 15 s without a byte. */
const checkIntervalMs = calls.downloadIdleMs / 4;

/**
 * Aborts a download that sends nothing for too long, or that is too slow on average. Counts only the time in which
 * the body waits for the source, so that a slow upload does not count against the source.
 *
 * @returns stops watching
 */
function watchForStall(body: VerifyingBody, time: Time): () => void {
  let bytesAtLastCheck = 0;
  let lastCheckAt = time.monotonic();
  let idleMs = 0;
  let waitedMs = 0;
  let cancel: () => void;
  const check = () => {
    const elapsedMs = time.monotonic() - lastCheckAt;
    lastCheckAt += elapsedMs;
    idleMs = body.bytesReceived === bytesAtLastCheck && body.isWaitingForSource ? idleMs + elapsedMs : 0;
    bytesAtLastCheck = body.bytesReceived;
    if (body.isWaitingForSource) waitedMs += elapsedMs;
    const problem = paceProblem(body.bytesReceived, idleMs, waitedMs);
    if (problem === undefined) cancel = time.after(checkIntervalMs, check);
    else body.abort(new ArchiverError('DownloadFailed', `${problem} The next attempt uses a fresh link.`));
  };
  cancel = time.after(checkIntervalMs, check);
  return () => cancel();
}

/** Why the download is too slow; undefined if it is not. */
function paceProblem(bytes: number, idleMs: number, waitedMs: number): string | undefined {
  if (idleMs >= calls.downloadIdleMs)
    return `The storage sent nothing for ${calls.downloadIdleMs / 1_000} s.`;
  const allowedMs = Math.max(calls.downloadMs, (bytes / calls.downloadBytesPerSecond) * 1_000);
  if (waitedMs <= allowedMs) return undefined;
  const seconds = Math.round(waitedMs / 1_000);
  return `The storage sent only ${bytes} bytes in ${seconds} s; the minimum is ${calls.downloadBytesPerSecond} bytes per second.`;
}

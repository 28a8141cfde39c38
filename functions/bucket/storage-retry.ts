/** Retries for a command that reads a whole archive: S3 responds SlowDown under load, and connections break. */
import { ArchiverError, type ErrorCode } from '../errors.ts';
import { withRetry } from '../retry.ts';
import type { Random, Time } from '../time.ts';

export interface StorageRetryOptions {
  time: Time;
  random: Random;
  signal: AbortSignal;
}

/** Runs `work`, and repeats it after a temporary failure of S3. Throws the last error of `work`. */
export type StorageRetry = <Result>(work: (signal: AbortSignal) => Promise<Result>) => Promise<Result>;

/** About 25 s in total with the delays below. The SDK makes up to three attempts for each of these. */
const attempts = 7;
const minDelayMs = 250;
const maxDelayMs = 10_000;

const temporary: ReadonlySet<ErrorCode> = new Set(['BucketUnavailable', 'BucketConflict']);

export function createStorageRetry({ time, random, signal }: StorageRetryOptions): StorageRetry {
  return async (work) => {
    // `withRetry` translates errors that are not the archiver's. This keeps the original, which is thrown unchanged.
    let otherError: { error: unknown } | undefined;
    const attempt = async () => {
      try {
        return await work(signal);
      } catch (error) {
        // Stryker disable next-line ConditionalExpression: an ArchiverError is thrown unchanged in either case.
        if (!(error instanceof ArchiverError)) otherError = { error };
        throw error;
      }
    };
    try {
      return await withRetry(attempt, {
        maxAttempts: attempts,
        delayAfter: ({ code }, failures) =>
          temporary.has(code)
            ? Math.min(maxDelayMs, minDelayMs * 2 ** failures) * (0.5 + random() / 2)
            : undefined,
        minTimeLeftMs: 0,
        deadline: Number.POSITIVE_INFINITY,
        attemptsSpanMs: Number.POSITIVE_INFINITY,
        signal,
        time,
        onRetry: () => undefined,
      });
    } catch (error) {
      signal.throwIfAborted();
      throw otherError === undefined ? error : otherError.error;
    }
  };
}

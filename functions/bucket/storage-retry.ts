/** Retries for a command that reads a whole archive: S3 under load answers SlowDown, and connections break. */
import { ArchiverError, type ErrorCode } from '../errors.ts';
import { withRetry } from '../retry.ts';
import type { Random, Time } from '../time.ts';

export interface StorageRetryOptions {
  time: Time;
  random: Random;
  signal: AbortSignal;
}

/** Runs `work` and retries it while the storage fails temporarily. Throws what `work` threw last. */
export type StorageRetry = <Result>(work: (signal: AbortSignal) => Promise<Result>) => Promise<Result>;

/** With the delays below some 25 s in all; the SDK by itself tries each request three times. */
const attempts = 7;
const minDelayMs = 250;
const maxDelayMs = 10_000;

const temporary: ReadonlySet<ErrorCode> = new Set(['BucketUnavailable', 'BucketConflict']);

export function createStorageRetry({ time, random, signal }: StorageRetryOptions): StorageRetry {
  return async (work) => {
    // `withRetry` knows the archiver's own errors only; any other ends the attempts and is thrown as it is.
    let foreign: { error: unknown } | undefined;
    const attempt = async () => {
      try {
        return await work(signal);
      } catch (error) {
        if (!(error instanceof ArchiverError)) foreign = { error };
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
      throw foreign === undefined ? error : foreign.error;
    }
  };
}

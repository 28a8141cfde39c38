/** S3 under load answers SlowDown, and connections break: an audit of a million objects waits such things out. */
import pRetry from 'p-retry';
import { ArchiverError, type ErrorCode } from '../../functions/errors.ts';
import { type Random, sleep, type Time } from '../../functions/time.ts';

export interface Patience {
  time: Time;
  random: Random;
  signal: AbortSignal;
}

export type Insist = <Result>(work: (signal: AbortSignal) => Promise<Result>) => Promise<Result>;

/** With the delays below some 25 s in all, and the SDK tries each request three times by itself. */
const retries = 6;
const minDelayMs = 250;
const maxDelayMs = 10_000;

const passing: ReadonlySet<ErrorCode> = new Set(['BucketUnavailable', 'BucketConflict']);

/** @returns a function that throws what `work` throws once that is not waited out any longer */
export function createInsist({ time, random, signal }: Patience): Insist {
  return (work) =>
    pRetry(() => work(signal), {
      retries,
      // p-retry's own waiting knows only the real clock: the waiting is done in shouldRetry.
      minTimeout: 0,
      signal,
      shouldRetry: async ({ error, attemptNumber }) => {
        if (!(error instanceof ArchiverError) || !passing.has(error.code)) return false;
        const ceiling = Math.min(maxDelayMs, minDelayMs * 2 ** attemptNumber);
        await sleep(time, ceiling * (0.5 + random() / 2), signal);
        return true;
      },
    });
}

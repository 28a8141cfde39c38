/** Attempts within one receive: the only place where the archiver tries something again and waits in between. */
import pRetry from 'p-retry';
import { ArchiverError, asArchiverError } from './errors.ts';
import { attempts } from './limits.ts';
import { sleep, type Time } from './time.ts';

export interface RetryOptions {
  /** Attempts at most, the first included. */
  most: number;
  /**
   * Milliseconds until the next attempt, or undefined if there should be none. `attempt` counts from 1, and
   * `sinceFirstMs` from the first attempt's start.
   */
  delayAfter: (error: ArchiverError, attempt: number, sinceFirstMs: number) => number | undefined;
  /** No attempt begins with less than this left until the deadline, in milliseconds. */
  leastTimeMs: number;
  /** Monotonic milliseconds. */
  deadline: number;
  /** From the first attempt's start to the last one's, for the document's own fault to be conclusive. */
  attemptsSpanMs: number;
  signal: AbortSignal;
  time: Time;
  onRetry: (error: ArchiverError, attempt: number, delayMs: number) => void;
}

/**
 * Calls `work` until it resolves, the error is not worth another attempt, or attempts or time are used up.
 *
 * @throws ArchiverError the last attempt's. It is `conclusive` if all attempts, three at least, have failed through
 *   the document's own fault, the last of them at least `attemptsSpanMs` after the first. Or the signal's reason,
 *   unless the attempt under way was making way for live work
 */
export async function withRetry<Result>(work: () => Promise<Result>, options: RetryOptions): Promise<Result> {
  const { most, delayAfter, leastTimeMs, deadline, attemptsSpanMs, signal, time, onRetry } = options;
  const firstAt = time.monotonic();
  let failures = 0;
  let documentFaults = 0;
  let delayMs = 0;
  let madeWay: ArchiverError | undefined;

  const attempt = async () => {
    // p-retry's own waiting knows only the real clock.
    if (failures > 0) await sleep(time, delayMs, signal);
    const startedAt = time.monotonic();
    try {
      return await work();
    } catch (thrown) {
      const error = asArchiverError(thrown);
      failures += 1;
      if (error.retryPolicy === 'retry') documentFaults += 1;
      madeWay = error.retryPolicy === 'yield' ? error : undefined;
      const isConclusive =
        failures >= attempts.most && documentFaults === failures && startedAt - firstAt >= attemptsSpanMs;
      throw isConclusive ? conclusive(error) : error;
    }
  };
  return pRetry(attempt, {
    retries: most - 1,
    minTimeout: 0,
    // An aborted signal ends it with the signal's reason, whatever broke because of that.
    signal,
    shouldRetry: ({ error }) => {
      // An attempt fails with nothing else, unless the signal has aborted, and then nobody asks here.
      const failure = error as ArchiverError;
      const delay = delayAfter(failure, failures, time.monotonic() - firstAt);
      if (delay === undefined || deadline - time.monotonic() < delay + leastTimeMs) return false;
      delayMs = delay;
      onRetry(failure, failures, delay);
      return true;
    },
  }).catch((error: unknown) => {
    throw signal.aborted ? (madeWay ?? error) : error;
  });
}

function conclusive(error: ArchiverError): ArchiverError {
  const { code, message, cause, retryAfterMs } = error;
  return new ArchiverError(code, message, { cause, retryAfterMs, conclusive: true });
}

/** Attempts within one receive: the only place where the archiver waits and tries again. */
import pRetry from 'p-retry';
import { ArchiverError, asArchiverError } from './errors.ts';
import { attempts } from './limits.ts';
import { sleep, type Time } from './time.ts';

export interface RetryOptions {
  /** Maximum number of attempts, including the first. */
  maxAttempts: number;
  /**
   * Milliseconds until the next attempt, or undefined for no further attempt. `attempt` counts from 1; `sinceFirstMs`
   * is the time since the start of the first attempt.
   */
  delayAfter: (error: ArchiverError, attempt: number, sinceFirstMs: number) => number | undefined;
  /** No attempt starts with less time than this left until the deadline, in milliseconds. */
  minTimeLeftMs: number;
  /** Monotonic milliseconds. */
  deadline: number;
  /** Minimum time from the start of the first attempt to that of the last one for an error to be conclusive. */
  attemptsSpanMs: number;
  signal: AbortSignal;
  time: Time;
  onRetry: (error: ArchiverError, attempt: number, delayMs: number) => void;
}

/**
 * Calls `work` until it resolves, `delayAfter` returns undefined, or attempts or time are used up.
 *
 * @throws ArchiverError the last attempt's error. It is `conclusive` if all attempts, at least three, have failed with
 *   policy `retry`, the last of them at least `attemptsSpanMs` after the first. If the signal aborts, its reason, unless
 *   the last attempt failed with policy `yield`
 */
export async function withRetry<Result>(work: () => Promise<Result>, options: RetryOptions): Promise<Result> {
  const { maxAttempts, delayAfter, minTimeLeftMs, deadline, attemptsSpanMs, signal, time, onRetry } = options;
  const firstAt = time.monotonic();
  let failures = 0;
  let documentFaults = 0;
  let delayMs = 0;
  let yielded: ArchiverError | undefined;

  const attempt = async () => {
    // p-retry's own delays use the real clock only.
    if (failures > 0) await sleep(time, delayMs, signal);
    const startedAt = time.monotonic();
    try {
      return await work();
    } catch (thrown) {
      const error = asArchiverError(thrown);
      failures += 1;
      if (error.retryPolicy === 'retry') documentFaults += 1;
      yielded = error.retryPolicy === 'yield' ? error : undefined;
      const isConclusive =
        failures >= attempts.max && documentFaults === failures && startedAt - firstAt >= attemptsSpanMs;
      throw isConclusive ? conclusive(error) : error;
    }
  };
  return pRetry(attempt, {
    retries: maxAttempts - 1,
    minTimeout: 0,
    // An aborted signal ends the attempts with its reason, whatever failed because of it.
    signal,
    shouldRetry: ({ error }) => {
      // Attempts throw nothing else, unless the signal has aborted. p-retry does not call this then.
      const failure = error as ArchiverError;
      const delay = delayAfter(failure, failures, time.monotonic() - firstAt);
      if (delay === undefined || deadline - time.monotonic() < delay + minTimeLeftMs) return false;
      delayMs = delay;
      onRetry(failure, failures, delay);
      return true;
    },
  }).catch((error: unknown) => {
    throw signal.aborted ? (yielded ?? error) : error;
  });
}

function conclusive(error: ArchiverError): ArchiverError {
  const { code, message, cause, retryAfterMs } = error;
  return new ArchiverError(code, message, { cause, retryAfterMs, conclusive: true });
}

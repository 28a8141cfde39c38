/**
 * Reads many pages of the Telnyx API. Retries temporary failures, and slows down near the rate limit: a slow
 * sweep is better than a failed one.
 */
import { ArchiverError, type ErrorCode } from '../errors.ts';
import { calls, type RetryTimings } from '../limits.ts';
import type { Log } from '../log.ts';
import { withRetry } from '../retry.ts';
import { type Random, sleep, type Time } from '../time.ts';
import type { TelnyxClient } from './client.ts';
import type { StatedRateLimit } from './pacing.ts';

export interface RetryingTelnyxOptions {
  /** Monotonic milliseconds. No wait starts that would end too close to it. */
  deadline: number;
  signal: AbortSignal;
  timings: RetryTimings;
  time: Time;
  random: Random;
  log: Log;
}

export interface RetryingTelnyx {
  /**
   * GET of any path below the base URL. Resolves with the response's JSON.
   *
   * @param gone the error code for Telnyx's error 10005 (not found)
   * @throws ArchiverError those of `TelnyxClient.get`, when retries are used up
   */
  get(path: string, query: URLSearchParams, gone: ErrorCode): Promise<unknown>;
  /** Number of requests so far, including failed ones. */
  requests(): number;
}

export interface SparingTelnyx extends RetryingTelnyx {
  /**
   * As `get`, for what may wait: one attempt, and none while the rate limit asks for a pause.
   *
   * @throws ArchiverError RateLimited if it asks for one, and those of `TelnyxClient.get`
   */
  getSpare(path: string, query: URLSearchParams, gone: ErrorCode): Promise<unknown>;
}

/** Telnyx advises 3 to 5 attempts, backing off exponentially (API fundamentals, "Command retries"); one more here. */
const maxAttempts = 6;
const minDelayMs = 1_000;
const maxDelayMs = 15_000;
/** With fewer requests left than this, requests are spread evenly over the time until the limit resets. */
const fewRequestsLeft = 10;

/** Errors worth another attempt. */
const retried: ReadonlySet<ErrorCode> = new Set([
  'RateLimited',
  'RateLimitReserved',
  'TelnyxUnavailable',
  'UnexpectedResponse',
]);

export function createRetryingTelnyx(
  telnyx: Pick<TelnyxClient, 'get'>,
  { deadline, signal, timings, time, random, log }: RetryingTelnyxOptions,
): SparingTelnyx {
  let requests = 0;
  let notBefore = Number.NEGATIVE_INFINITY;
  const fits = (ms: number) => time.monotonic() + ms + calls.telnyxMs <= deadline;

  const request = (path: string, query: URLSearchParams, gone: ErrorCode) => {
    requests += 1;
    return telnyx.get(path, query, gone, signal);
  };

  return {
    requests: () => requests,
    getSpare: async (path, query, gone) => {
      const pause = notBefore - time.monotonic();
      if (pause > 0) throw noRequestLeft(pause);
      return (await request(path, query, gone)).body;
    },
    get: async (path, query, gone) => {
      const pause = notBefore - time.monotonic();
      if (pause > 0) {
        if (!fits(pause)) throw noRequestLeft(pause);
        await sleep(time, pause, signal);
      }
      const response = await withRetry(() => request(path, query, gone), {
        maxAttempts,
        delayAfter: (error, attempt) =>
          retried.has(error.code) ? delayBeforeAttempt(error, attempt, random) : undefined,
        minTimeLeftMs: calls.telnyxMs,
        deadline,
        attemptsSpanMs: timings.attemptsSpanMs,
        signal,
        time,
        onRetry: ({ code }, attempt, delayMs) =>
          log.info('Retrying a Telnyx request', { attempt, retryInMs: Math.round(delayMs), code }),
      });
      notBefore = time.monotonic() + pauseAfter(response.rateLimit);
      return response.body;
    },
  };
}

/** Milliseconds to wait before the next attempt. */
function delayBeforeAttempt(error: ArchiverError, attemptNumber: number, random: Random): number {
  if (error.retryAfterMs !== undefined) return error.retryAfterMs;
  const ceiling = Math.min(maxDelayMs, minDelayMs * 2 ** (attemptNumber - 1));
  return ceiling * (0.5 + random() / 2);
}

function pauseAfter({ remaining = Number.POSITIVE_INFINITY, resetMs = 0 }: StatedRateLimit): number {
  if (remaining >= fewRequestsLeft) return 0;
  return resetMs / (Math.max(0, remaining) + 1);
}

function noRequestLeft(retryAfterMs: number): ArchiverError {
  return new ArchiverError(
    'RateLimited',
    'The Telnyx rate limit allows no further request within the time of this invocation.',
    { retryAfterMs },
  );
}

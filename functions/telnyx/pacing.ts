/**
 * How a low lane (spans, backfill) leaves Telnyx's rate limit to live work. Telnyx counts the requests of all invocations
 * together, so each invocation follows a rule that allows for all the others.
 */
import pLimit from 'p-limit';
import { ArchiverError } from '../errors.ts';
import { pacing } from '../limits.ts';
import { type Random, sleep, type Time } from '../time.ts';

/** The rate limit as a response states it. Missing or malformed parts are undefined. */
export interface StatedRateLimit {
  /** Requests per window. */
  limit: number | undefined;
  /** Requests left in this window. */
  remaining: number | undefined;
  /** Milliseconds until the next window starts. */
  resetMs: number | undefined;
}

/** Decides when a request is sent. `rateLimitOf` returns undefined for a response that says nothing about a limit. */
export type Pacer = <Result>(
  request: () => Promise<Result>,
  rateLimitOf: (response: Result) => StatedRateLimit | undefined,
  signal: AbortSignal,
) => Promise<Result>;

/** For live work: sends every request at once. */
export const unpaced: Pacer = (request) => request();

/** Wait before the next request if Telnyx states a limit, but not its reset. */
const unstatedResetMs = 4_000;

export interface PacerOptions {
  /** Maximum concurrent low-lane invocations of all functions together. */
  invocations: number;
  time: Time;
  random: Random;
}

/**
 * Sends one request at a time, and only while more than half of the limit plus one request for each low-lane invocation
 * is left, since all of them may send their next request at the same moment. Otherwise the next request waits for the
 * next window. If Telnyx states no limit, requests are not delayed.
 *
 * If the limit is so low that the first requests of all invocations would take more than half of a window, the
 * invocations spread over several windows at random.
 *
 * @throws ArchiverError (by the pacer) RateLimitReserved if the wait is longer than 5 s: the message returns to its queue
 */
export function createPacer({ invocations, time, random }: PacerOptions): Pacer {
  const oneAtATime = pLimit(1);
  /** Whether the latest response stated a limit. Assumed before the first one. */
  let limited = true;
  let notBefore = Number.NEGATIVE_INFINITY;
  /** The longest time to a reset so far: about the length of a window, which Telnyx does not state. */
  let windowMs = 0;

  const update = ({ limit, remaining, resetMs = unstatedResetMs }: StatedRateLimit) => {
    limited = limit !== undefined && remaining !== undefined;
    if (limit === undefined || remaining === undefined) return;
    // Telnyx may have rounded the seconds down.
    const untilReset = resetMs % 1_000 === 0 ? resetMs + 1_000 : resetMs;
    windowMs = Math.max(windowMs, untilReset);
    if (remaining > limit * pacing.liveShare + invocations) return;
    const windows = invocations / Math.max(1, limit * (1 - pacing.liveShare));
    const skipped = Math.max(0, windows - 1) * 2 * random();
    notBefore = time.monotonic() + untilReset + skipped * windowMs;
  };

  return (request, rateLimitOf, signal) => {
    const paced = async () => {
      const waitMs = notBefore - time.monotonic();
      if (waitMs > pacing.maxWaitMs) throw reservedForLiveWork(waitMs);
      if (waitMs <= 0) signal.throwIfAborted();
      else {
        // If the invocation ends meanwhile, this wait is the reason.
        await sleep(time, waitMs, signal).catch(() => {
          throw reservedForLiveWork(waitMs);
        });
      }
      const response = await request();
      const rateLimit = rateLimitOf(response);
      if (rateLimit !== undefined) update(rateLimit);
      return response;
    };
    return limited ? oneAtATime(paced) : paced();
  };
}

function reservedForLiveWork(retryAfterMs: number): ArchiverError {
  return new ArchiverError(
    'RateLimitReserved',
    "The rest of Telnyx's rate limit is reserved for live work. No action needed: the message is retried automatically.",
    { retryAfterMs },
  );
}

/**
 * How a low lane (spans, backfill) leaves Telnyx's rate limit to live work. Nothing tells invocations apart at Telnyx,
 * so each keeps to a rule that holds for all of them together.
 */
import pLimit from 'p-limit';
import { ArchiverError } from '../errors.ts';
import { pacing } from '../limits.ts';
import { type Random, sleep, type Time } from '../time.ts';

/** What an answer states of the rate limit; each part undefined where it does not. */
export interface StatedRateLimit {
  /** Requests in a window. */
  limit: number | undefined;
  /** Requests left in this window. */
  remaining: number | undefined;
  /** Milliseconds until the window starts anew. */
  resetMs: number | undefined;
}

/** Decides when a request may go out. `rateLimitOf` gives undefined for an answer that says nothing of a limit. */
export type Pacer = <Answer>(
  request: () => Promise<Answer>,
  rateLimitOf: (answer: Answer) => StatedRateLimit | undefined,
  signal: AbortSignal,
) => Promise<Answer>;

/** Live work does not wait for anybody. */
export const unpaced: Pacer = (request) => request();

/** Wait before the next request if Telnyx states a limit but no reset. */
const unstatedResetMs = 4_000;

export interface PacerOptions {
  /** Invocations of low lanes that may run at once, in all functions together. */
  invocations: number;
  time: Time;
  random: Random;
}

/**
 * One request at a time, and only while more than half of the limit is left, plus one request for each low-lane
 * invocation, since all of them may send their next one at this very moment. Otherwise the next request waits for the
 * window to start anew. Where Telnyx states no limit, nothing waits.
 *
 * A limit so low that the invocations' first requests alone would take more than half of a window is shared out over
 * several windows, at random.
 *
 * @throws ArchiverError (by the pacer) RateLimitReserved where the wait is longer than 5 s: the message goes back
 */
export function createPacer({ invocations, time, random }: PacerOptions): Pacer {
  const oneAtATime = pLimit(1);
  /** Whether the latest answer stated a limit; assumed until there is one. */
  let limited = true;
  let notBefore = Number.NEGATIVE_INFINITY;
  /** The longest time to a reset that was ever stated: about a window's length, which Telnyx does not state. */
  let windowMs = 0;

  const update = ({ limit, remaining, resetMs = unstatedResetMs }: StatedRateLimit) => {
    limited = limit !== undefined && remaining !== undefined;
    if (limit === undefined || remaining === undefined) return;
    // Whole seconds may have been rounded down.
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
      if (waitMs > pacing.longestWaitMs) throw leftToLiveWork(waitMs);
      if (waitMs <= 0) signal.throwIfAborted();
      else {
        // An invocation that ends meanwhile ends because of this wait.
        await sleep(time, waitMs, signal).catch(() => {
          throw leftToLiveWork(waitMs);
        });
      }
      const answer = await request();
      const rateLimit = rateLimitOf(answer);
      if (rateLimit !== undefined) update(rateLimit);
      return answer;
    };
    return limited ? oneAtATime(paced) : paced();
  };
}

function leftToLiveWork(retryAfterMs: number): ArchiverError {
  return new ArchiverError(
    'RateLimitReserved',
    "The rest of Telnyx's rate limit is left to live work. Nothing to do: backfill goes on by itself.",
    { retryAfterMs },
  );
}

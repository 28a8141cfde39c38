/** Decides what happens to a message after a failed receive, from the error's retry policy and the message's timestamps. */
import type { ArchiverError } from '../errors.ts';
import { type RetryTimings, unlinkedLifetimeMs } from '../limits.ts';
import type { Random } from '../time.ts';

export type Decision =
  | { action: 'acknowledge' }
  | { action: 'dead-letter' }
  | { action: 'return'; afterMs: number };

/** Milliseconds since the Unix epoch. */
export interface Timestamps {
  now: number;
  /** SQS's `SentTimestamp`. */
  sentAt: number;
  /** SQS's `ApproximateFirstReceiveTimestamp`. */
  firstReceivedAt: number;
}

/**
 * - A message with work left returns to the queue at once.
 * - A conclusive fault of the document becomes a dead letter once the message is `documentFaultAfterMs` old.
 * - After any other failure the message returns to the queue. The wait equals the message's age, so the age doubles
 *   with each receive.
 * - A message whose next receive would come later than `deadLetterAfterMs` becomes a dead letter, whatever the error: SQS
 *   would delete it soon after.
 *
 * @param live whether the lane is live. The wait is then short while Telnyx may still delete an unlinked document
 */
export function decide(
  error: ArchiverError,
  { now, sentAt, firstReceivedAt }: Timestamps,
  live: boolean,
  timings: RetryTimings,
  random: Random,
): Decision {
  if (error.retryPolicy === 'acknowledge') return { action: 'acknowledge' };
  if (error.retryPolicy === 'dead-letter') return { action: 'dead-letter' };
  if (error.retryPolicy === 'continue') return { action: 'return', afterMs: 0 };
  const ageMs = now - firstReceivedAt;
  const isDocumentFault = error.retryPolicy === 'retry' && error.conclusive;
  if (isDocumentFault && ageMs >= timings.documentFaultAfterMs) return { action: 'dead-letter' };

  const maxWaitMs = live && now - sentAt < unlinkedLifetimeMs ? timings.maxLiveWaitMs : timings.maxWaitMs;
  // Jitter of up to 20 % keeps messages that failed together from returning together.
  const backoffMs = Math.min(maxWaitMs, ageMs) * (0.8 + random() * 0.2);
  const afterMs = Math.min(maxWaitMs, Math.max(timings.minWaitMs, backoffMs, error.retryAfterMs ?? 0));
  return now + afterMs > sentAt + timings.deadLetterAfterMs
    ? { action: 'dead-letter' }
    : { action: 'return', afterMs };
}

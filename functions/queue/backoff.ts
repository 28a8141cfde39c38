/** What becomes of a message whose receive failed: decided by its error's policy and its timestamps alone. */
import type { ArchiverError } from '../errors.ts';
import { type RetryTimings, unlinkedLifetimeMs } from '../limits.ts';
import type { Random } from '../time.ts';

export type Decision =
  | { action: 'acknowledge' }
  | { action: 'dead-letter' }
  | { action: 'return'; afterMs: number };

/** When what happened to the message; milliseconds since the Unix epoch. */
export interface Timestamps {
  now: number;
  /** When SQS took it. */
  sentAt: number;
  /** When it was first received. */
  firstReceivedAt: number;
}

/**
 * - The document's own fault becomes a dead letter once it is conclusive and the message is ten minutes old.
 * - Any other failure comes back, after as long as the message is old: the next receive is at about twice the age.
 * - A message that could not come back before SQS deletes it becomes a dead letter, whoever is at fault.
 *
 * @param live whether the message is of a live lane, where the wait is short for as long as Telnyx may delete
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
  const ageMs = now - firstReceivedAt;
  const isDocumentFault = error.retryPolicy === 'retry' && error.conclusive;
  if (isDocumentFault && ageMs >= timings.documentFaultAfterMs) return { action: 'dead-letter' };

  const longest =
    live && now - sentAt < unlinkedLifetimeMs ? timings.longestLiveWaitMs : timings.longestWaitMs;
  // Up to a fifth shorter, so that messages that failed together do not come back together.
  const growing = Math.min(longest, ageMs) * (0.8 + random() * 0.2);
  const afterMs = Math.min(longest, Math.max(timings.leastWaitMs, growing, error.retryAfterMs ?? 0));
  return now + afterMs > sentAt + timings.giveUpAfterMs
    ? { action: 'dead-letter' }
    : { action: 'return', afterMs };
}

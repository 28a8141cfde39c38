/** What becomes of a message whose receive failed. */
import type { ArchiverError } from '../errors.ts';
import { queues, receives } from '../limits.ts';
import type { Random } from '../time.ts';

export type Decision =
  | { action: 'acknowledge' }
  | { action: 'dead-letter' }
  | { action: 'return'; afterMs: number };

/** Milliseconds of invisibility after the first, second, … failed receive; the last rung repeats. */
export interface Ladders {
  retry: readonly number[];
  wait: readonly number[];
}

/**
 * @param received how often SQS has delivered the message, this time included
 */
export function decide(error: ArchiverError, received: number, ladders: Ladders, random: Random): Decision {
  if (error.fate === 'done') return { action: 'acknowledge' };
  if (error.fate === 'dead-letter') return { action: 'dead-letter' };
  if (received >= receives[error.fate]) return { action: 'dead-letter' };
  const ladder = ladders[error.fate];
  const rung = ladder[Math.min(received, ladder.length) - 1] ?? 0;
  // Between 80 % and 120 %, so that messages that failed together do not come back together.
  const jittered = rung * (0.8 + random() * 0.4);
  const afterMs = Math.max(jittered, error.retryAfterMs ?? 0);
  return { action: 'return', afterMs: Math.min(afterMs, queues.maxVisibilityMs) };
}

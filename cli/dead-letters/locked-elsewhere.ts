import { formatCount } from '../../terminal/counts.ts';
import { lockSeconds } from './lock.ts';

const minuteMs = 60_000;

/**
 * Lines that say that dead letters could not be read, and until when at the latest.
 *
 * @param count see `DeadLetterLock.countLockedElsewhere`
 * @param now milliseconds since the Unix epoch
 */
export function describeLockedElsewhere(count: number, now: number): string[] {
  const [is, they] = count === 1 ? ['is', 'it is'] : ['are', 'they are'];
  const visibleBy = Math.ceil((now + lockSeconds.redrive * 1_000) / minuteMs) * minuteMs;
  return [
    `${formatCount(count, 'dead letter')} ${is} in use by another command (counted by SQS, up to a minute late).`,
    `If that command has ended, ${they} visible again by ${new Date(visibleBy).toISOString().slice(11, 16)} UTC.`,
  ];
}

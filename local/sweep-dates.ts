import { sweep } from '../functions/limits.ts';

const minuteMs = 60_000;

/**
 * Chooses `requestedAt` for local sweeps, which run more often than once a minute. A sweep dated to a fifth minute also
 * looks further back and counts overdue documents. To count each document once, only the first sweep of such a minute
 * keeps its date; the others get the previous minute's, so that they only look for new documents.
 *
 * @returns function from the current time to `requestedAt`, both in milliseconds since the Unix epoch
 */
export function createSweepDates(): (now: number) => number {
  let sweptMinute: number | undefined;
  return (now) => {
    const minute = Math.floor(now / minuteMs);
    const isFirst = minute !== sweptMinute;
    sweptMinute = minute;
    return isFirst || minute % sweep.second.everyMinutes !== 0 ? now : minute * minuteMs - 1;
  };
}

/** What a sweep reads and what it does with it: a matter of the documents' ages alone, without any state. Pure. */
import { sweep } from '../limits.ts';
import type { Window } from '../telnyx/window.ts';

/** One stretch of time that a sweep reads. */
export interface SweepBand {
  window: Window;
  /** Whether a document that is not settled is queued. One whose `createdAt` Telnyx does not state is. */
  isQueued: (createdAt: number | undefined) => boolean;
  /** Whether a document that is not settled counts as overdue. One whose `createdAt` Telnyx does not state does. */
  isOverdue: (createdAt: number | undefined) => boolean;
}

/** Ages in minutes: the first included, the second not. */
interface Ages {
  youngest: number;
  oldest: number;
}

const minuteMs = 60_000;

/**
 * The bands of a `recent` message, the most urgent first. They hang on `requestedAt`, whenever it is worked on, so
 * that a sweep that waited through an outage does its own minute's work:
 *
 * - every minute, the documents younger than two minutes;
 * - every fifth minute, those 14 to 24 minutes old: what was missed has a second chance inside its 30 minutes; and
 *   those 10 to 15 minutes old are counted if they are not settled;
 * - at the first minute of an hour, those 25 to 26 hours old.
 *
 * @param requestedAt ISO 8601
 */
export function planSweep(requestedAt: string): SweepBand[] {
  const requested = Date.parse(requestedAt);
  const minute = Math.floor(requested / minuteMs);
  const isWithin = ({ youngest, oldest }: Ages, createdAt: number | undefined) => {
    if (createdAt === undefined) return true;
    const age = requested - createdAt;
    return age >= youngest * minuteMs && age < oldest * minuteMs;
  };
  const band = (queued: Ages, overdue?: Ages): SweepBand => {
    const youngest = Math.min(queued.youngest, overdue?.youngest ?? queued.youngest);
    return {
      window: { from: requested - queued.oldest * minuteMs, to: requested - youngest * minuteMs },
      isQueued: (createdAt) => isWithin(queued, createdAt),
      isOverdue: (createdAt) => overdue !== undefined && isWithin(overdue, createdAt),
    };
  };
  return [
    band(sweep.fresh),
    ...(minute % sweep.second.everyMinutes === 0 ? [band(sweep.second, sweep.overdue)] : []),
    ...(minute % sweep.nextDay.everyMinutes === 0 ? [band(sweep.nextDay)] : []),
  ];
}

/**
 * Whether a sweep comes so late that those after it have done its work, so that an outage leaves no heap of them.
 *
 * @param now milliseconds since the Unix epoch
 */
export function isSuperseded(requestedAt: string, now: number): boolean {
  const requested = Date.parse(requestedAt);
  const isHourly = Math.floor(requested / minuteMs) % sweep.nextDay.everyMinutes === 0;
  const { supersededAfterMinutes, hourlySupersededAfterMinutes } = sweep;
  return now - requested > (isHourly ? hourlySupersededAfterMinutes : supersededAfterMinutes) * minuteMs;
}

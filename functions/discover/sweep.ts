/** Decides what a sweep reads, queues and counts, from the ages of the documents alone. Pure functions, no state. */
import { sweep } from '../limits.ts';
import type { Window } from '../telnyx/window.ts';

/** A range of creation times that a sweep reads. */
export interface SweepBand {
  window: Window;
  /** Whether a document without a receipt is queued. True if Telnyx does not state `createdAt`. */
  isQueued: (createdAt: number | undefined) => boolean;
  /**
   * Whether a document without a receipt counts as overdue. In a band that counts overdue documents, true if Telnyx
   * does not state `createdAt`.
   */
  isOverdue: (createdAt: number | undefined) => boolean;
}

/** Ages in minutes, `youngest` inclusive, `oldest` exclusive. */
interface Ages {
  youngest: number;
  oldest: number;
}

const minuteMs = 60_000;

/**
 * Returns the bands of a `recent` message, the most urgent first. They depend on `requestedAt`, not on the time of
 * processing, so that a sweep delayed by an outage still covers its own minute:
 *
 * - every minute: documents younger than two minutes;
 * - every fifth minute: documents 14 to 24 minutes old, a second chance within the 30 minutes after which Telnyx may
 *   delete them. Documents 10 to 15 minutes old without a receipt are counted as overdue;
 * - at the first minute of an hour: documents 25 to 26 hours old.
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

/** Pages of the document links: how many the sweeps of even minutes read, and how many after these those of odd minutes. */
const linkPages = { first: 64, further: 8_192 };

/**
 * The page of all document links that a sweep reads. It follows from the minute of the sweep, so no position is stored and
 * Telnyx's number of pages need not be known. Sweeps of even minutes read the first 64 pages (16,000 links) in 128 minutes;
 * those of odd minutes read the next 8,192 pages (2 million links) in eleven and a half days. Pages after the end of the
 * list are empty.
 *
 * @param requestedAt ISO 8601
 */
export function linkPageOf(requestedAt: string): number {
  const minute = Math.floor(Date.parse(requestedAt) / minuteMs);
  const turn = Math.floor(minute / 2);
  return minute % 2 === 0 ? 1 + (turn % linkPages.first) : 1 + linkPages.first + (turn % linkPages.further);
}

/**
 * Whether a sweep is so late that later sweeps have covered it. Such sweeps are skipped, so none pile up in an outage.
 *
 * @param now milliseconds since the Unix epoch
 */
export function isSuperseded(requestedAt: string, now: number): boolean {
  const requested = Date.parse(requestedAt);
  const isHourly = Math.floor(requested / minuteMs) % sweep.nextDay.everyMinutes === 0;
  const { supersededAfterMinutes, hourlySupersededAfterMinutes } = sweep;
  return now - requested > (isHourly ? hourlySupersededAfterMinutes : supersededAfterMinutes) * minuteMs;
}

/**
 * Divides the archive into daily shares. A night reads what is new and its share, so that everything is read within
 * `shareDays` days. Pure functions.
 */
import { createHash } from 'node:crypto';
import type { Window } from '../telnyx/window.ts';
import type { AuditPlan } from './records.ts';

const dayMs = 24 * 60 * 60_000;
/** 2016-01-01. Telnyx's list is read day by day from here on; all older documents count as one day. */
const firstDay = Date.UTC(2016, 0, 1) / dayMs;
/** The last days of Telnyx's list are read every night: a missing document is found the next night. */
const recentDays = 2;

/** Days since the Unix epoch. */
export function dayOf(instant: number): number {
  return Math.floor(instant / dayMs);
}

/**
 * The shares of the days since the last complete run, today's included: after nights without a run, the next one reads
 * their shares, too.
 *
 * @param lastDay day of the last complete run; undefined if there is none
 */
export function sharesOf(day: number, lastDay: number | undefined, shareDays: number): number[] {
  const missed = Math.min(shareDays, Math.max(1, lastDay === undefined ? 1 : day - lastDay));
  return Array.from({ length: missed }, (_, back) => (day - back) % shareDays).sort((a, b) => a - b);
}

/** The share of a document or an object, from 0 up to `shareDays`. By a hash, because IDs may not be random. */
export function shareOf(name: string, shareDays: number): number {
  return createHash('sha256').update(name).digest().readUInt32BE() % shareDays;
}

/**
 * The periods of Telnyx's list that a night reads, newest first: the last days, and each day that belongs to one of its
 * shares. Both ends are inclusive.
 *
 * @param until milliseconds since the Unix epoch: documents created later are left out
 */
export function telnyxWindows(
  { full, day, shares, shareDays }: Pick<AuditPlan, 'full' | 'day' | 'shares' | 'shareDays'>,
  until: number,
): Window[] {
  const isRead = (each: number) =>
    full || each >= day - Math.max(recentDays, shares.length) || shares.includes(each % shareDays);
  const windows: Window[] = [];
  for (let each = Math.max(dayOf(until), firstDay - 1); each >= firstDay - 1; each -= 1) {
    if (!isRead(each)) continue;
    const from = each < firstDay ? 0 : each * dayMs;
    const to = Math.min(until, (each + 1) * dayMs - 1);
    const later = windows.at(-1);
    if (later && later.from === to + 1) later.from = from;
    else windows.push({ from, to });
  }
  return windows;
}

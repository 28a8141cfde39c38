import { UsageError } from './command.ts';

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const unitsMs = { w: 7 * 24 * hourMs, d: 24 * hourMs, h: hourMs, m: minuteMs };

const datePattern = /^(\d{4}-\d{2}-\d{2})$/;
const dateAndTimePattern = /^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?)(?:Z|[+-]\d{2}:\d{2})$/;

/** What `parseInstant` accepts, for the help of a command. */
export const instantHelp =
  'An instant is a date (2026-11-24, midnight UTC), a date and time (2026-11-24T08:00:00Z) or an age (2w, 90d, 12h, 30m).';

/**
 * Parses a date such as `2026-11-24` (midnight UTC), an ISO 8601 date and time, or an age such as `2w`, `90d`, `12h` or
 * `30m`.
 *
 * @returns milliseconds since the Unix epoch
 * @throws Error
 */
export function parseInstant(text: string, now: number): number {
  const age = /^(?<count>\d{1,5})(?<unit>[wdhm])$/.exec(text)?.groups;
  if (age) return now - Number(age.count) * unitsMs[age.unit as keyof typeof unitsMs];
  const [, local = ''] = datePattern.exec(text) ?? dateAndTimePattern.exec(text) ?? [];
  const instant = isOnCalendar(local) ? Date.parse(text) : Number.NaN;
  if (Number.isFinite(instant)) return instant;
  throw new Error(
    'must be a date (2026-11-24), a date and time (2026-11-24T08:00:00Z) or an age (2w, 30d, 12h, 15m).',
  );
}

/** Date.parse reads 30 February as 2 March. A date that exists reads back the same. */
function isOnCalendar(local: string): boolean {
  const read = Date.parse(local.includes('T') ? `${local}Z` : local);
  return Number.isFinite(read) && new Date(read).toISOString().startsWith(local.slice(0, 16));
}

/**
 * Parses the value of an option.
 *
 * @throws UsageError that names the option
 */
export function instantOption(option: string, text: string, now: number): number {
  try {
    return parseInstant(text, now);
  } catch (error) {
    throw new UsageError(`${option} ${text}: ${error instanceof Error ? error.message : 'is not valid.'}`);
  }
}

import { UsageError } from './command.ts';

const minuteMs = 60_000;

/**
 * Parses a date such as `2026-11-24` (midnight UTC), an ISO 8601 date and time, or an age such as `90d`, `12h` or `30m`.
 *
 * @returns milliseconds since the Unix epoch
 * @throws Error
 */
export function parseInstant(text: string, now: number): number {
  const ago = /^(\d{1,5})([dhm])$/.exec(text);
  if (ago) {
    const unitMs = { d: 24 * 60 * minuteMs, h: 60 * minuteMs, m: minuteMs }[ago[2] as 'd' | 'h' | 'm'];
    return now - Number(ago[1]) * unitMs;
  }
  const isDate = /^\d{4}-\d{2}-\d{2}$/.test(text);
  const isInstant = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})$/.test(text);
  const instant = isDate || isInstant ? Date.parse(text) : Number.NaN;
  if (Number.isFinite(instant)) return instant;
  throw new Error(
    'must be a date (2026-11-24), a date and time (2026-11-24T08:00:00Z) or an age (30d, 12h, 15m).',
  );
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

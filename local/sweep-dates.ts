import { sweep } from '../functions/limits.ts';

const minuteMs = 60_000;

/**
 * Dates sweeps that come more often than once a minute, as they do here. The first one of every fifth minute looks
 * further back and counts what is overdue, each document once. The others of that minute carry the date of the minute
 * before, whose sweeps look for new documents alone.
 *
 * @returns takes and returns milliseconds since the Unix epoch
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

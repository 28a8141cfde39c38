/** Estimates how long work of a known amount will take, from its rate so far. */
import { formatDuration } from './durations.ts';

/** Before this, the estimate would mostly show how the work starts. */
const leastMs = 3_000;

export interface TimeLeft {
  /**
   * @param total undefined while unknown; the estimate starts when it becomes known
   * @param now milliseconds of a monotonic clock
   * @returns such as `about 3 min left`; undefined while there is no estimate
   */
  describe(ended: number, total: number | undefined, now: number): string | undefined;
}

export function createTimeLeft(): TimeLeft {
  let start: { ended: number; at: number } | undefined;
  return {
    describe: (ended, total, now) => {
      if (total === undefined) {
        start = undefined;
        return undefined;
      }
      // Work that had ended before, such as in an earlier run, says nothing about the rate.
      start ??= { ended, at: now };
      const done = ended - start.ended;
      const elapsedMs = now - start.at;
      if (done <= 0 || ended >= total || elapsedMs < leastMs) return undefined;
      const leftSeconds = ((total - ended) * elapsedMs) / done / 1_000;
      return `about ${formatDuration(Math.max(1, leftSeconds))} left`;
    },
  };
}

/** Shows the progress of the local stack: a live bar on a terminal, one line per change elsewhere. */
import type { Time } from '../functions/time.ts';
import { formatBytes } from '../terminal/bytes.ts';
import { type Progress, startProgress } from '../terminal/progress.ts';
import type { Totals } from './ledger.ts';

export interface TotalsProgressOptions {
  totals: () => Totals;
  stream: NodeJS.WriteStream;
  time: Time;
}

const lineEveryMs = 1_000;

export function showTotals({ totals, stream, time }: TotalsProgressOptions): Progress {
  const startedAt = time.monotonic();
  return startProgress(
    () => {
      const now = totals();
      const seconds = Math.max(0.001, (time.monotonic() - startedAt) / 1_000);
      const isEmpty = now.documents + now.waiting + now.deadLettered === 0;
      return {
        ended: now.ended,
        total: now.documents,
        text: describe(now, seconds),
        // Excludes the rate, which changes all the time.
        lineKey: isEmpty ? '' : JSON.stringify(now),
      };
    },
    { stream, timer: time, lineEveryMs },
  );
}

function describe(now: Totals, seconds: number): string {
  const parts = [
    `${now.ended} of ${now.documents} documents`,
    formatBytes(now.bytes),
    `${formatBytes(now.bytes / seconds)}/s`,
  ];
  if (now.waiting > 0) parts.push(`${now.waiting} waiting`);
  parts.push(`${now.deadLettered} failed`);
  return parts.join(' · ');
}

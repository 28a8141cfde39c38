/** Describes the progress of the local stack. */
import type { Time } from '../functions/time.ts';
import { formatBytes } from '../terminal/bytes.ts';
import { formatCount } from '../terminal/counts.ts';
import type { Progress } from '../terminal/progress.ts';
import type { Terminal } from '../terminal/terminal.ts';
import type { Totals } from './ledger.ts';

const lineEveryMs = 1_000;

export function showTotals(totals: () => Totals, terminal: Terminal, time: Time): Progress {
  const startedAt = time.monotonic();
  return terminal.progress(
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
    { lineEveryMs },
  );
}

function describe(now: Totals, seconds: number): string {
  const parts = [
    `${now.ended} of ${formatCount(now.documents, 'document')}`,
    formatBytes(now.bytes),
    `${formatBytes(now.bytes / seconds)}/s`,
  ];
  if (now.waiting > 0) parts.push(`${now.waiting} waiting`);
  parts.push(`${now.deadLettered} failed`);
  return parts.join(' · ');
}

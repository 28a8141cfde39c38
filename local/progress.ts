/** Progress of the initial archiving. */
import { formatBytes } from '../terminal/bytes.ts';
import { formatCount, formatNumber } from '../terminal/counts.ts';
import type { ProgressState } from '../terminal/progress.ts';
import type { Totals } from './ledger.ts';

/** @param seconds since the start of the archiving */
export function archivingProgress(now: Totals, seconds: number): ProgressState {
  if (!now.listed && now.documents + now.waiting + now.deadLettered === 0)
    return { ended: 0, total: undefined, text: 'Reading the list of documents…' };
  const parts = [
    `${formatNumber(now.ended)} of ${formatCount(now.documents, 'document')}`,
    formatBytes(now.bytes),
    `${formatBytes(now.bytes / Math.max(0.001, seconds))}/s`,
  ];
  if (now.waiting > 0) parts.push(`${now.waiting} waiting`);
  parts.push(`${now.deadLettered} failed`);
  return {
    ended: now.ended,
    total: now.documents,
    text: parts.join(' · '),
    // Excludes the rate, which changes all the time.
    lineKey: JSON.stringify(now),
  };
}

import { parsePartName } from '../audit-names.ts';
import type { Bucket } from '../bucket/store.ts';
import { isBefore, type LastListing, type Stretch } from './cells.ts';
import type { AuditPlan } from './records.ts';
import { readPartResult, readRunSummary } from './run-history.ts';

/**
 * What the last complete run found in a stretch, from the results of its parts there.
 *
 * @returns undefined if everything is to be read: in a full run, or without a last run
 * @throws ArchiverError the errors of `Bucket`
 */
export async function readLastListing(
  { full, lastRun }: AuditPlan,
  { from, before }: Stretch,
  bucket: Pick<Bucket, 'read'>,
  signal: AbortSignal,
): Promise<LastListing | undefined> {
  if (full || lastRun === undefined) return undefined;
  const cells = new Map<string, string>();
  try {
    const summary = await readRunSummary(bucket, lastRun, signal);
    if (!summary) return undefined;
    for (const { part: name } of summary.parts) {
      const part = parsePartName(name);
      if (part?.sort !== 'ids' || !isBefore(part.from, before) || !isBefore(from, part.before)) continue;
      const result = await readPartResult(bucket, lastRun, part, signal);
      for (const [cell, fingerprint] of Object.entries(result?.cells ?? {})) cells.set(cell, fingerprint);
    }
    return { cells, newFrom: Date.parse(summary.newFrom) };
  } catch (error) {
    // An altered record says nothing about the archive. The part `others` reports how it was replaced.
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

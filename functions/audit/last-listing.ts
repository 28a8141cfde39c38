import { type AuditPart, parsePartName } from '../audit-names.ts';
import type { Bucket } from '../bucket/store.ts';
import { isBefore, type LastListing, type Stretch } from './cells.ts';
import type { AuditPlan, PartResult, RecordedFinding, RunSummary } from './records.ts';
import { readPartResult, readRunSummary } from './run-history.ts';

/**
 * What the last complete run recorded about a stretch, from the results of its parts that overlap the stretch.
 *
 * @returns undefined if everything must be read: in a full run, or without a last run
 * @throws ArchiverError the errors of `Bucket`
 */
export async function readLastListing(
  plan: AuditPlan,
  { from, before }: Stretch,
  bucket: Pick<Bucket, 'read'>,
  signal: AbortSignal,
): Promise<LastListing | undefined> {
  const cells = new Map<string, string>();
  const problems = new Set<string>();
  const last = plan.full
    ? undefined
    : await readLastRun(plan.lastRun, isWithin({ from, before }), bucket, signal);
  if (!last) return undefined;
  for (const { cells: ofPart, findings } of last.results) {
    for (const [cell, fingerprint] of Object.entries(ofPart ?? {})) cells.set(cell, fingerprint);
    for (const { documentId } of findings) if (documentId !== undefined) problems.add(documentId);
  }
  return { cells, newFrom: Date.parse(last.summary.newFrom), problems };
}

/** The findings of the last run that read Telnyx's list, one per document. @throws as `readLastListing` */
export async function readLastDifferences(
  plan: AuditPlan,
  bucket: Pick<Bucket, 'read'>,
  signal: AbortSignal,
): Promise<RecordedFinding[]> {
  const last = await readLastRun(plan.lastListed, ({ sort }) => sort === 'telnyx', bucket, signal);
  const findings = last?.results.flatMap((result) => result.findings) ?? [];
  const byId = new Map(findings.map((finding) => [finding.documentId, finding]));
  byId.delete(undefined);
  return [...byId.values()];
}

/** IDs of documents that the last run, or one before it, has queued for archiving. @throws as `readLastListing` */
export async function readLastQueued(
  { lastRun, lastListed }: AuditPlan,
  part: AuditPart,
  bucket: Pick<Bucket, 'read'>,
  signal: AbortSignal,
): Promise<Set<string>> {
  const last =
    part.sort === 'ids'
      ? await readLastRun(lastRun, isWithin(part), bucket, signal)
      : await readLastRun(lastListed, ({ sort }) => sort === part.sort, bucket, signal);
  const findings = last?.results.flatMap((result) => result.findings) ?? [];
  return new Set(findings.flatMap(({ documentId, queued }) => (queued && documentId) || []));
}

/** Whether a part covers some IDs of the stretch. */
function isWithin({ from, before }: Stretch): (part: AuditPart) => boolean {
  return (part) =>
    // Stryker disable next-line ConditionalExpression: no ID is before the end of a part that has none; required by the type.
    part.sort === 'ids' && isBefore(part.from, before) && isBefore(from, part.before);
}

/** The results of some parts of the last complete run; undefined if one of its records was altered. */
async function readLastRun(
  lastRun: string | undefined,
  isWanted: (part: AuditPart) => boolean,
  bucket: Pick<Bucket, 'read'>,
  signal: AbortSignal,
): Promise<{ summary: RunSummary; results: PartResult[] } | undefined> {
  // Stryker disable next-line ConditionalExpression: undefined is not the name of a run, which is a RangeError below.
  if (lastRun === undefined) return undefined;
  try {
    const summary = await readRunSummary(bucket, lastRun, signal);
    if (!summary) return undefined;
    const results: PartResult[] = [];
    for (const { part: name } of summary.parts) {
      const part = parsePartName(name);
      const result = part && isWanted(part) && (await readPartResult(bucket, lastRun, part, signal));
      if (result) results.push(result);
    }
    return { summary, results };
  } catch (error) {
    // The part `others` reports that the record was replaced.
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

/** The runs of the audit function, as the bucket has them under `audits/`. */
import { type AuditPart, runRequestedAt } from '../audit-names.ts';
import {
  auditPlanKey,
  auditPrefix,
  auditResultKey,
  auditResultPrefix,
  auditRunPrefix,
  auditSummaryKey,
  parseAuditKey,
} from '../bucket/keys.ts';
import type { Bucket } from '../bucket/store.ts';
import { clockSkewMs } from '../limits.ts';
import {
  type AuditPlan,
  type PartResult,
  parsePlan,
  parseResult,
  parseSummary,
  type RunSummary,
} from './records.ts';

export interface AuditRunFiles {
  /** Name of the run. */
  run: string;
  hasPlan: boolean;
  /** Whether the run has ended. */
  hasSummary: boolean;
}

/**
 * Lists the runs, oldest first. Reads at most one page of the results of each: a run has up to thousands. Keys that the
 * archiver does not write are ignored.
 *
 * @param options `from`: name of the first run, inclusive; @default the first run of all
 * @throws ArchiverError the errors of `Bucket`, or the signal's reason
 */
export async function* listRuns(
  bucket: Pick<Bucket, 'list'>,
  { from, signal }: { from?: string | undefined; signal: AbortSignal },
): AsyncGenerator<AuditRunFiles> {
  let current: AuditRunFiles | undefined;
  // No key is equal to the prefix of a run.
  let after = from === undefined ? undefined : auditRunPrefix(from);
  for (;;) {
    const keys = await bucket.list(auditPrefix, after, signal);
    for (const key of keys) {
      const parsed = parseAuditKey(key);
      if (!parsed) continue;
      if (current?.run !== parsed.run) {
        if (current) yield current;
        current = { run: parsed.run, hasPlan: false, hasSummary: false };
      }
      if (parsed.file === 'plan') current.hasPlan = true;
      if (parsed.file === 'summary') current.hasSummary = true;
    }
    const last = keys.at(-1);
    if (last === undefined) break;
    const parsed = parseAuditKey(last);
    // Behind all results, before the summary: `~` follows every character of a part's name.
    after = typeof parsed?.file === 'object' ? `${auditResultPrefix(parsed.run)}~` : last;
  }
  if (current) yield current;
}

/**
 * @returns undefined if the run has no plan
 * @throws RangeError if it is not the plan of this run as the archiver writes it; ArchiverError the errors of `Bucket`
 */
export async function readRunPlan(
  bucket: Pick<Bucket, 'read'>,
  run: string,
  signal: AbortSignal,
): Promise<AuditPlan | undefined> {
  const body = await bucket.read(auditPlanKey(run), signal);
  return body && assertOfRun(parsePlan(body), run);
}

/** As `readRunPlan`. @returns undefined if the run has not ended */
export async function readRunSummary(
  bucket: Pick<Bucket, 'read'>,
  run: string,
  signal: AbortSignal,
): Promise<RunSummary | undefined> {
  const body = await bucket.read(auditSummaryKey(run), signal);
  return body && assertOfRun(parseSummary(body), run);
}

/** As `readRunPlan`. @returns undefined if the part has no result */
export async function readPartResult(
  bucket: Pick<Bucket, 'read'>,
  run: string,
  part: AuditPart,
  signal: AbortSignal,
): Promise<PartResult | undefined> {
  const body = await bucket.read(auditResultKey(run, part), signal);
  return body && assertOfRun(parseResult(body), run);
}

/** An altered record counts as none. @param record as the functions above read it */
export async function unlessAltered<Content>(
  record: Promise<Content | undefined>,
): Promise<Content | undefined> {
  try {
    return await record;
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

function assertOfRun<Content extends { run: string }>(content: Content, run: string): Content {
  if (content.run === run) return content;
  throw new RangeError('This object is a copy from another run of the audit.');
}

/**
 * Whether the clock of the machine that requested the run was ahead. Such a run is never the latest one: its name sorts
 * behind those of runs that were requested after it.
 */
export function isDatedAhead({ run, startedAt }: Pick<RunSummary, 'run' | 'startedAt'>): boolean {
  return runRequestedAt(run) > Date.parse(startedAt) + clockSkewMs;
}

/**
 * The newest complete run that left in the catalogue all documents as it found them.
 *
 * @param from name of the first run to consider
 * @throws ArchiverError the errors of `Bucket`
 */
export async function lastCatalogued(
  bucket: Pick<Bucket, 'list' | 'read'>,
  from: string,
  signal: AbortSignal,
): Promise<RunSummary | undefined> {
  const ended: string[] = [];
  for await (const { run, hasSummary } of listRuns(bucket, { from, signal })) if (hasSummary) ended.push(run);
  for (const run of ended.toReversed()) {
    const summary = await unlessAltered(readRunSummary(bucket, run, signal));
    if (summary?.status === 'complete' && summary.catalogue && !isDatedAhead(summary)) return summary;
  }
  return undefined;
}

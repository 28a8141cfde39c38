/** Records of the audit function's runs, and a bucket that has them. */

import {
  type AuditPlan,
  createRunTally,
  type PartResult,
  type RecordedFinding,
  type RunSummary,
  type RunTally,
  recordText,
} from '../../functions/audit/records.ts';
import { tallyOf } from '../../functions/audit/run-findings.ts';
import { type AuditPart, parsePartName, runRequestedAt } from '../../functions/audit-names.ts';
import { auditPlanKey, auditResultKey, auditSummaryKey } from '../../functions/bucket/keys.ts';
import { day } from './documents.ts';
import type { MemoryBucket } from './memory-bucket.ts';

export interface RunOptions {
  full?: boolean;
  readsBytes?: boolean;
  shareDays?: number;
  /** @default the share of the run's day */
  shares?: number[];
  /** Parts by name, each with what its result says; undefined: it has no result. */
  parts?: Record<string, (Partial<Omit<PartResult, 'tally'>> & { tally?: Partial<RunTally> }) | undefined>;
  /** What was found in the chain of manifests. */
  findings?: RecordedFinding[];
  manifest?: RunSummary['manifest'];
  /** Milliseconds since the Unix epoch. @default when it was requested */
  startedAtMs?: number;
  /** Milliseconds from the start to the summary. */
  durationMs?: number;
  /** Whether it has a summary. */
  ended?: boolean;
}

function countsOf(findings: readonly RecordedFinding[]): RunTally['counts'] {
  const counts: RunTally['counts'] = {};
  for (const { code } of findings) counts[code] = (counts[code] ?? 0) + 1;
  return counts;
}

/** A run with its plan, its results and, if it has ended, its summary. */
export function runRecords(
  run: string,
  {
    full = false,
    readsBytes = true,
    shareDays = 30,
    shares,
    parts = { ids__: {}, telnyx_1795651200: {}, others: {} },
    findings = [],
    manifest,
    startedAtMs = runRequestedAt(run),
    durationMs = 60_000,
    ended = true,
  }: RunOptions = {},
) {
  const startedAt = new Date(startedAtMs).toISOString();
  const endedAt = new Date(startedAtMs + durationMs).toISOString();
  const today = Math.floor(startedAtMs / day);
  const plan: AuditPlan = {
    v: 1,
    run,
    startedAt,
    full,
    shareDays,
    readsBytes,
    day: today,
    shares: shares ?? [today % shareDays],
    listShares: shares ?? [today % shareDays],
    newFrom: startedAt,
    parts: Object.keys(parts),
    manifests: manifest ? [manifest] : [],
    ...(manifest && { newestManifest: manifest }),
    findings,
    archiver: '0.2.0',
  };
  const results = Object.entries(parts).flatMap(([part, result]): PartResult[] => {
    if (result === undefined) return [];
    const { tally, findings: found = [], ...others } = result;
    const unchecked = others.unchecked === undefined ? {} : { unreadable: 1 };
    return [
      {
        v: 1,
        run,
        part,
        startedAt,
        endedAt,
        findings: found,
        ...others,
        tally: {
          ...createRunTally(),
          ...tally,
          counts: { ...tally?.counts, ...countsOf(found), ...unchecked },
        },
      },
    ];
  });
  const unfinished = Object.keys(parts).filter((part) => parts[part] === undefined);
  const summary: RunSummary = {
    v: 1,
    run,
    status: unfinished.length === 0 ? 'complete' : 'incomplete',
    startedAt,
    endedAt,
    full,
    shareDays,
    readsBytes,
    day: today,
    newFrom: startedAt,
    tally: tallyOf(plan, results),
    parts: results.map(({ part, rest }) => ({ part, ...(rest !== undefined && { rest }) })),
    unfinished,
    unchecked: results.flatMap(({ part, unchecked }) => (unchecked ? [part] : [])),
    ...(manifest && { manifest }),
    wroteManifest: false,
    ...(results.some((result) => result.catalogue) && { catalogue: true }),
    archiver: '0.2.0',
  };
  return { plan, results, summary: ended ? summary : undefined };
}

/** Puts the objects of a run into the bucket, as the audit function writes them. */
export function putRun(bucket: MemoryBucket, run: string, options: RunOptions = {}): void {
  const { plan, results, summary } = runRecords(run, options);
  const at = runRequestedAt(run);
  bucket.put(auditPlanKey(run), recordText(plan), at);
  for (const result of results) {
    bucket.put(auditResultKey(run, parsePartName(result.part) as AuditPart), recordText(result), at);
  }
  if (summary) bucket.put(auditSummaryKey(run), recordText(summary), at);
}

/** Reads the runs of the audit function, and adds the file names of the documents, which no run records. */

import {
  countDefects,
  countUnchecked,
  createTally,
  type Finding,
  findingCodes,
  type Tally,
} from '../../functions/audit/findings.ts';
import { readReceipt } from '../../functions/audit/receipt-reading.ts';
import type { AuditPlan, PartResult, RunSummary } from '../../functions/audit/records.ts';
import { findingsOf } from '../../functions/audit/run-findings.ts';
import {
  isDatedAhead,
  listRuns,
  readPartResult,
  readRunPlan,
  readRunSummary,
} from '../../functions/audit/run-history.ts';
import { type AuditPart, parsePartName, runName } from '../../functions/audit-names.ts';
import { auditPlanKey, auditResultKey, auditSummaryKey, receiptKey } from '../../functions/bucket/keys.ts';
import { maxReceiptBytes } from '../../functions/bucket/receipts.ts';
import { createStorageRetry } from '../../functions/bucket/storage-retry.ts';
import type { Bucket } from '../../functions/bucket/store.ts';
import { ArchiverError } from '../../functions/errors.ts';
import { mapConcurrently, mapStreamConcurrently } from '../../functions/map-concurrently.ts';
import { formatCount, formatNumber } from '../../terminal/counts.ts';
import type { CommandContext } from '../command.ts';
import type { HistoryRow } from '../report/run-page.ts';
import type { BucketAccess } from '../target/target.ts';

/** Records, or receipts, that are read at the same time. */
const readsAtOnce = 16;

export interface RunArchive {
  archive: BucketAccess;
  /** Repeats requests after temporary failures of S3. */
  bucket: Pick<Bucket, 'list' | 'read' | 'head'>;
  signal: AbortSignal;
}

export async function openRuns({ target, time, random, signal }: CommandContext): Promise<RunArchive> {
  const archive = await target.bucket('read');
  const retry = createStorageRetry({ time, random, signal });
  const { list, read, head } = archive.bucket;
  return {
    archive,
    bucket: {
      list: (...parameters) => retry(() => list(...parameters)),
      read: (...parameters) => retry(() => read(...parameters)),
      head: (...parameters) => retry(() => head(...parameters)),
    },
    signal,
  };
}

/** A run that has ended. */
export interface EndedRun {
  run: string;
  /** Undefined if the plan is missing or not as the archiver writes it. */
  plan: AuditPlan | undefined;
  summary: RunSummary;
}

/** The runs of a period, without those that are dated ahead. Each list is oldest first. */
export interface RunHistory {
  ended: EndedRun[];
  /** Names of runs without a summary. */
  unfinished: string[];
  /** Names of runs whose summary is not as the archiver writes it. */
  unreadable: string[];
}

/** A period, in which a run is by the time of its request. Milliseconds since the Unix epoch. */
export interface RunPeriod {
  /** Inclusive. @default the first run */
  since?: number;
  /** Exclusive. @default the newest run */
  until?: number;
}

export async function readHistory(
  { since, until }: RunPeriod,
  { bucket, signal }: RunArchive,
): Promise<RunHistory> {
  const history: RunHistory = { ended: [], unfinished: [], unreadable: [] };
  const names: string[] = [];
  const from = since === undefined ? undefined : firstRunAt(since);
  const end = until === undefined ? undefined : firstRunAt(until);
  for await (const { run, hasPlan, hasSummary } of listRuns(bucket, { from, signal })) {
    if (end !== undefined && run >= end) break;
    if (hasSummary) names.push(run);
    else if (hasPlan) history.unfinished.push(run);
  }
  const read = await mapConcurrently(names, readsAtOnce, signal, async (run, limited) => ({
    run,
    plan: await orUndefined(readRunPlan(bucket, run, limited)),
    summary: await orUndefined(readRunSummary(bucket, run, limited)),
  }));
  for (const { run, plan, summary } of read) {
    if (summary && !isDatedAhead(summary)) history.ended.push({ run, plan, summary });
    else if (!summary) history.unreadable.push(run);
  }
  return history;
}

/** Name of the first run that may be requested at this time or later: a name has whole seconds. */
function firstRunAt(instant: number): string {
  return runName(Math.ceil(instant / 1_000) * 1_000);
}

/** @returns undefined for a record that is not as the archiver writes it */
async function orUndefined<Content>(reading: Promise<Content | undefined>): Promise<Content | undefined> {
  try {
    return await reading;
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

/** The counts of a run in the form of the command's own. Parts without a result count as `unreadable`. */
export function tallyOfRun({ plan, summary }: Pick<EndedRun, 'plan' | 'summary'>): Tally {
  const { tally, unfinished } = summary;
  const { archived, held, bytes, objectsRead, bytesRead, requests, documents } = tally;
  const { counts } = createTally();
  for (const code of findingCodes) counts[code] = tally.counts[code] ?? 0;
  counts.unreadable += unfinished.length + (plan ? 0 : 1);
  return { counts, archived, held, bytes, objectsRead, bytesRead, requests, documents };
}

/**
 * The problems of a run, each once and without names, and one for each record that is missing or not as the archiver
 * writes it.
 */
export async function findingsOfRun(
  { run, plan, summary }: EndedRun,
  { bucket, signal }: RunArchive,
): Promise<Finding[]> {
  const others = plan ? [] : [unreadable(auditPlanKey(run), notWritten)];
  for (const part of summary.unfinished) {
    others.push(unreadable(keyOf(run, part), 'the run ended without a result of this part'));
  }
  const results: PartResult[] = [];
  const read = await mapConcurrently(summary.parts, readsAtOnce, signal, async ({ part }, limited) => ({
    part,
    result: await orUndefined(readPartResult(bucket, run, partOf(part), limited)),
  }));
  for (const { part, result } of read) {
    if (result) results.push(result);
    else others.push(unreadable(keyOf(run, part), notWritten));
    const unchecked = result?.unchecked;
    if (unchecked) others.push(unreadable(keyOf(run, part), `${unchecked.code}: ${unchecked.reason}`));
  }
  return [...findingsOf(plan ?? { findings: [] }, results), ...others];
}

const notWritten = 'missing, or not as the audit function writes it';

function unreadable(key: string, detail: string): Finding {
  return { code: 'unreadable', key, detail };
}

/** @param name a valid name: the schemas of the records check it */
function partOf(name: string): AuditPart {
  return parsePartName(name) as AuditPart;
}

function keyOf(run: string, part: string): string {
  return auditResultKey(run, partOf(part));
}

/**
 * Adds file name and reference to findings about a document, from its receipt of today. A document without a receipt, or
 * an erased one, has neither.
 *
 * @param onUnreadable called once if a receipt cannot be read: the findings stay without names then
 */
export async function* withNames(
  findings: AsyncIterable<Finding>,
  { bucket, signal }: RunArchive,
  onUnreadable: (error: ArchiverError) => void,
): AsyncGenerator<Finding> {
  let isReadable = true;
  yield* mapStreamConcurrently(findings, readsAtOnce, signal, async (finding, limited) => {
    const { documentId } = finding;
    if (documentId === undefined || !isReadable) return finding;
    const key = receiptKey(documentId);
    try {
      const stored = await bucket.head(key, limited);
      if (!stored || stored.state === 'erased' || stored.bytes > maxReceiptBytes) return finding;
      const body = await bucket.read(key, limited);
      if (!body) return finding;
      const { fileName, customerReference } = readReceipt(documentId, body);
      return { ...finding, fileName, customerReference };
    } catch (error) {
      limited.throwIfAborted();
      if (!(error instanceof ArchiverError)) throw error;
      if (isReadable) onUnreadable(error);
      isReadable = false;
      return finding;
    }
  });
}

/** How many daily shares of the archive were read back, and how many there are. */
export interface Shares {
  read: number;
  of: number;
}

export function sharesOfRun({ plan, summary: { full, shareDays: of } }: EndedRun): Shares {
  return { read: full ? of : (plan?.shares.length ?? 0), of };
}

export interface ReadBack {
  objects: number;
  bytes: number;
  /** Only complete runs with the same `fixityDays` as the newest run count. */
  shares: Shares;
  /** `shares` in words. */
  share: string;
}

/** What several runs have read back in all. @param runs oldest first */
export function readBackOf(runs: readonly EndedRun[]): ReadBack {
  const { shareDays: of = 1, readsBytes = true } = runs.at(-1)?.summary ?? {};
  const reading = runs.filter(
    ({ summary }) => summary.status === 'complete' && summary.readsBytes && summary.shareDays === of,
  );
  const distinct = new Set(reading.flatMap(({ plan }) => plan?.shares ?? []));
  const shares = { read: reading.some(({ summary }) => summary.full) ? of : distinct.size, of };
  const sum = (name: 'objectsRead' | 'bytesRead') =>
    runs.reduce((total, { summary }) => total + summary.tally[name], 0);
  return {
    objects: sum('objectsRead'),
    bytes: sum('bytesRead'),
    shares,
    share: describeShares(shares, readsBytes || shares.read > 0),
  };
}

/** Such as `3 of 30 daily shares (10 %)`. @param readsBytes whether the stage has objects read back at all */
export function describeShares({ read, of }: Shares, readsBytes: boolean): string {
  if (!readsBytes) return 'the stage setting fixityDays is never';
  if (read >= of) return 'the whole archive';
  return `${formatNumber(read)} of ${formatCount(of, 'daily share')} (${Math.floor((100 * read) / of)} %)`;
}

/** A line of `--json` about a run that has ended. */
export function runRecord({ run, plan, summary }: EndedRun): object {
  const { status, startedAt, endedAt, full, readsBytes, shareDays, tally, unfinished, manifest } = summary;
  const { counts, ...numbers } = tally;
  return {
    type: 'run',
    run,
    status,
    startedAt,
    endedAt,
    full,
    readsBytes,
    shareDays,
    shares: plan?.shares,
    ...numbers,
    counts,
    unfinishedParts: unfinished.length,
    manifest,
  };
}

/** A line of `--json` about a run that has no valid summary. */
export function openRunRecord(run: string, status: 'unfinished' | 'unreadable'): object {
  return { type: 'run', run, status };
}

/** A finding for a summary that the archiver did not write in this form. */
export function unreadableSummary(run: string): Finding {
  return unreadable(auditSummaryKey(run), notWritten);
}

/** The rows of a table of runs, newest first. */
export function historyRows({ ended, unfinished, unreadable: altered }: RunHistory): HistoryRow[] {
  const rows: HistoryRow[] = [
    ...ended.map((entry): HistoryRow => {
      const tally = tallyOfRun(entry);
      const { status, full } = entry.summary;
      return {
        run: entry.run,
        state: full ? `${status}, full` : status,
        tally,
        problems: countDefects(tally),
        unchecked: countUnchecked(tally),
      };
    }),
    ...unfinished.map((run): HistoryRow => ({ run, state: 'not ended' })),
    ...altered.map((run): HistoryRow => ({ run, state: 'summary not readable' })),
  ];
  return rows.sort((a, b) => (a.run < b.run ? 1 : -1));
}

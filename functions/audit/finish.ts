/** Ends a run: publishes its metrics, then writes its summary. So the metrics of a run with a summary are published. */
import { type AuditPart, parsePartName, partStartName, runName, runRequestedAt } from '../audit-names.ts';
import { auditResultPrefix, auditSummaryKey, manifestPrefix, parseAuditKey } from '../bucket/keys.ts';
import { type ManifestLine, parseManifestKey } from '../bucket/manifest-text.ts';
import type { Bucket } from '../bucket/store.ts';
import { writeRootManifest } from '../bucket/stretch-manifest.ts';
import { ArchiverError } from '../errors.ts';
import { nightlyAudit } from '../limits.ts';
import type { Log, LogFields } from '../log.ts';
import { mapConcurrently } from '../map-concurrently.ts';
import { findingCodes, weightOf } from './findings.ts';
import type { AuditDependencies } from './handler.ts';
import type { AuditPlan, PartResult, RunSummary, RunTally } from './records.ts';
import { tallyOf } from './run-findings.ts';
import { listRuns, readPartResult, unlessAltered } from './run-history.ts';
import { writeRunObject } from './run-objects.ts';

type Dependencies = Pick<AuditDependencies, 'log' | 'time'>;

/** Results read at the same time. */
const concurrency = 16;

/**
 * Writes the summary if every part has its result.
 *
 * @returns log fields of a run that this call has ended; none otherwise
 * @throws ArchiverError the errors of `Bucket`
 */
export async function finishRun(
  plan: AuditPlan,
  bucket: Bucket,
  signal: AbortSignal,
  dependencies: Dependencies,
): Promise<LogFields> {
  // This check is cheap, and ends all calls but those of the last parts.
  const written = await listResults(plan.run, bucket, signal);
  if (!plan.parts.every((name) => written.has(startName(name)))) return {};
  if (await bucket.head(auditSummaryKey(plan.run), signal)) return {};
  const { results, unfinished } = await readResults(plan, bucket, signal);
  if (unfinished.length > 0) return {};
  const manifest = await writeManifest(plan, results, bucket, signal);
  return await end(plan, { results, unfinished, manifest }, bucket, signal, dependencies);
}

/**
 * Closes a run that never ended. Writes no manifest, so that nothing about an old run can keep the next one from starting.
 *
 * @throws ArchiverError the errors of `Bucket`
 */
export async function closeRun(
  plan: AuditPlan,
  bucket: Bucket,
  signal: AbortSignal,
  dependencies: Dependencies,
): Promise<void> {
  const read = await readResults(plan, bucket, signal);
  await end(plan, { ...read, manifest: undefined }, bucket, signal, dependencies);
}

interface RunEnd {
  results: readonly PartResult[];
  unfinished: readonly string[];
  /** The manifest that the run wrote; undefined if it wrote none. */
  manifest: ManifestLine | undefined;
}

async function end(
  plan: AuditPlan,
  { results, unfinished, manifest: written }: RunEnd,
  bucket: Bucket,
  signal: AbortSignal,
  { log, time }: Dependencies,
): Promise<LogFields> {
  const isComplete = unfinished.length === 0;
  const tally = tallyOf(plan, results);
  const problems = countRun(tally, isComplete, log);
  const manifest = written ?? plan.newestManifest;
  const summary: RunSummary = {
    v: 1,
    run: plan.run,
    status: isComplete ? 'complete' : 'incomplete',
    startedAt: plan.startedAt,
    endedAt: new Date(time.now()).toISOString(),
    full: plan.full,
    shareDays: plan.shareDays,
    readsBytes: plan.readsBytes,
    day: plan.day,
    newFrom: plan.newFrom,
    tally,
    // Stryker disable next-line ConditionalExpression: JSON leaves out what is undefined; required by the type.
    parts: results.map(({ part, rest }) => ({ part, ...(rest !== undefined && { rest }) })),
    unfinished: [...unfinished],
    ...(manifest && { manifest }),
    wroteManifest: written !== undefined,
    ...(isComplete && ofIds(results).every(({ catalogue }) => catalogue) && { catalogue: true }),
    unchecked: results.filter(({ unchecked }) => unchecked).map(({ part }) => part),
    ...namedSince(plan, tally, results),
    archiver: plan.archiver,
  };
  await writeRunObject(auditSummaryKey(plan.run), summary, bucket, signal);
  log.info(isComplete ? 'Audit completed' : 'Audit closed: some parts have no result', {
    run: plan.run,
    found: tally.documents,
    bytes: tally.bytesRead,
    problems,
  });
  return { status: summary.status, found: tally.documents, problems };
}

/** Publishes the metrics of the run. @returns number of problems, including what could not be checked */
function countRun(tally: RunTally, isComplete: boolean, log: Log): number {
  let problems = 0;
  for (const code of findingCodes) {
    const count = tally.counts[code] ?? 0;
    if (weightOf(code) === 'fine' || count === 0) continue;
    problems += count;
    log.count('AuditFindings', count, { Code: code });
  }
  if (problems === 0) log.count('AuditFindings', 0);
  log.count('AuditedDocuments', tally.documents);
  log.count('AuditRepairs', tally.repaired);
  if (isComplete) log.count('AuditCompleted');
  return problems;
}

/**
 * The oldest manifest whose entries the next run compares. It stays the same while the manifests contradict each other, and
 * if the entries of some documents were not compared.
 */
function namedSince(
  { manifests }: AuditPlan,
  { counts }: RunTally,
  results: readonly PartResult[],
): Pick<RunSummary, 'namedSince'> {
  const isClean =
    !results.some(({ unchecked }) => unchecked) &&
    !counts['manifest-differs'] &&
    !counts['manifest-altered'] &&
    !counts['manifest-removed'];
  const key = (isClean ? manifests.at(-1) : manifests[0])?.key;
  // Stryker disable next-line ConditionalExpression: JSON leaves out what is undefined; required by the type.
  return key === undefined ? {} : { namedSince: key };
}

/**
 * @returns undefined if the run writes no manifest: none is due; it could not check everything that the manifest would name;
 *   another run has written one or may be about to, and two manifests with the same predecessor would break the chain; or
 *   something else is at its key, which the next run reports
 */
async function writeManifest(
  plan: AuditPlan,
  results: readonly PartResult[],
  bucket: Bucket,
  signal: AbortSignal,
): Promise<ManifestLine | undefined> {
  const { manifest: timestamp, newestManifest: predecessor } = plan;
  const parts = ofIds(results);
  const stretches = parts.flatMap(({ manifest }) => manifest ?? []);
  if (timestamp === undefined || stretches.length < parts.length) return undefined;
  if (await hasRival(plan.run, bucket, signal)) return undefined;
  if (await hasSuccessor(plan, timestamp, bucket, signal)) return undefined;
  try {
    return await writeRootManifest(
      {
        timestamp,
        ...(predecessor && { predecessor }),
        stretches: stretches.map(({ key, sha256 }) => ({ key, sha256 })),
      },
      bucket,
      signal,
    );
  } catch (error) {
    if (error instanceof ArchiverError && error.code === 'KeyCollision') return undefined;
    throw error;
  }
}

function ofIds(results: readonly PartResult[]): PartResult[] {
  // Stryker disable next-line OptionalChaining: a result that was read has the name of a part; required by the type.
  return results.filter(({ part }) => parsePartName(part)?.sort === 'ids');
}

/** Whether an earlier run has not ended, and may still write its manifest. */
async function hasRival(own: string, bucket: Pick<Bucket, 'list'>, signal: AbortSignal): Promise<boolean> {
  const from = runName(runRequestedAt(own) - 2 * nightlyAudit.unfinishedAfterMs);
  for await (const { run, hasPlan, hasSummary } of listRuns(bucket, { from, signal })) {
    if (run < own && hasPlan && !hasSummary) return true;
  }
  return false;
}

/** Whether another run or command has written a manifest since the plan. Altered ones that the plan reports do not count. */
async function hasSuccessor(
  { newestManifest, findings }: AuditPlan,
  own: string,
  bucket: Pick<Bucket, 'list'>,
  signal: AbortSignal,
): Promise<boolean> {
  const known = new Set(findings.map(({ key }) => key));
  for (let after = newestManifest?.key; ; ) {
    const keys = await bucket.list(manifestPrefix, after, signal);
    if (keys.length === 0) return false;
    // Stryker disable next-line ArrayDeclaration: a text is the file of no manifest.
    const files = keys.flatMap((key) => (known.has(key) ? [] : (parseManifestKey(key) ?? [])));
    if (files.some(({ file, timestamp }) => file === 'manifest' && timestamp !== own)) return true;
    after = keys.at(-1);
  }
}

/** Names, without their ends, of the parts that have a result: see `partStartName`. */
async function listResults(
  run: string,
  bucket: Pick<Bucket, 'list'>,
  signal: AbortSignal,
): Promise<Set<string>> {
  const starts = new Set<string>();
  let after: string | undefined;
  for (;;) {
    const keys = await bucket.list(auditResultPrefix(run), after, signal);
    if (keys.length === 0) return starts;
    for (const key of keys) {
      const file = parseAuditKey(key)?.file;
      if (typeof file === 'object') starts.add(file.result);
    }
    after = keys.at(-1);
  }
}

/** The results of all pieces of the planned parts, in the order of the parts. An altered result counts as missing. */
async function readResults(
  { run, parts }: AuditPlan,
  bucket: Pick<Bucket, 'read'>,
  signal: AbortSignal,
): Promise<{ results: PartResult[]; unfinished: string[] }> {
  const chains = await mapConcurrently(parts, concurrency, signal, async (first, limited) => {
    const results: PartResult[] = [];
    // Stryker disable next-line OptionalChaining: a result was read before; required by the type.
    for (let name: string | undefined = first; name !== undefined; name = results.at(-1)?.rest) {
      const part = parsePartName(name) as AuditPart;
      const result = await unlessAltered(readPartResult(bucket, run, part, limited));
      if (!result) return { results, unfinished: [name] };
      results.push(result);
    }
    return { results, unfinished: [] };
  });
  return {
    results: chains.flatMap(({ results }) => results),
    unfinished: chains.flatMap(({ unfinished }) => unfinished),
  };
}

function startName(name: string): string {
  return partStartName(parsePartName(name) as AuditPart);
}

/** Starts a run: closes earlier runs that never ended, writes the plan once, and queues the parts. */
import { parsePartName, partName, runName } from '../audit-names.ts';
import { auditPlanKey, manifestPrefix } from '../bucket/keys.ts';
import { type ListingOptions, listVersions } from '../bucket/listing.ts';
import { nextTimestamp, parseManifestKey, parseTimestamp } from '../bucket/manifest-text.ts';
import { createStorageRetry } from '../bucket/storage-retry.ts';
import type { Bucket } from '../bucket/store.ts';
import { ArchiverError } from '../errors.ts';
import { clockSkewMs, nightlyAudit } from '../limits.ts';
import type { LogFields } from '../log.ts';
import type { AuditStartMessage } from '../queue/messages.ts';
import { closeRun } from './finish.ts';
import type { AuditDependencies, AuditReceive } from './handler.ts';
import { checkManifestsInPlace } from './manifest-chain.ts';
import { runBucket } from './part-context.ts';
import { type AuditPlan, createRunTally, type RunSummary, recordFinding } from './records.ts';
import { isDatedAhead, listRuns, readRunPlan, readRunSummary, unlessAltered } from './run-history.ts';
import { sendParts, writeRunObject } from './run-objects.ts';
import { dayOf, shareOf, sharesOf } from './shares.ts';
import { divideIds, sampleReceipts } from './stretches.ts';

/** A start that is received later than this after its request is skipped: the next night's audit does its work. */
const supersededAfterMs = 20 * 60 * 60_000;
const dayMs = 24 * 60 * 60_000;
const everyDays = nightlyAudit.manifestEveryMs / dayMs;

/**
 * Safe to repeat: a second delivery follows the plan that exists.
 *
 * @throws ArchiverError MalformedMessage if the request is dated ahead; those of the bucket and of the queue
 */
export async function startRun(
  message: AuditStartMessage,
  receive: AuditReceive,
  dependencies: AuditDependencies,
): Promise<LogFields> {
  const { signal, receivedAt } = receive;
  const requestedAt = Date.parse(message.requestedAt);
  if (requestedAt - receivedAt > clockSkewMs) throw datedAhead();
  const run = runName(requestedAt, message.full);
  if (receivedAt - requestedAt > supersededAfterMs) {
    dependencies.log.info('Audit skipped: a later one covers it', { run });
    return { run };
  }
  const bucket = runBucket(dependencies, signal, createRunTally());
  const last = await reviewRuns(run, receivedAt, bucket, signal, dependencies);
  let plan = await readRunPlan(bucket, run, signal);
  if (!plan) {
    const own = await createPlan(run, message, last, receive, dependencies);
    const written = await writeRunObject(auditPlanKey(run), own, bucket, signal);
    plan = written === 'written' ? own : await readRunPlan(bucket, run, signal);
  }
  if (!plan)
    throw new ArchiverError('BucketConflict', 'The plan existed during the write, but was gone afterwards.');
  await sendParts(plan, plan.parts, signal, dependencies);
  return { run, queued: plan.parts.length };
}

/** The last complete runs, with which the new run compares. */
interface LastRuns {
  last?: RunSummary | undefined;
  /** The last one that compared its whole share of Telnyx's list. */
  listed?: RunSummary | undefined;
}

/** Closes runs that never ended. @returns the last complete runs */
async function reviewRuns(
  own: string,
  receivedAt: number,
  bucket: Bucket,
  signal: AbortSignal,
  dependencies: AuditDependencies,
): Promise<LastRuns> {
  // Stryker disable next-line ArrayDeclaration: the summary of a run that does not exist is skipped.
  const ended: string[] = [];
  const from = runName(receivedAt - nightlyAudit.lastRunWithinMs);
  for await (const { run, hasPlan, hasSummary } of listRuns(bucket, { from, signal })) {
    if (run === own) continue;
    if (hasSummary) ended.push(run);
    else if (hasPlan) {
      const plan = await unlessAltered(readRunPlan(bucket, run, signal));
      const isOld = plan && receivedAt - Date.parse(plan.startedAt) >= nightlyAudit.unfinishedAfterMs;
      if (isOld) await closeRun(plan, bucket, signal, dependencies);
    }
  }
  let last: RunSummary | undefined;
  for (const run of ended.toReversed()) {
    const summary = await unlessAltered(readRunSummary(bucket, run, signal));
    if (summary?.status !== 'complete' || isDatedAhead(summary)) continue;
    last ??= summary;
    // If a summary was altered, the part `others` reports that its object was replaced.
    // Stryker disable next-line OptionalChaining: each is the name of a part; required by the type.
    if (!summary.unchecked.some((name) => parsePartName(name)?.sort === 'telnyx')) {
      return { last, listed: summary };
    }
  }
  return { last };
}

async function createPlan(
  run: string,
  message: AuditStartMessage,
  { last, listed }: LastRuns,
  { receivedAt, signal }: AuditReceive,
  dependencies: AuditDependencies,
): Promise<AuditPlan> {
  const { fixityDays, version } = dependencies;
  const full = message.full === true;
  const shareDays = fixityDays || nightlyAudit.fixityDays;
  const day = dayOf(receivedAt);
  const shares = sharesOf(day, last?.day, shareDays);
  const since = full ? undefined : last?.namedSince;
  const listing = listingOf(signal, dependencies);
  const chain = await checkChain({ full, shares, shareDays }, since, listing, signal, dependencies);
  const samples = await sampleReceipts((prefix) => listVersions(listing, { prefix }), signal);
  const manifests = chain.valid.map(({ key, sha256 }) => ({ key, sha256 }));
  const newestManifest = manifests.at(-1);
  const isEmpty = samples.every(({ documents }) => documents === 0);
  return {
    v: 1,
    run,
    startedAt: new Date(receivedAt).toISOString(),
    full,
    shareDays,
    readsBytes: full || fixityDays > 0,
    day,
    shares,
    listShares: sharesOf(day, listed?.day, shareDays),
    newFrom: new Date(receivedAt - clockSkewMs).toISOString(),
    ...(last && { lastRun: last.run }),
    ...(listed && { lastListed: listed.run }),
    parts: [
      ...divideIds(samples, nightlyAudit.partDocuments).map((stretch) =>
        partName({ sort: 'ids', ...stretch }),
      ),
      partName({ sort: 'telnyx', until: Math.ceil((receivedAt + clockSkewMs) / 1_000) }),
      // Stryker disable next-line ObjectLiteral,StringLiteral: whatever is neither of the sorts above has this name.
      partName({ sort: 'others' }),
    ],
    manifests: manifests.slice(
      Math.max(
        0,
        manifests.findIndex(({ key }) => key === since),
      ),
    ),
    ...(newestManifest && { newestManifest }),
    // `sha256sum` refuses a file without lines.
    ...(!isEmpty &&
      isManifestDue(newestManifest?.key, receivedAt) && {
        manifest: nextTimestamp(latestBefore(chain, receivedAt), receivedAt / 1_000),
      }),
    findings: chain.findings.map((finding) => recordFinding(finding)),
    archiver: version,
  };
}

function listingOf(
  signal: AbortSignal,
  { s3, bucketName: name, time, random }: AuditDependencies,
): ListingOptions {
  const retry = createStorageRetry({ time, random, signal });
  return { s3, name, time, retry, onRequest: () => undefined };
}

function checkChain(
  { full, shares, shareDays }: Pick<AuditPlan, 'full' | 'shares' | 'shareDays'>,
  since: string | undefined,
  listing: ListingOptions,
  signal: AbortSignal,
  { bucket }: AuditDependencies,
) {
  return checkManifestsInPlace(
    listVersions(listing, { prefix: manifestPrefix }),
    { since, full, isShare: (key) => shares.includes(shareOf(key, shareDays)) },
    { ...listing, bucket, signal },
  );
}

function isManifestDue(newest: string | undefined, now: number): boolean {
  if (newest === undefined) return true;
  const ageMs = now - instantOf(newest);
  // A computer with a wrong clock may have written it.
  return ageMs < -dayMs ? dayOf(now) % everyDays === 0 : ageMs >= nightlyAudit.manifestEveryMs;
}

/**
 * The timestamp after which the next manifest must be. A file with a timestamp in the future that belongs to no valid
 * manifest is ignored: otherwise all later manifests would have to be in the future.
 */
function latestBefore(
  { latestTimestamp, valid }: { latestTimestamp: string | undefined; valid: readonly { key: string }[] },
  now: number,
) {
  if (latestTimestamp === undefined || parseTimestamp(latestTimestamp) * 1_000 <= now + dayMs)
    return latestTimestamp;
  // Stryker disable next-line StringLiteral: any text that is not the key of a manifest has no timestamp.
  return parseManifestKey(valid.at(-1)?.key ?? '')?.timestamp;
}

/** With a name in the future, the run would count as the latest one until then. */
function datedAhead(): ArchiverError {
  return new ArchiverError(
    'MalformedMessage',
    'The audit was requested for a time in the future. Correct the clock of the machine that requested it, and start the audit again.',
  );
}

/** Of a manifest, in milliseconds since the Unix epoch. */
function instantOf(key: string): number {
  // Stryker disable next-line OptionalChaining,StringLiteral: it is the key of a manifest; required by the type.
  return parseTimestamp(parseManifestKey(key)?.timestamp ?? '') * 1_000;
}

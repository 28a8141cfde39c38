/**
 * `audit`: is everything there, and unchanged?
 *
 * Telnyx's list, the receipts, the objects and the newest manifest are read side by side, each sorted by id, and
 * what they say of one document is judged at a time: but for Telnyx's list, which is not sorted, nothing is held.
 */

import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  createTally,
  defectsIn,
  type Finding,
  type Tally,
  uncheckedIn,
  weightOf,
} from '../../functions/audit/findings.ts';
import { gather, type Inspected, inspect } from '../../functions/audit/inspect.ts';
import { type Chain, readChain } from '../../functions/audit/manifest-chain.ts';
import { createRecheck } from '../../functions/audit/recheck.ts';
import { readTelnyxDocuments, TelnyxDocuments } from '../../functions/audit/telnyx-documents.ts';
import { manifestPrefix } from '../../functions/bucket/keys.ts';
import { type ListingOptions, listArchive } from '../../functions/bucket/listing.ts';
import type { NamedDocument } from '../../functions/bucket/manifest-text.ts';
import { draftManifest, type ManifestDraft } from '../../functions/bucket/manifest-writer.ts';
import { createStorageRetry, type StorageRetry } from '../../functions/bucket/storage-retry.ts';
import type { Bucket } from '../../functions/bucket/store.ts';
import { ArchiverError } from '../../functions/errors.ts';
import { mapInOrder } from '../../functions/map-in-order.ts';
import type { TelnyxClient } from '../../functions/telnyx/client.ts';
import packageJson from '../../package.json' with { type: 'json' };
import { formatBytes } from '../../terminal/bytes.ts';
import { formatNumber } from '../../terminal/counts.ts';
import type { ProgressState } from '../../terminal/progress.ts';
import type { Terminal } from '../../terminal/terminal.ts';
import type { CommandContext } from '../command.ts';
import { failuresByCode } from '../report/failures.ts';
import { reportPage } from '../report/page.ts';
import { Statistics } from '../report/statistics.ts';
import { auditSummary, findingLine, findingRecord, type Scope, summaryRecord } from '../report/summary.ts';
import { retryingTelnyx } from '../retrying-telnyx.ts';
import type { BucketAccess } from '../target/target.ts';
import { type AuditOptions, exitCodes } from './options.ts';
import { requeue } from './repair.ts';

/** Documents that are looked at side by side. */
const atOnce = 32;
/** When this many in a row, from the first one on, cannot be read, the cause is not theirs. */
const hopeless = 50;

/** What the steps of one audit share. */
interface Audit {
  options: AuditOptions;
  context: CommandContext;
  archive: BucketAccess;
  retry: StorageRetry;
  /** A folder of this audit's own. */
  folder: string;
  tally: Tally;
  documents: TelnyxDocuments;
  statistics: Statistics;
  found: (finding: Finding) => void;
  onRequest: () => void;
}

/**
 * @returns the exit code
 * @throws Error where it cannot be run, ArchiverError where a listing breaks off, or the signal's reason. Nothing is
 *   left behind then but lines on the terminal
 */
export async function audit(options: AuditOptions, context: CommandContext): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'telnyx-archiver-audit-'));
  try {
    return await auditWithin(folder, options, context);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function auditWithin(folder: string, options: AuditOptions, context: CommandContext): Promise<number> {
  const { target, terminal, time, random, signal } = context;
  const started = time.monotonic();
  // All that may be refused is asked for before the work begins.
  const archive = await target.bucket();
  const telnyx = options.telnyx ? await target.telnyx() : undefined;
  const queues = options.repair ? await target.queues() : undefined;
  const tally = createTally();
  const audit: Audit = {
    options,
    context,
    archive,
    retry: createStorageRetry({ time, random, signal }),
    folder,
    tally,
    documents: new TelnyxDocuments(),
    statistics: new Statistics(),
    found: (finding) => {
      tally.counts[finding.code] += 1;
      if (!options.all && weightOf(finding.code) === 'fine') return;
      terminal.print(findingLine(finding, terminal.paint));
      terminal.record(findingRecord(finding));
    },
    onRequest: () => {
      tally.requests += 1;
    },
  };

  const began = time.now();
  let comparing = started;
  const progress = terminal.progress(() => progressOf(audit, time.monotonic() - comparing));
  let draft: ManifestDraft | undefined;
  try {
    const chain = await checkManifests(audit);
    const telnyxListed = telnyx !== undefined && (await listTelnyx(telnyx, began, audit));
    draft = await beginManifest(chain, audit);
    comparing = time.monotonic();
    const repairable = await compare({ began, telnyxListed }, chain, draft, audit);
    progress.stop();

    const scope: Scope = {
      archive: target.name,
      listedAtTelnyx: telnyx ? audit.documents.count : undefined,
      quick: options.quick,
      manifests: chain.manifests.length,
      newestManifest: chain.base && { key: chain.base.manifest.key, sha256: chain.base.manifest.sha256 },
      seconds: (time.monotonic() - started) / 1_000,
    };
    terminal.print(`\n${auditSummary(tally, scope, terminal.paint)}`);
    terminal.record(summaryRecord(tally, scope));
    if (options.html !== undefined) await writeReport(options.html, scope, audit);
    if (draft) await publish(draft, terminal);
    if (queues) {
      const lane = await requeue(repairable, queues, { time, signal });
      terminal.print(
        `\n${formatNumber(repairable.length)} documents queued${lane ? `, in the lane ${lane}` : ''}.`,
      );
      terminal.record({ type: 'repair', queued: repairable.length, lane });
    }
  } finally {
    progress.stop();
    await draft?.discard();
  }
  if (defectsIn(tally) > 0) return exitCodes.findings;
  return uncheckedIn(tally) > 0 ? exitCodes.incomplete : exitCodes.well;
}

async function checkManifests(audit: Audit): Promise<Chain> {
  const { archive, retry, folder, onRequest, options, statistics, found } = audit;
  const listed = listArchive(listingOf(audit), { prefix: manifestPrefix });
  const copy = join(folder, 'newest-manifest');
  const chain = await readChain(listed, options.expectManifest, copy, {
    ...archive,
    retry,
    onRequest,
  });
  for (const finding of chain.findings) {
    found(finding);
    statistics.addOther(finding);
  }
  return chain;
}

/** @returns whether the list is whole, so that what is not on it is not at Telnyx */
async function listTelnyx(
  telnyx: TelnyxClient,
  began: number,
  { documents, context, statistics, found }: Audit,
): Promise<boolean> {
  const { signal } = context;
  const patient = retryingTelnyx(telnyx, context);
  const problem = await readTelnyxDocuments(patient, began, documents).then(
    (unreadable) => (unreadable > 0 ? `${unreadable} rows of its list have no readable id.` : undefined),
    (error: unknown) => {
      signal.throwIfAborted();
      if (error instanceof ArchiverError) return `${error.code}: ${error.message}`;
      throw error;
    },
  );
  if (problem === undefined) return true;
  const finding: Finding = { code: 'unreadable', key: 'telnyx', detail: problem };
  found(finding);
  statistics.addOther(finding);
  return false;
}

async function beginManifest(
  chain: Chain,
  { options, folder, archive, retry, context }: Audit,
): Promise<ManifestDraft | undefined> {
  if (options.manifest === undefined) return undefined;
  const { time, signal } = context;
  return await draftManifest({
    folder,
    predecessor: chain.base?.manifest,
    latestStamp: chain.latestStamp,
    file: options.manifest === 'bucket' ? undefined : options.manifest.file,
    ...archive,
    retry,
    time,
    signal,
  });
}

/** @returns the documents that the archiver can put right */
async function compare(
  { began, telnyxListed }: { began: number; telnyxListed: boolean },
  chain: Chain,
  draft: ManifestDraft | undefined,
  audit: Audit,
): Promise<string[]> {
  const { options, context, archive, retry, tally, documents, statistics, found, onRequest } = audit;
  const { random, signal, time } = context;
  const repairable: string[] = [];

  const counted: Bucket['list'] = (...asked) => {
    onRequest();
    return archive.bucket.list(...asked);
  };
  const missing = createRecheck({ list: counted }, retry, ({ evidence, findings }, isMissing) => {
    for (const finding of findings) {
      found(isMissing ? finding : { ...finding, code: 'pending', detail: 'archived while the audit ran' });
    }
    if (!isMissing) return;
    statistics.addMissing(evidence.documentId, evidence.telnyx?.createdAt, evidence.telnyx?.bytes);
    repairable.push(evidence.documentId);
  });

  const rows = gather({
    listing: listingOf(audit),
    telnyx: documents.sorted(),
    manifest: chain.base?.path,
    onForeign: ({ key, bytes }) => {
      const finding: Finding = { code: 'foreign', key, detail: formatBytes(bytes) };
      found(finding);
      statistics.addOther(finding);
    },
  });
  const inspection = {
    bucket: archive.bucket,
    retry,
    circumstances: { began, telnyxListed, graceMs: options.graceMinutes * 60_000 },
    quick: options.quick,
    readData: () => options.readData > 0 && random() * 100 < options.readData,
    now: time.now,
    onRequest,
    onRead: (bytes: number) => {
      tally.objectsRead += 1;
      tally.bytesRead += bytes;
    },
  };
  const results = mapInOrder(rows, atOnce, signal, (row, limited) => inspect(row, limited, inspection));
  for await (const result of results) {
    count(tally, result);
    refuseTheHopeless(tally, result);
    statistics.add(result);
    if (result.findings[0]?.code === 'missing') await missing.add(result);
    else for (const finding of result.findings) found(finding);
    if (isRepairable(result)) repairable.push(result.evidence.documentId);
    const named = toBeNamed(result, options.acceptReceipts);
    if (named) await draft?.add(named);
  }
  await missing.end();
  return repairable;
}

function listingOf({ archive, context, retry, onRequest }: Audit): ListingOptions {
  return { s3: archive.s3, name: archive.name, time: context.time, retry, onRequest };
}

function count(tally: Tally, { evidence }: Inspected): void {
  tally.documents += 1;
  if (!evidence.receipt) return;
  tally.archived += 1;
  tally.bytes += evidence.object?.bytes ?? 0;
}

/** @throws Error where everything is unreadable from the first document on, as without the right to decrypt */
function refuseTheHopeless(tally: Tally, { findings }: Inspected): void {
  const [finding] = findings;
  if (finding?.code !== 'unreadable' || tally.documents < hopeless) return;
  if (tally.counts.unreadable + 1 >= tally.documents) {
    throw new Error(`None of the first ${tally.documents} documents could be read. ${finding.detail}`);
  }
}

/** Whether the archiver would do anything about it: it leaves alone what has a receipt. */
function isRepairable({ evidence, findings }: Inspected): boolean {
  const isOpen = findings.some(({ code }) => code === 'no-receipt' || code === 'lost');
  return isOpen && evidence.telnyx !== undefined;
}

/**
 * What the manifest is to say of a document. What an earlier one has named is named for ever and with the same
 * digests, so that what is gone or changed goes on to show; but for a receipt written anew for the same bytes, if a
 * person accepts that. A receipt that is not as the archiver writes it is never vouched for.
 */
function toBeNamed({ evidence, findings }: Inspected, acceptReceipts: boolean): NamedDocument | undefined {
  const { documentId: id, named, receipt } = evidence;
  const isUnreadable = findings.some(({ code }) => code === 'unreadable');
  const isSound = !isUnreadable && receipt?.reading?.alteration === undefined;
  const reading = isSound ? receipt?.reading : undefined;
  const document = named?.document ?? reading?.stated.sha256;
  if (document === undefined) return undefined;
  const isOfSameBytes = reading !== undefined && reading.stated.sha256 === document;
  const isAccepted = named?.receipt === undefined || acceptReceipts;
  return { id, document, receipt: isAccepted && isOfSameBytes ? reading.digest : named?.receipt };
}

async function writeReport(file: string, scope: Scope, audit: Audit): Promise<void> {
  const { tally, statistics, context } = audit;
  const { terminal, time } = context;
  const page = await reportPage({
    tally,
    scope,
    statistics,
    deadLetters: await failuresByCode(context),
    now: time.now(),
    version: packageJson.version,
  });
  await writeFile(`${file}.part`, page);
  await rename(`${file}.part`, file);
  terminal.print(`\nReport ${file}`);
  terminal.record({ type: 'report', file });
}

async function publish(draft: ManifestDraft, terminal: Terminal): Promise<void> {
  const { place, sha256, documents } = await draft.publish();
  terminal.print(
    `\nManifest of ${formatNumber(documents)} documents: ${place}\nSHA-256 ${sha256}\n` +
      'Keep this digest elsewhere: --expect-manifest proves later that the manifest is still there.',
  );
  terminal.record({ type: 'manifest', place, sha256, documents });
}

function progressOf({ tally, documents }: Audit, ms: number): ProgressState {
  const seconds = Math.max(0.001, ms / 1_000);
  if (tally.documents === 0) {
    return {
      ended: 0,
      total: undefined,
      text: `Telnyx lists ${formatNumber(documents.count)} documents so far`,
    };
  }
  const findings = defectsIn(tally);
  return {
    ended: tally.documents,
    total: documents.count > tally.documents ? documents.count : undefined,
    text: [
      `${formatNumber(tally.documents)} documents checked`,
      `${formatNumber(Math.round(tally.documents / seconds))}/s`,
      findings === 1 ? '1 finding' : `${formatNumber(findings)} findings`,
    ].join(' · '),
  };
}

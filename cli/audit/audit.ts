/**
 * `audit`: is every document archived and unchanged?
 *
 * Reads Telnyx's list, the receipts, the objects, the manifests and the hold records side by side, each sorted by ID, and
 * judges one document at a time. Only Telnyx's list, which is not sorted, is held in memory.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ManifestDraft } from '../../functions/bucket/manifest-writer.ts';
import type { CommandContext } from '../command.ts';
import { checkOutputFile } from '../output-file.ts';
import { type AuditScope, coverageLines, summaryRecord, verdictLines, verdictOf } from '../report/summary.ts';
import { compareDocuments } from './compare.ts';
import { checkManifests, publishManifest, startManifest } from './manifest.ts';
import { type AuditOptions, exitCodeOf } from './options.ts';
import { queueRepairs } from './repair.ts';
import { writeReport } from './report.ts';
import { type AuditRun, createAuditRun, describeProgress } from './run.ts';
import { readTelnyxList } from './telnyx.ts';

/**
 * @returns the exit code
 * @throws UsageError if an output file cannot be written, Error if the audit cannot run, ArchiverError if a listing fails, or
 *   the signal's reason. In each case no file or object is left behind
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
  const { target, terminal, time } = context;
  const { html, manifest } = options;
  const startedMonotonic = time.monotonic();
  // Look up everything first, so that a missing permission fails before the work starts.
  const archive = await target.bucket(manifest === 'bucket' ? 'write' : 'read');
  if (html !== undefined) await checkOutputFile('--html', html, archive.localFolder);
  if (typeof manifest === 'object') {
    await checkOutputFile('--manifest', manifest.file, archive.localFolder);
  }
  const telnyx = options.telnyx ? await target.telnyx() : undefined;
  const queues = options.repair && !options.dryRun ? await target.queues() : undefined;
  const run = createAuditRun(options, context, archive, folder);
  const { tally } = run;

  const startedAt = time.now();
  let comparingSince = startedMonotonic;
  const progress = terminal.progress(() => describeProgress(run, time.monotonic() - comparingSince));
  let draft: ManifestDraft | undefined;
  try {
    run.step = 'Looking for other files in the folder';
    await reportUnlistedFiles(run);
    run.step = 'Checking the manifests';
    const chain = await checkManifests(run);
    run.inManifest = chain.documents;
    run.step = 'Reading the list of documents';
    const telnyxListed = telnyx !== undefined && (await readTelnyxList(telnyx, startedAt, run));
    draft = await startManifest(chain, run);
    comparingSince = time.monotonic();
    const repairable = await compareDocuments({ startedAt, telnyxListed }, chain, draft, run);
    progress.stop();

    const newest = chain.valid.at(-1);
    const scope: AuditScope = {
      archive: target.name,
      listedAtTelnyx: telnyx ? run.documents.count : undefined,
      quick: options.quick,
      manifests: chain.count,
      newestManifest: newest && { key: newest.key, sha256: newest.sha256 },
      seconds: (time.monotonic() - startedMonotonic) / 1_000,
    };
    const verdict = verdictOf(tally, scope);
    terminal.print('', ...verdictLines(verdict, tally, run.advice, terminal.paint));
    terminal.print(...coverageLines(tally, scope));
    terminal.record(summaryRecord(tally, scope));
    if (draft) await publishManifest(draft, terminal);
    if (options.repair) await queueRepairs(repairable, queues, context);
    if (html !== undefined) await writeReport(html, scope, run);
  } finally {
    progress.stop();
    await draft?.discard();
  }
  return exitCodeOf(tally);
}

/** @throws the error of `readdir` for a folder that cannot be read */
async function reportUnlistedFiles({ archive, context, reportOther }: AuditRun): Promise<void> {
  for await (const { path, reason } of archive.localFolder?.unlistedFiles() ?? []) {
    context.signal.throwIfAborted();
    reportOther({ code: 'foreign', key: path, detail: `${reason}, so it is not an object of the archive` });
  }
}

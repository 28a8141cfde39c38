/** `export`: copies documents to a folder under their file names at Telnyx. */
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { link, mkdir, rm, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { readReceipt } from '../../functions/audit/receipt-reading.ts';
import { documentIdOfReceipt, documentKey, receiptKey, receiptPrefix } from '../../functions/bucket/keys.ts';
import { listArchive } from '../../functions/bucket/listing.ts';
import { openObject } from '../../functions/bucket/open-object.ts';
import { asBucketError } from '../../functions/bucket/s3-errors.ts';
import { createStorageRetry, type StorageRetry } from '../../functions/bucket/storage-retry.ts';
import { ArchiverError, asArchiverError, hasSystemCode } from '../../functions/errors.ts';
import { mapStreamConcurrently } from '../../functions/map-concurrently.ts';
import { formatBytes } from '../../terminal/bytes.ts';
import { styled } from '../../terminal/styled.ts';
import type { ArchiverCommand, CommandContext } from '../command.ts';
import { readDocumentIds } from '../document-ids.ts';
import { type Exported, type Journal, openJournal } from '../export/journal.ts';
import type { CommandHelp } from '../help.ts';
import { instantHelp, instantOption } from '../instants.ts';
import type { BucketAccess } from '../target/target.ts';

export interface ExportOptions {
  folder: string;
  since?: string;
  until?: string;
  ids?: string;
  verify?: boolean;
}

const help: CommandHelp = {
  text: `
Each document is written to a folder named after its upload day, 2026/11/23/<file name>. Its SHA-256 is verified, and
the file appears only when it is complete. Documents that are already in the folder are not downloaded again: after
Ctrl-C or an error, run the same command again. export.jsonl in the folder maps files to document IDs.

${instantHelp}`,
  examples: [
    ['export documents', 'copy every document into the folder documents'],
    ['export documents --since 2026-01-01 --until 2026-04-01', 'those uploaded in the first quarter'],
    ['export documents --verify', 'also hash the files that are already there'],
  ],
  exitCodes: { 0: 'all exported', 1: 'some failed' },
  permissions: `
s3:ListBucket on the bucket, s3:GetObject on documents/* and receipts/*, kms:Decrypt and cloudformation:DescribeStacks.`,
};

export const exportCommand: ArchiverCommand = {
  name: 'export',
  help,
  configure: (command) =>
    command
      .description('copy documents to a folder')
      .argument('<folder>', 'created if missing; files in it are never overwritten')
      .option('--since <instant>', 'documents uploaded at or after this instant')
      .option('--until <instant>', 'documents uploaded before this instant')
      .option('--ids <file>', 'documents with the IDs in this file, one per line; - for standard input')
      .option('--verify', 'verify the files that are already in the folder'),
  run: (context, parsed) => exportDocuments({ ...parsed.opts(), folder: parsed.args[0] ?? '' }, context),
};

const concurrency = 8;

interface SelectedDocument extends Exported {
  /** Whether an earlier run exported it. */
  isExported: boolean;
}

type Result =
  | { state: 'exported' | 'already there'; bytes: number }
  | { state: 'failed'; documentId: string };

/** @returns the exit code */
export async function exportDocuments(options: ExportOptions, context: CommandContext): Promise<number> {
  const { target, terminal, time, random, signal } = context;
  const folder = resolve(options.folder);
  const period = periodOf(options, time.now());
  const archive = await target.bucket();
  const retry = createStorageRetry({ time, random, signal });
  const journal = await openJournal(folder);
  const counts = { exported: 0, 'already there': 0, failed: 0 };
  let bytes = 0;
  const fail = (documentId: string, reason: string): Result => {
    terminal.print(styled`${terminal.paint('red', 'failed')}  ${documentId}  ${reason}`);
    terminal.record({ type: 'failed', documentId, reason });
    return { state: 'failed', documentId };
  };

  const amount: Amount = { documents: undefined };
  const selected = selectDocuments(options, { archive, period, retry, journal, fail, amount }, context);
  const results = mapStreamConcurrently(
    selected,
    concurrency,
    signal,
    async (document, limited): Promise<Result> => {
      if ('state' in document) return document;
      try {
        return await exportDocument(document, folder, options.verify ?? false, journal, archive, (work) =>
          retry(() => work(limited)),
        );
      } catch (error) {
        limited.throwIfAborted();
        if (isDiskError(error)) throw error;
        const { code, message } = asArchiverError(error);
        return fail(document.documentId, `${code}: ${message}`);
      }
    },
  );
  const progress = terminal.progress(() => ({
    ended: counts.exported + counts['already there'] + counts.failed,
    total: amount.documents,
    text: `${counts.exported} exported (${formatBytes(bytes)}) · ${counts['already there']} already there · ${counts.failed} failed`,
  }));
  try {
    for await (const result of results) {
      counts[result.state] += 1;
      if (result.state === 'exported') bytes += result.bytes;
    }
  } finally {
    progress.stop();
  }
  terminal.print(
    `${counts.exported} exported (${formatBytes(bytes)}), ${counts['already there']} already there, ${counts.failed} failed.`,
    folder,
  );
  terminal.record({
    type: 'end',
    folder,
    exported: counts.exported,
    alreadyThere: counts['already there'],
    failed: counts.failed,
    bytes,
  });
  return counts.failed > 0 ? 1 : 0;
}

/** Milliseconds since the Unix epoch; `until` is exclusive. */
interface Period {
  since: number;
  until: number;
}

/** @throws UsageError for an invalid instant */
function periodOf({ since, until }: ExportOptions, now: number): Period {
  return {
    since: since === undefined ? Number.NEGATIVE_INFINITY : instantOption('--since', since, now),
    until: until === undefined ? Number.POSITIVE_INFINITY : instantOption('--until', until, now),
  };
}

/** How many documents there are to export; undefined until they have been listed. */
interface Amount {
  documents: number | undefined;
}

interface SelectionOptions {
  archive: BucketAccess;
  period: Period;
  retry: StorageRetry;
  journal: Journal;
  fail: (documentId: string, reason: string) => Result;
  /** Set by the listing, and less those outside the period. */
  amount: Amount;
}

/** The selected documents with their paths, sorted by ID so that every run chooses the same paths. */
async function* selectDocuments(
  options: ExportOptions,
  { archive, period, retry, journal, fail, amount }: SelectionOptions,
  { time, signal }: CommandContext,
): AsyncGenerator<SelectedDocument | Result> {
  const ids: string[] = [];
  for await (const id of selectedIds(options, archive, retry, time)) ids.push(id);
  let left = ids.length;
  amount.documents = left;
  const receipts = mapStreamConcurrently(
    Readable.from(ids),
    2 * concurrency,
    signal,
    async (id, limited) => ({
      id,
      body: await retry(() => archive.bucket.read(receiptKey(id), limited)),
    }),
  );
  for await (const { id, body } of receipts) {
    if (body === undefined) {
      yield fail(id, 'not archived: no receipt');
      continue;
    }
    const { stated, alteration, createdAt, archivedAt, fileName } = readReceipt(id, body);
    // Stryker disable next-line LogicalOperator,ConditionalExpression: a receipt states both or neither; required by the type.
    if (stated.sha256 === undefined || stated.bytes === undefined) {
      yield fail(id, `invalid receipt: ${alteration}. Run \`archiver audit\``);
      continue;
    }
    const at = createdAt ?? archivedAt ?? 0;
    if (at < period.since || at >= period.until) {
      left -= 1;
      amount.documents = left;
      continue;
    }
    const before = journal.entries.get(id);
    const path = before?.path ?? journal.paths.choose({ id, fileName, at });
    yield {
      documentId: id,
      path,
      bytes: stated.bytes,
      sha256: stated.sha256,
      isExported: before !== undefined,
    };
  }
}

async function* selectedIds(
  { ids }: ExportOptions,
  { s3, name }: BucketAccess,
  retry: StorageRetry,
  time: CommandContext['time'],
): AsyncGenerator<string> {
  if (ids !== undefined) {
    yield* (await readDocumentIds(ids, process.stdin)).sort();
    return;
  }
  const listing = { s3, name, time, retry, onRequest: () => undefined };
  for await (const { key } of listArchive(listing, { prefix: receiptPrefix })) {
    const id = documentIdOfReceipt(key);
    if (id !== undefined) yield id;
  }
}

/** Downloads a document unless the folder already has it. */
async function exportDocument(
  document: SelectedDocument,
  folder: string,
  verify: boolean,
  journal: Journal,
  archive: BucketAccess,
  retry: StorageRetry,
): Promise<Result> {
  const { documentId, bytes, sha256, isExported } = document;
  if (isExported && (await isComplete(join(folder, document.path), document, verify))) {
    return { state: 'already there', bytes };
  }
  let path = document.path;
  for (;;) {
    const target = join(folder, path);
    await mkdir(dirname(target), { recursive: true });
    const part = join(dirname(target), `.${documentId}.part`);
    try {
      await retry((signal) => downloadTo(part, document, archive, signal));
      // Unlike rename, link never overwrites a file.
      await link(part, target);
      break;
    } catch (error) {
      if (!hasSystemCode(error, 'EEXIST')) throw error;
      // Not our file, or one that an interrupted run did not record in the journal.
      if (await isComplete(target, document, true)) break;
      path = `${dirname(path)}/${documentId} ${path.slice(dirname(path).length + 1)}`;
      if (!journal.paths.claim(path)) throw error;
    } finally {
      await rm(part, { force: true });
    }
  }
  await journal.add({ documentId, path, bytes, sha256 });
  return { state: 'exported', bytes };
}

/** @throws ArchiverError ChecksumMismatch, DocumentGone if the object is missing, and as `Bucket` */
async function downloadTo(
  part: string,
  { documentId, bytes, sha256 }: Exported,
  archive: BucketAccess,
  signal: AbortSignal,
): Promise<void> {
  const hash = createHash('sha256');
  const hashing = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      done(undefined, chunk);
    },
  });
  try {
    const body = await openObject(archive, documentKey(documentId), { signal });
    await pipeline(body, hashing, createWriteStream(part, { flush: true }), { signal });
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof Error && error.name === 'NoSuchKey') {
      throw new ArchiverError(
        'DocumentGone',
        'The receipt exists but the object does not. Run `archiver audit`.',
      );
    }
    if (isDiskError(error)) throw error;
    throw asBucketError(error);
  }
  if (hash.digest('hex') !== sha256) {
    throw new ArchiverError(
      'ChecksumMismatch',
      `The object does not match the SHA-256 in its receipt (${bytes} bytes). Run \`archiver audit --read-data\`.`,
    );
  }
}

/** Codes of failed writes to an open file. Node adds no path to these errors; sockets do not fail with them. */
const diskErrorCodes = ['ENOSPC', 'EDQUOT', 'EFBIG', 'EIO', 'EROFS'];

/** An error of the local disk, such as full or read-only, which would affect all other documents as well. */
function isDiskError(error: unknown): boolean {
  // Stryker disable next-line LogicalOperator,ConditionalExpression: an ArchiverError has no path, and only errors are thrown.
  if (!(error instanceof Error) || error instanceof ArchiverError) return false;
  return ('syscall' in error && 'path' in error) || hasSystemCode(error, ...diskErrorCodes);
}

async function isComplete(path: string, { bytes, sha256 }: Exported, verify: boolean): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  if (!found?.isFile() || found.size !== bytes) return false;
  if (!verify) return true;
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex') === sha256;
}

/** `export`: copies documents to a folder under their file names at Telnyx. */
import { resolve } from 'node:path';
import { Readable } from 'node:stream';
import { type ReceiptReading, readReceipt } from '../../functions/audit/receipt-reading.ts';
import { documentIdOfReceipt, documentKey, receiptKey, receiptPrefix } from '../../functions/bucket/keys.ts';
import { listArchive } from '../../functions/bucket/listing.ts';
import { openObject } from '../../functions/bucket/open-object.ts';
import { asBucketError } from '../../functions/bucket/s3-errors.ts';
import { createStorageRetry, type StorageRetry } from '../../functions/bucket/storage-retry.ts';
import { parseTombstone } from '../../functions/bucket/tombstones.ts';
import { ArchiverError, asArchiverError } from '../../functions/errors.ts';
import { mapStreamConcurrently } from '../../functions/map-concurrently.ts';
import { DiskError } from '../../local/s3/file-errors.ts';
import { formatBytes } from '../../terminal/bytes.ts';
import { formatCount } from '../../terminal/counts.ts';
import { styled } from '../../terminal/styled.ts';
import { type ArchiverCommand, type CommandContext, UsageError } from '../command.ts';
import { readDocumentIds } from '../document-ids.ts';
import { type ExportFolder, FileError, openExportFolder, type ReceivedFile } from '../export/folder.ts';
import { type Exported, type Journal, openJournal } from '../export/journal.ts';
import { findHeld } from '../held-documents.ts';
import { type CommandHelp, findStackPermissions } from '../help.ts';
import { instantHelp, instantOption } from '../instants.ts';
import type { BucketAccess } from '../target/target.ts';

export interface ExportOptions {
  folder: string;
  since?: string;
  until?: string;
  ids?: string;
  /** The customer's own text at Telnyx, exactly. */
  reference?: string;
  /** Part of the file name, in upper or lower case. */
  name?: string;
  verify?: boolean;
  /** Whether the receipts are exported as well. */
  receipts?: boolean;
  dryRun?: boolean;
}

const help: CommandHelp = {
  text: `
Each document is written to a folder named after its upload day, 2026/11/23/<file name>. Its SHA-256 is verified, and
the file appears only when it is complete. Documents that are already in the folder are not downloaded again: after
Ctrl-C or an error, run the same command again. If a file name is taken or the file system does not allow it, the
document's ID is added to it. export.jsonl in the folder lists the files with document ID, file name and customer
reference. The folder holds personal data; only you can open new folders and files.

A document is exported if it matches all options that select documents. Its customer reference and file name are those
that Telnyx stated when it was archived.

Erased documents are not exported. They are counted even if they are not selected. If an earlier run exported one into the
folder, the command lists its files, and deletes nothing.

${instantHelp}`,
  examples: [
    ['export documents', 'copy every document into the folder documents'],
    ['export documents --since 2026-01-01 --until 2026-04-01', 'copy those uploaded in the first quarter'],
    ['export documents --reference PO-4711 --receipts', 'copy those with this reference, and their receipts'],
    ['export documents --name invoice --dry-run', 'show how many have such a name, and their size'],
    ['export documents --verify', 'also verify the files that are already in the folder'],
  ],
  exitCodes: { 0: 'all exported', 1: 'some failed, or the archive is empty' },
  permissions: `
s3:ListBucket on the bucket, s3:GetObject on documents/* and receipts/*, kms:Decrypt and ${findStackPermissions};
to count documents on hold, s3:GetObject on holds/*.`,
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
      .option('--reference <text>', 'documents with exactly this customer reference')
      .option('--name <text>', 'documents whose file name contains this text, in upper or lower case')
      .option('--receipts', 'export the receipts as well, to receipts/<id>.json')
      .option('--dry-run', 'show how many documents and bytes would be exported; write nothing')
      .option('--verify', 'verify the files that are already in the folder'),
  // Stryker disable next-line StringLiteral: the argument is required, so it always exists; required by the type.
  run: (context, parsed) => exportDocuments({ ...parsed.opts(), folder: parsed.args[0] ?? '' }, context),
};

const concurrency = 8;

interface SelectedDocument extends Exported {
  /** Whether an earlier run exported it. */
  isExported: boolean;
  receipt: Buffer;
}

type Result =
  | { state: 'exported' | 'already there'; documentId: string; bytes: number }
  | { state: 'erased'; documentId: string }
  | { state: 'failed' | 'not selected' };

/** How a person recognises a document. */
type Named = Pick<Exported, 'documentId' | 'fileName' | 'customerReference'>;

/** @returns the exit code */
export async function exportDocuments(options: ExportOptions, context: CommandContext): Promise<number> {
  const { target, terminal, time, random, signal } = context;
  const path = resolve(options.folder);
  const { dryRun = false } = options;
  const selects = selectionOf(options, time.now());
  const archive = await target.bucket();
  if (await archive.localFolder?.contains(path))
    throw new UsageError('The export folder is inside the archive. Pass another folder.');
  const retry = createStorageRetry({ time, random, signal });
  const folder = await openExportFolder(path, !dryRun);
  const journal = await openJournal(path);
  if (journal.invalidLines > 0) {
    terminal.note(
      `${formatCount(journal.invalidLines, 'line')} of export.jsonl ${journal.invalidLines === 1 ? 'is not valid and was' : 'are not valid and were'} ignored. The documents are compared again.`,
    );
  }
  const held = await findHeld(context);
  if (held.incomplete !== undefined) terminal.note(`Not all hold records could be read: ${held.incomplete}`);
  const counts: Record<Result['state'], number> = {
    exported: 0,
    'already there': 0,
    erased: 0,
    failed: 0,
    'not selected': 0,
  };
  let bytes = 0;
  let onHold = 0;
  /** Erased documents of which earlier runs exported a copy, and its paths. */
  const copies = new Map<string, readonly string[]>();
  const fail = ({ documentId, fileName, customerReference }: Named, reason: string): Result => {
    const name = [fileName, customerReference].filter(Boolean).join(' · ');
    terminal.print(
      styled`${terminal.paint('red', 'failed')}  ${documentId}${name && `  ${name}`}`,
      `        ${reason}`,
    );
    terminal.record({ type: 'failed', documentId, fileName, customerReference, reason });
    return { state: 'failed' };
  };

  // Stryker disable next-line ObjectLiteral: a missing field is undefined as well.
  const amount: Amount = { documents: undefined };
  const selected = selectDocuments(options, { archive, selects, retry, journal, fail, amount }, context);
  const results = mapStreamConcurrently(
    selected,
    concurrency,
    signal,
    async (document, limited): Promise<Result> => {
      if ('state' in document) return document;
      try {
        const { documentId, receipt } = document;
        const result = await exportDocument(document, options, folder, journal, archive, (work) =>
          retry(() => work(limited)),
        );
        if (options.receipts && !dryRun && result.state !== 'erased')
          await folder.add(receiptKey(documentId), receipt, limited);
        return result;
      } catch (error) {
        limited.throwIfAborted();
        if (error instanceof DiskError) throw error;
        if (error instanceof FileError) return fail(document, error.message);
        const { code, message } = asArchiverError(error);
        return fail(document, `${code}: ${message}`);
      }
    },
  );
  const progress = terminal.progress(() => ({
    ended: counts.exported + counts['already there'] + counts.erased + counts.failed,
    total: amount.documents && amount.documents - counts['not selected'],
    text: `${counts.exported} exported (${formatBytes(bytes)}) · ${counts['already there']} already there · ${counts.failed} failed`,
  }));
  try {
    for await (const result of results) {
      counts[result.state] += 1;
      if (result.state === 'exported') bytes += result.bytes;
      if (result.state === 'erased') {
        const { documentId } = result;
        const paths = [...(journal.earlierPaths.get(documentId) ?? [])];
        const receipt = receiptKey(documentId);
        if (await folder.has(receipt)) paths.push(receipt);
        if (paths.length > 0) copies.set(documentId, paths);
        terminal.record({ type: 'erased', documentId, paths });
      } else if ('documentId' in result && held.ids.has(result.documentId)) onHold += 1;
    }
  } finally {
    progress.stop();
    await folder.close();
    await journal.close();
    // After an error or Ctrl-C as well, to show how far the export came.
    const erased = counts.erased > 0 ? `, ${counts.erased} erased` : '';
    const also = onHold > 0 ? `; ${onHold} on hold` : '';
    terminal.print(
      `${dryRun ? 'Dry run: ' : ''}${counts.exported} ${dryRun ? 'to export' : 'exported'} (${formatBytes(bytes)}), ${counts['already there']} already there${erased}, ${counts.failed} failed${also}.`,
      path,
    );
    printCopies(copies, terminal);
    terminal.record({
      type: 'end',
      folder: path,
      ...(dryRun && { dryRun }),
      exported: counts.exported,
      alreadyThere: counts['already there'],
      erased: counts.erased,
      failed: counts.failed,
      bytes,
      held: onHold,
    });
  }
  if (counts.exported + counts['already there'] + counts.erased + counts.failed > 0)
    return counts.failed > 0 ? 1 : 0;
  const others = counts['not selected'];
  if (others > 0) {
    const why = isByName(options) ? 'matches these options' : 'was uploaded in this period';
    terminal.note(`None of ${formatCount(others, 'archived document')} ${why}.`);
    return 0;
  }
  terminal.note(`Nothing was exported: ${target.name} has no receipts. Check that it is the right archive.`);
  return 1;
}

/** An erasure deletes nothing outside the archive, and neither does an export. */
function printCopies(
  copies: ReadonlyMap<string, readonly string[]>,
  terminal: CommandContext['terminal'],
): void {
  if (copies.size === 0) return;
  terminal.print(
    '',
    terminal.paint(
      'yellow',
      `${formatCount(copies.size, 'erased document')} ${copies.size === 1 ? 'was' : 'were'} exported into this folder before. Delete these files and their lines in export.jsonl:`,
    ),
  );
  for (const [documentId, paths] of copies) {
    for (const path of paths) terminal.print(`${documentId}  ${path}`);
  }
}

type ReadFacts = Pick<ReceiptReading, 'fileName' | 'customerReference'> & { at: number };
type Selects = (document: ReadFacts) => boolean;

/** @throws UsageError for an invalid instant */
function selectionOf({ since, until, reference, name }: ExportOptions, now: number): Selects {
  const from = since === undefined ? Number.NEGATIVE_INFINITY : instantOption('--since', since, now);
  const before = until === undefined ? Number.POSITIVE_INFINITY : instantOption('--until', until, now);
  const part = name === undefined ? undefined : folded(name);
  return ({ at, fileName, customerReference }) =>
    at >= from &&
    at < before &&
    (reference === undefined || customerReference === reference) &&
    (part === undefined || (fileName !== undefined && folded(fileName).includes(part)));
}

/** The same for upper and lower case, and for both ways to write `ä`: macOS decomposes the names of files. */
function folded(text: string): string {
  return text.normalize('NFC').toLowerCase();
}

function isByName({ reference, name }: ExportOptions): boolean {
  return reference !== undefined || name !== undefined;
}

/** How many documents there are, selected or not; undefined until they have been listed. */
interface Amount {
  documents: number | undefined;
}

interface SelectionOptions {
  archive: BucketAccess;
  selects: Selects;
  retry: StorageRetry;
  journal: Journal;
  fail: (document: Named, reason: string) => Result;
  /** Set by the listing. */
  amount: Amount;
}

/** The selected documents with their paths, sorted by ID so that every run chooses the same paths. */
async function* selectDocuments(
  options: ExportOptions,
  { archive, selects, retry, journal, fail, amount }: SelectionOptions,
  { time, signal }: CommandContext,
): AsyncGenerator<SelectedDocument | Result> {
  const ids: string[] = [];
  for await (const id of selectedIds(options, archive, retry, time)) ids.push(id);
  amount.documents = ids.length;
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
      yield fail({ documentId: id }, 'Not archived: no receipt.');
      continue;
    }
    if (typeof parseTombstone(id, body) === 'object') {
      yield { state: 'erased', documentId: id };
      continue;
    }
    const { stated, alteration, createdAt, archivedAt, fileName, customerReference } = readReceipt(id, body);
    const document = { documentId: id, fileName, customerReference };
    // Stryker disable next-line LogicalOperator,ConditionalExpression: a receipt states both or neither; required by the type.
    if (stated.sha256 === undefined || stated.bytes === undefined) {
      yield fail(document, `Invalid receipt: ${alteration}. Run \`archiver audit\`.`);
      continue;
    }
    const at = createdAt ?? archivedAt ?? 0;
    if (!selects({ at, fileName, customerReference })) {
      yield { state: 'not selected' };
      continue;
    }
    const before = journal.entries.get(id);
    const path = before?.path ?? journal.paths.choose({ id, fileName, at });
    yield {
      ...document,
      path,
      bytes: stated.bytes,
      sha256: stated.sha256,
      isExported: before !== undefined,
      receipt: body,
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
    const selected = await readDocumentIds(ids, process.stdin);
    if (selected.length === 0) throw new Error(`${ids} contains no document ID.`);
    yield* selected.sort();
    return;
  }
  const listing = { s3, name, time, retry, onRequest: () => undefined };
  for await (const { key } of listArchive(listing, { prefix: receiptPrefix })) {
    const id = documentIdOfReceipt(key);
    if (id !== undefined) yield id;
  }
}

/**
 * Downloads a document unless the folder already has it, or only says so in a dry run.
 *
 * @throws DiskError, FileError, and as `download`
 */
async function exportDocument(
  { isExported, receipt: _receipt, ...document }: SelectedDocument,
  { verify = false, dryRun }: ExportOptions,
  folder: ExportFolder,
  journal: Journal,
  archive: BucketAccess,
  retry: StorageRetry,
): Promise<Result> {
  const { bytes, documentId } = document;
  if (isExported && (await folder.isComplete(document.path, document, verify))) {
    return { state: 'already there', documentId, bytes };
  }
  if (dryRun) return { state: 'exported', documentId, bytes };
  const part = await retry((signal) => download(document, folder, archive, signal));
  if (part === undefined) return { state: 'erased', documentId };
  try {
    const path = await folder.publish(part, document, journal.paths);
    await journal.add({ ...document, path });
  } finally {
    await folder.discard(part);
  }
  return { state: 'exported', documentId, bytes };
}

/**
 * Downloads a document to a hidden file of the folder.
 *
 * @returns the path of the hidden file; undefined if the document was erased meanwhile
 * @throws DiskError, FileError, ArchiverError ChecksumMismatch, DocumentGone if the object is missing, and as `Bucket`
 */
async function download(
  { documentId, path, bytes, sha256 }: Exported,
  folder: ExportFolder,
  archive: BucketAccess,
  signal: AbortSignal,
): Promise<string | undefined> {
  let received: ReceivedFile;
  try {
    const body = await openObject(archive, documentKey(documentId), { signal });
    received = await folder.receive(body, path, signal);
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof DiskError || error instanceof FileError) throw error;
    if (error instanceof Error && error.name === 'NoSuchKey') {
      throw new ArchiverError(
        'DocumentGone',
        'The receipt exists but the object does not. Run `archiver audit`.',
      );
    }
    throw asBucketError(error);
  }
  if (received.sha256 === sha256) return received.part;
  await folder.discard(received.part);
  // An erasure replaces the receipt before the object.
  const receipt = await archive.bucket.read(receiptKey(documentId), signal);
  if (receipt && typeof parseTombstone(documentId, receipt) === 'object') return undefined;
  throw new ArchiverError(
    'ChecksumMismatch',
    `The object does not match the SHA-256 in its receipt (${bytes} bytes). Run \`archiver audit --read-data\`.`,
  );
}

/** `prove`: writes the evidence on documents to a folder, for an auditor or a court. */
import { lstat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { clockOffsetOf } from '../../functions/bucket/s3-client.ts';
import { createStorageRetry } from '../../functions/bucket/storage-retry.ts';
import { createVersions } from '../../functions/bucket/versions.ts';
import { ArchiverError, hasSystemCode } from '../../functions/errors.ts';
import packageJson from '../../package.json' with { type: 'json' };
import { formatCount } from '../../terminal/counts.ts';
import { styled } from '../../terminal/styled.ts';
import { type ArchiverCommand, type CommandContext, UsageError } from '../command.ts';
import { chosenDocumentIds } from '../document-ids.ts';
import { FileError } from '../export/folder.ts';
import { type CommandHelp, findStackPermissions } from '../help.ts';
import { collectEvidence, ProofError, type ProofSource } from '../prove/evidence.ts';
import { explainProof, type ProofOrigin } from '../prove/explanation.ts';
import { type ManifestNamings, readNamings } from '../prove/namings.ts';
import { openProofPlace, type ProofFolder } from '../prove/proof-folder.ts';
import { proofPage, proofText } from '../prove/proof-pages.ts';

export interface ProveOptions {
  documentIds: readonly string[];
  /** A file with IDs, or `-`. */
  ids?: string;
  to: string;
}

const help: CommandHelp = {
  text: `
Writes a folder for each document, named after its ID. It has the document under its file name, its receipt, its contexts
(orders, resources and phone numbers) and holds, and what each manifest states about it. README.html and README.txt explain
the files, and how to verify them with sha256sum. The folder says nothing about other documents.

For an erased document, the folder proves the erasure: it has the tombstone, and what the manifests stated before and after.

A folder appears only when it is complete, and only you can open it. It holds personal data. A proof with gaps is also
written; the command and the READMEs list the gaps.`,
  examples: [
    ['prove <document-id> --to evidence', 'write the folder evidence/<document-id>'],
    ['prove --ids ids.txt --to evidence', 'write a folder for each ID in the file'],
  ],
  exitCodes: { 0: 'all proven', 1: 'a proof has gaps, or a document cannot be proven' },
  permissions: `
s3:ListBucket and s3:ListBucketVersions on the bucket, s3:GetObject on documents/*, receipts/*, manifests/*, contexts/*
and holds/*; s3:GetObjectRetention and s3:GetObjectLegalHold on documents/* and receipts/*; kms:Decrypt and
${findStackPermissions}.`,
};

export const proveCommand: ArchiverCommand = {
  name: 'prove',
  help,
  configure: (command) =>
    command
      .description('write the evidence on documents to a folder')
      .argument('[document-id...]', 'IDs of the documents')
      .option('--ids <file>', 'read the IDs from a file, one per line; - for standard input')
      .requiredOption('--to <folder>', 'folder to write to; created if missing'),
  run: (context, parsed) => prove({ ...parsed.opts(), documentIds: parsed.args }, context),
};

type Outcome = 'proven' | 'incomplete' | 'failed';

/** What the proofs of one run share. */
interface ProofRun {
  source: ProofSource;
  namings: ManifestNamings;
  origin: ProofOrigin;
  /** Absolute path. */
  to: string;
  context: CommandContext;
}

/** @returns the exit code */
export async function prove(options: ProveOptions, context: CommandContext): Promise<number> {
  const { target, terminal, time, random, signal } = context;
  const ids = await chosenDocumentIds(options.documentIds, options.ids);
  const to = resolve(options.to);
  const { s3, name, bucket, localFolder } = await target.bucket();
  if (await localFolder?.contains(to)) {
    throw new UsageError('The folder of --to is inside the archive. Pass another folder.');
  }
  for (const id of ids) {
    if (await exists(join(to, id))) {
      throw new UsageError(`${join(to, id)} already exists. Pass another folder. Nothing was written.`);
    }
  }
  const origin: ProofOrigin = {
    archive: target.name,
    place: localFolder?.path ?? `s3://${name}`,
    operator: await target.operator(),
    madeAt: time.now() + clockOffsetOf(s3),
    version: packageJson.version,
  };
  const source: ProofSource = {
    s3,
    name,
    bucket,
    versions: createVersions({ s3, name, time }),
    retry: createStorageRetry({ time, random, signal }),
    time,
    signal,
  };
  const namings = await readNamings(ids, source);
  const counts: Record<Outcome, number> = { proven: 0, incomplete: 0, failed: 0 };
  const place = await openProofPlace(to);
  const progress = terminal.progress(() => ({
    ended: counts.proven + counts.incomplete + counts.failed,
    total: ids.length,
    text: `${formatCount(counts.proven, 'document')} proven`,
  }));
  try {
    for (const id of ids) {
      signal.throwIfAborted();
      const outcome = await proveDocument(id, place.newFolder(), { source, namings, origin, to, context });
      counts[outcome] += 1;
    }
  } finally {
    progress.stop();
    await place.close();
  }
  terminal.print(
    '',
    `${counts.proven} proven, ${counts.incomplete} with gaps, ${counts.failed} failed.`,
    ...(counts.proven + counts.incomplete > 0
      ? ['Send each SHA-256 to the recipient separately from the folder, such as in a letter.']
      : []),
  );
  terminal.record({ type: 'end', ...counts });
  return counts.incomplete + counts.failed === 0 ? 0 : 1;
}

/** @param folder empty */
async function proveDocument(
  documentId: string,
  folder: ProofFolder,
  { source, namings, origin, to, context: { terminal } }: ProofRun,
): Promise<Outcome> {
  try {
    const evidence = await collectEvidence(documentId, namings, source, folder);
    const sha256 = await folder.seal();
    const explanation = explainProof(evidence, origin, sha256);
    await folder.explain('README.html', await proofPage(explanation, origin));
    await folder.explain('README.txt', proofText(explanation, origin));
    const published = join(to, documentId);
    await folder.publish(published);
    const { gaps, subject } = evidence;
    const outcome = gaps.length === 0 ? 'proven' : 'incomplete';
    const style = outcome === 'proven' ? 'green' : 'yellow';
    terminal.print(
      styled`${documentId}  ${terminal.paint(style, outcome)}  ${subject.state}  ${published}`,
      `  checksums.txt  SHA-256 ${sha256}`,
      ...gaps.map((gap) => `  ${gap}`),
    );
    terminal.record({
      type: 'proof',
      documentId,
      outcome,
      state: subject.state,
      folder: published,
      sha256,
      gaps,
    });
    return outcome;
  } catch (error) {
    const reason = reasonOf(error);
    if (reason === undefined) throw error;
    terminal.print(styled`${documentId}  ${terminal.paint('red', 'failed')}  ${reason}`);
    terminal.record({ type: 'proof', documentId, outcome: 'failed', reason });
    return 'failed';
  }
}

/** Why one document cannot be proven; undefined for an error that ends the command. */
function reasonOf(error: unknown): string | undefined {
  if (error instanceof ProofError || error instanceof FileError) return error.message;
  // One record or object that is not as the archiver writes it.
  return error instanceof ArchiverError && error.code === 'UnexpectedResponse' ? error.message : undefined;
}

async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (hasSystemCode(error, 'ENOENT', 'ENOTDIR')) return false;
    throw error;
  }
}

/** `erase`: deletes documents for good, and proves it. */
import { resolve } from 'node:path';
import { mapConcurrently, mapStreamConcurrently } from '../../functions/map-concurrently.ts';
import packageJson from '../../package.json' with { type: 'json' };
import { formatBytes } from '../../terminal/bytes.ts';
import { formatCount, formatNumber } from '../../terminal/counts.ts';
import { styled } from '../../terminal/styled.ts';
import type { Style } from '../../terminal/terminal.ts';
import { type ArchiverCommand, type CommandContext, UsageError } from '../command.ts';
import { chosenDocumentIds } from '../document-ids.ts';
import { formatName } from '../document-name.ts';
import { type Erasure, eraseDocument, provenErasure } from '../erasure/erase-document.ts';
import { type Examination, examine, refusalOf } from '../erasure/examine.ts';
import {
  asReason,
  documentsAtOnce,
  type OpenedArchive,
  openForErasure,
  withRoleAdvice,
} from '../erasure/open-for-erasure.ts';
import { erasureStatement } from '../erasure/statement.ts';
import { type CommandHelp, findStackPermissions } from '../help.ts';
import { checkOutputFile, writeOutputFile } from '../output-file.ts';

export interface EraseOptions {
  documentIds: readonly string[];
  /** A file with IDs, or `-`. */
  ids?: string;
  basis: string;
  bypassGovernance?: boolean;
  includeUnarchived?: boolean;
  evidence?: string;
  dryRun?: boolean;
  yes?: boolean;
}

const help: CommandHelp = {
  text: `
Deletes every version of a document, of its receipt and of its contexts (orders, resources and phone numbers), and leaves a
tombstone in place of each. A tombstone states the ID, the time, your role, the basis and the digests of what was erased.
The catalogue states only that the document is erased. A tombstone keeps the document from being archived again, and the
audit counts the document as erased. You cannot undo an erasure.

Does not erase, and gives the reason: documents on hold; documents that Object Lock protects in COMPLIANCE mode, or in
GOVERNANCE mode without --bypass-governance. Safe to run again: an interrupted erasure goes on where it stopped.

Deletes nothing at Telnyx, and no export, report or backup: see docs/erasure.md.`,
  examples: [
    ['erase <document-id> --basis DSR-2026-114 --dry-run', 'show what would be deleted'],
    ['erase --ids ids.txt --basis DSR-2026-114 --evidence erasure.txt', 'erase, and write a statement'],
  ],
  exitCodes: {
    0: 'all documents are erased',
    1: 'some documents are not erased; with --dry-run, would not be',
  },
  permissions: `
a role in \`breakGlassArns\` of stage.json, with ${findStackPermissions}; s3:ListBucket, s3:ListBucketVersions,
s3:GetObject, s3:GetObjectVersion, s3:PutObject, s3:DeleteObjectVersion, s3:GetObjectRetention and s3:GetObjectLegalHold;
s3:BypassGovernanceRetention with --bypass-governance; on the bucket of the catalogue s3:ListBucket, and s3:GetObject and
s3:PutObject on rows/*; kms:Decrypt and kms:GenerateDataKey. docs/architecture.md has a policy.`,
};

export const eraseCommand: ArchiverCommand = {
  name: 'erase',
  help,
  configure: (command) =>
    command
      .description('delete documents for good, and prove it')
      .argument('[document-id...]', 'IDs of the documents')
      .option('--ids <file>', 'read the IDs from a file, one per line; - for standard input')
      .requiredOption(
        '--basis <reference>',
        'why, such as the number of a ticket; kept in the tombstones',
        asReason,
      )
      .option('--bypass-governance', 'delete although a GOVERNANCE lock has not ended')
      .option('--include-unarchived', 'also keep IDs that are not archived from ever being archived')
      .option('--evidence <file>', 'write a statement of the erasure to this file')
      .option('--dry-run', 'show what would be deleted; change nothing')
      .option('--yes', 'do not ask for confirmation'),
  run: (context, parsed) => erase({ ...parsed.opts(), documentIds: parsed.args }, context),
};

/** What happens to a document that is not erased, and why. */
interface Instead {
  outcome: 'already-erased' | 'not-archived' | 'refused';
  why: string;
}

/** What happens to one document. */
interface Plan {
  found: Examination;
  /** Undefined: it will be erased. */
  instead: Instead | undefined;
}

type Outcome = Instead['outcome'] | 'erased' | 'would-be-erased' | 'unfinished';

const styles: Readonly<Record<Outcome, Style>> = {
  erased: 'green',
  'already-erased': 'green',
  'would-be-erased': 'bold',
  'not-archived': 'yellow',
  refused: 'red',
  unfinished: 'red',
};

/** What the steps of one erasure share. */
interface ErasureRun extends OpenedArchive {
  options: EraseOptions;
  context: CommandContext;
  counts: Record<Outcome, number>;
}

/** @returns the exit code */
export async function erase(options: EraseOptions, context: CommandContext): Promise<number> {
  const { dryRun = false } = options;
  const ids = await chosenDocumentIds(options.documentIds, options.ids);
  if (options.evidence !== undefined && dryRun)
    throw new UsageError('--evidence cannot be combined with --dry-run.');
  return await withRoleAdvice(async () => {
    const opened = await openForErasure(context, dryRun ? 'read' : 'write');
    const statement = await statementFile(options, opened);
    const counts = {
      erased: 0,
      'already-erased': 0,
      'would-be-erased': 0,
      'not-archived': 0,
      refused: 0,
      unfinished: 0,
    };
    const run: ErasureRun = { ...opened, options, context, counts };

    const plans = await planAll(ids, run);
    for (const { found, instead } of plans) {
      if (instead) report(found, instead.outcome, instead.why, run);
      else if (dryRun) report(found, 'would-be-erased', describeVersions(found.versions), run);
    }
    const chosen = plans.filter(({ instead }) => !instead);
    if (!dryRun && chosen.length > 0) {
      if (!(await isConfirmed(chosen, run))) {
        context.terminal.note('Nothing was erased.');
        return 1;
      }
      const erasures: Erasure[] = [];
      try {
        await eraseAll(chosen, erasures, run);
      } finally {
        if (statement !== undefined) await writeStatement(statement, plans, erasures, run);
      }
    } else if (statement !== undefined) await writeStatement(statement, plans, [], run);
    summarize(run);
    return counts.refused + counts.unfinished + counts['not-archived'] === 0 ? 0 : 1;
  });
}

/** The file of `--evidence`, which can be written. @throws UsageError */
async function statementFile(
  { evidence }: EraseOptions,
  { localFolder }: OpenedArchive,
): Promise<string | undefined> {
  if (evidence === undefined) return undefined;
  const file = resolve(evidence);
  await checkOutputFile('--evidence', file, localFolder);
  return file;
}

async function planAll(ids: readonly string[], run: ErasureRun): Promise<Plan[]> {
  const { dependencies, context } = run;
  const plans: Plan[] = [];
  const progress = context.terminal.progress(() => ({
    ended: plans.length,
    total: ids.length,
    text: `${formatCount(plans.length, 'document')} examined`,
  }));
  try {
    const examinations = mapStreamConcurrently(streamOf(ids), documentsAtOnce, context.signal, (id) =>
      examine(id, dependencies),
    );
    for await (const found of examinations) plans.push({ found, instead: insteadOf(found, run) });
  } finally {
    progress.stop();
  }
  return plans;
}

/** Why a document will not be erased; undefined if it will. */
function insteadOf(found: Examination, { options, dependencies }: ErasureRun): Instead | undefined {
  const { tombstone, hasAllTombstones, versions, isInCatalogue } = found;
  if (tombstone && hasAllTombstones && versions.length === 0 && !isInCatalogue) {
    const { erasedAt, basis } = tombstone;
    return { outcome: 'already-erased', why: `on ${erasedAt}, basis ${basis}` };
  }
  const refusal = refusalOf(found, options.bypassGovernance ?? false, dependencies.now());
  if (refusal) return { outcome: 'refused', why: refusal.detail };
  if (versions.length > 0 || tombstone || options.includeUnarchived) return undefined;
  const why = 'nothing to erase; --include-unarchived keeps it from ever being archived';
  return { outcome: 'not-archived', why };
}

async function isConfirmed(chosen: readonly Plan[], run: ErasureRun): Promise<boolean> {
  const { options, context, place } = run;
  if (options.yes) return true;
  const { terminal, signal } = context;
  for (const { found } of chosen.slice(0, maxShown)) {
    const { documentId, name, versions } = found;
    terminal.note(`${documentId}  ${formatName(name)}  ${describeVersions(versions)}`);
  }
  if (chosen.length > maxShown)
    terminal.note(`and ${formatCount(chosen.length - maxShown, 'more document')}`);
  const answer = await terminal.ask(
    `Delete ${formatCount(chosen.length, 'document')} from ${place} for good? Type the number of documents to confirm:`,
    signal,
  );
  return answer.replaceAll(',', '') === String(chosen.length);
}

/** Documents that are shown before the confirmation. */
const maxShown = 20;

/**
 * @param chosen their plans are updated for what has changed since, such as a hold during the confirmation
 * @param erasures receives each erasure as it ends, so that an interruption loses none
 */
async function eraseAll(chosen: readonly Plan[], erasures: Erasure[], run: ErasureRun): Promise<void> {
  const { options, context, dependencies, operator } = run;
  const { basis, bypassGovernance = false } = options;
  let ended = 0;
  const progress = context.terminal.progress(() => ({
    ended,
    total: chosen.length,
    text: `${formatCount(erasures.length, 'document')} erased`,
  }));
  try {
    await mapConcurrently(chosen, documentsAtOnce, context.signal, async (plan) => {
      const found = await examine(plan.found.documentId, dependencies);
      plan.found = found;
      plan.instead = insteadOf(found, run);
      if (plan.instead) report(found, plan.instead.outcome, plan.instead.why, run);
      else {
        const order = { basis, erasedBy: operator.role, bypassGovernance };
        const erasure = await eraseDocument(found, order, dependencies);
        erasures.push(erasure);
        if (erasure.unfinished) report(found, 'unfinished', erasure.unfinished.detail, run);
        else report(found, 'erased', `${formatCount(erasure.deleted.length, 'version')} deleted`, run);
      }
      ended += 1;
    });
  } finally {
    progress.stop();
    if (ended < chosen.length) {
      context.terminal.note(
        `${formatCount(chosen.length - ended, 'document')} not erased yet. To go on, run the same command again.`,
      );
    }
  }
}

async function writeStatement(
  file: string,
  plans: readonly Plan[],
  erasures: readonly Erasure[],
  { context, options, operator, place, dependencies }: ErasureRun,
): Promise<void> {
  const ended = new Set(erasures.map(({ tombstone }) => tombstone.documentId));
  // Earlier runs erased these; the examination has proven it again.
  const earlier = plans.flatMap(({ found, instead }) =>
    instead?.outcome === 'already-erased' && found.tombstone ? [provenErasure(found.tombstone)] : [],
  );
  await writeOutputFile(
    file,
    erasureStatement({
      archive: context.target.name,
      bucket: place,
      operator,
      basis: options.basis,
      hasCatalogue: dependencies.catalogue !== undefined,
      writtenAt: dependencies.now(),
      version: packageJson.version,
      erasures: [...earlier, ...erasures],
      others: plans
        .filter(({ found, instead }) => instead?.outcome !== 'already-erased' && !ended.has(found.documentId))
        .map(({ found, instead }) => ({
          documentId: found.documentId,
          why: instead ? `${instead.outcome}: ${instead.why}` : 'interrupted: run the command again',
        })),
    }),
  );
  context.terminal.print(`Statement of the erasure: ${file}`);
  context.terminal.record({ type: 'report', file });
}

function report(found: Examination, outcome: Outcome, detail: string, { context, counts }: ErasureRun): void {
  const { terminal } = context;
  const { documentId, name, versions } = found;
  counts[outcome] += 1;
  const suffix = formatName(name) === '' ? '' : `  ${formatName(name)}`;
  terminal.print(styled`${documentId}  ${terminal.paint(styles[outcome], outcome)}  ${detail}${suffix}`);
  terminal.record({ type: 'erasure', documentId, outcome, detail, versions: versions.length });
}

function summarize({ counts, context }: ErasureRun): void {
  const said = (Object.entries(counts) as [Outcome, number][])
    .filter(([, count]) => count > 0)
    .map(([outcome, count]) => `${formatNumber(count)} ${outcome}`);
  context.terminal.print('', said.join(' · '));
  context.terminal.record({ type: 'end', ...counts });
}

/** `2 versions, 20 kB` */
function describeVersions(versions: Examination['versions']): string {
  const bytes = versions.reduce((sum, version) => sum + version.bytes, 0);
  return `${formatCount(versions.length, 'version')}, ${formatBytes(bytes)}`;
}

async function* streamOf<Item>(items: readonly Item[]): AsyncGenerator<Item> {
  yield* items;
}

/** What the commands `hold` and `release` share: options, permissions, and the work on each document. */
import type { Command } from 'commander';
import { mapConcurrently } from '../../functions/map-concurrently.ts';
import { formatNumber } from '../../terminal/counts.ts';
import { styled } from '../../terminal/styled.ts';
import type { Style } from '../../terminal/terminal.ts';
import type { CommandContext } from '../command.ts';
import { chosenDocumentIds } from '../document-ids.ts';
import { findStackPermissions } from '../help.ts';
import type { ErasureDependencies } from './examine.ts';
import type { HoldOrder, HoldOutcome, ReleaseOutcome } from './hold-document.ts';
import { asReason, documentsAtOnce, openForErasure, withRoleAdvice } from './open-for-erasure.ts';

export interface HoldOptions {
  documentIds: readonly string[];
  /** A file with IDs, or `-`. */
  ids?: string;
  reason: string;
}

export const holdPermissions = `
a role in \`breakGlassArns\` of stage.json, with ${findStackPermissions}; s3:ListBucket, s3:ListBucketVersions,
s3:GetObject, s3:GetObjectVersion, s3:PutObject, s3:GetObjectRetention, s3:GetObjectLegalHold and s3:PutObjectLegalHold;
on the bucket of the catalogue s3:ListBucket, and s3:GetObject on rows/*; kms:Decrypt and kms:GenerateDataKey.
docs/architecture.md has a policy.`;

export function addHoldOptions(command: Command): Command {
  return command
    .argument('[document-id...]', 'IDs of the documents')
    .option('--ids <file>', 'read the IDs from a file, one per line; - for standard input')
    .requiredOption(
      '--reason <reference>',
      'why, such as the number of a case; kept in the record',
      asReason,
    );
}

const styles: Readonly<Record<HoldOutcome | ReleaseOutcome, Style>> = {
  held: 'green',
  'already-held': 'green',
  released: 'green',
  'not-held': 'yellow',
  'not-archived': 'yellow',
  erased: 'red',
  'partly-erased': 'red',
};

/** Runs `work` on each document, and prints its outcome. */
export async function forEachDocument<Outcome extends HoldOutcome | ReleaseOutcome>(
  { documentIds, ids: file, reason }: HoldOptions,
  context: CommandContext,
  work: (documentId: string, order: HoldOrder, dependencies: ErasureDependencies) => Promise<Outcome>,
): Promise<Outcome[]> {
  const ids = await chosenDocumentIds(documentIds, file);
  const { terminal, signal } = context;
  return await withRoleAdvice(async () => {
    const { dependencies, operator } = await openForErasure(context, 'write');
    const counts = new Map<Outcome, number>();
    const outcomes = await mapConcurrently(ids, documentsAtOnce, signal, async (documentId) => {
      const outcome = await work(documentId, { reason, by: operator.role }, dependencies);
      counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
      terminal.print(styled`${documentId}  ${terminal.paint(styles[outcome], outcome)}`);
      terminal.record({ type: 'hold', documentId, outcome });
      return outcome;
    });
    terminal.print(
      '',
      [...counts].map(([outcome, count]) => `${formatNumber(count)} ${outcome}`).join(' · '),
    );
    return outcomes;
  });
}

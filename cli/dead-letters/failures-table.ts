/** Prints failures by lane and code, with the runbook's advice for each code. */

import { formatNumber } from '../../terminal/counts.ts';
import { formatDuration } from '../../terminal/durations.ts';
import { styled } from '../../terminal/styled.ts';
import { formatTable, type TableColumn } from '../../terminal/tables.ts';
import type { CommandContext } from '../command.ts';
import { formatName } from '../document-name.ts';
import { adviceFor } from './advice.ts';
import { codeOf, type Failure, lettersOf, noCode } from './failures.ts';
import type { DocumentNames } from './names.ts';

const adviceWithoutCode =
  'No function stated a reason: SQS moved these messages here because a function crashed on them repeatedly.';
const adviceForUnknownCode =
  'The runbook has no article for this code. No function of this version writes it.';

/** Documents listed for each code. */
const maxExamples = 5;

const columns: readonly TableColumn[] = [
  { head: 'lane', align: 'left' },
  { head: 'code', align: 'left' },
  { head: 'documents', align: 'right' },
  { head: 'letters', align: 'right' },
  { head: 'oldest', align: 'right' },
  { head: 'newest', align: 'right' },
];

export async function showFailures(
  failures: readonly Failure[],
  names: DocumentNames | undefined,
  { target, terminal, time }: CommandContext,
): Promise<void> {
  const rows: (string | number)[][] = [];
  const groups = Map.groupBy(failures, (failure) =>
    JSON.stringify([failure.letters[0].lane, codeOf(failure)]),
  );
  for (const group of groups.values()) {
    const [example] = group as [Failure, ...Failure[]];
    const [{ lane }] = example.letters;
    const code = codeOf(example);
    const letters = lettersOf(group);
    const ages = letters.map(({ deadSince }) => (time.now() - deadSince) / 1_000);
    const oldest = ages.reduce((a, b) => Math.max(a, b));
    const newest = ages.reduce((a, b) => Math.min(a, b));
    const documents = group.filter(({ isDocument }) => isDocument).length;
    rows.push([
      lane,
      code,
      documents === 0 ? '–' : documents,
      letters.length,
      formatDuration(oldest),
      formatDuration(newest),
    ]);
    terminal.record({
      type: 'group',
      lane,
      code,
      documents,
      letters: letters.length,
      oldestSeconds: Math.round(oldest),
    });
  }
  terminal.print(formatTable(columns, rows));
  for (const letter of lettersOf(failures)) {
    const { lane, messageId, documentId, code, reason, attempts, deadSince, body } = letter;
    const when = new Date(deadSince).toISOString();
    terminal.record({
      type: 'letter',
      lane,
      messageId,
      documentId,
      // Stryker disable next-line ConditionalExpression: undefined has no name either; required by the type.
      ...(documentId !== undefined && names?.get(documentId)),
      code,
      reason,
      attempts,
      deadSince: when,
      body,
    });
  }
  const runbookUrl = (await target.runbookUrl?.()) ?? 'docs/runbook.md';
  for (const [code, ofCode] of Map.groupBy(failures, codeOf)) {
    // Stryker disable next-line OptionalChaining: a group is never empty; required by the type.
    const reason = ofCode[0]?.letters[0].reason;
    const title = terminal.paint('bold', code);
    terminal.print('', reason === undefined ? title : styled`${title}: ${reason}`);
    const advice = await adviceFor(code, target);
    const lines = (advice ?? (code === noCode ? adviceWithoutCode : adviceForUnknownCode)).split('\n');
    terminal.print(...lines.map((line) => `  ${line}`));
    const printDim = (text: string) => terminal.print(terminal.paint('dim', `  ${text}`));
    for (const { id, isDocument } of ofCode.slice(0, maxExamples)) {
      const known = names?.get(id);
      const name = known ? formatName(known) : names && isDocument ? '(not at Telnyx)' : '';
      printDim(`${id}  ${name}`.trimEnd());
    }
    const more = ofCode.length - maxExamples;
    if (more > 0) printDim(`and ${formatNumber(more)} more: --json lists them`);
    printDim(`${runbookUrl}#${(advice === undefined ? 'DeadLetterGrowth' : code).toLowerCase()}`);
  }
}

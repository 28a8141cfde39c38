/** `redrive --acknowledge`: deletes the dead letters of documents that stay unarchived, and prints a record of each. */

import { formatCount } from '../../terminal/counts.ts';
import { printable } from '../../terminal/escape.ts';
import { type CommandContext, UsageError } from '../command.ts';
import { codesOf, type Failure } from './failures.ts';
import type { DeadLetterLock } from './lock.ts';

const maxNoteLength = 200;

/**
 * @returns the note, trimmed
 * @throws UsageError if it is missing or longer than 200 characters
 */
export function parseNote(text: string | undefined): string {
  const note = text?.trim() ?? '';
  if (note === '')
    throw new UsageError('--acknowledge requires --note: say why the document stays unarchived.');
  const { length } = [...note];
  if (length <= maxNoteLength) return note;
  throw new UsageError(`--note has ${length} characters. The maximum is ${maxNoteLength}.`);
}

/** @throws Error if one of the IDs has no dead letters: a mistyped ID must not look like success */
export function failuresWithIds(failures: readonly Failure[], ids: readonly string[]): Failure[] {
  const wanted = new Set(ids.map((id) => id.trim().toLowerCase()));
  const found = failures.filter(({ id }) => wanted.has(id));
  for (const { id } of found) wanted.delete(id);
  if (wanted.size === 0) return found;
  throw new Error(
    `No dead letters for ${printable([...wanted].join(', '))}. Nothing was cleared. Pass document IDs as shown by \`redrive --dry-run --json\`, and a message ID only for a message that has no document ID.`,
  );
}

/** @returns how many dead letters SQS did not delete */
export async function acknowledge(
  failures: readonly Failure[],
  note: string,
  lock: DeadLetterLock,
  { terminal, time, signal }: CommandContext,
): Promise<number> {
  let notDeleted = 0;
  for (const failure of failures) {
    signal.throwIfAborted();
    const { id, isDocument, letters } = failure;
    const failed = await lock.delete(letters);
    notDeleted += failed;
    const cleared = letters.length - failed;
    if (cleared === 0) continue;
    const codes = codesOf(failure);
    // Once the dead letters are deleted, this is the only record that the document was left unarchived on purpose.
    terminal.record({
      type: 'acknowledged',
      [isDocument ? 'documentId' : 'messageId']: id,
      codes,
      deadLetters: cleared,
      at: new Date(time.now()).toISOString(),
      note,
    });
    terminal.print(`${id}  ${codes.join(', ')}  ${formatCount(cleared, 'dead letter')} cleared: ${note}`);
  }
  return notDeleted;
}

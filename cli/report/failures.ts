import type { CommandContext } from '../command.ts';
import { codeOf, failuresOf, noCode } from '../dead-letters/failures.ts';
import { peekDeadLetters } from '../dead-letters/lock.ts';
import { NameCounts } from './histograms.ts';
import type { DeadLetters } from './page.ts';

const maxCodes = 12;

/**
 * Counts the failed documents of all lanes, and dead letters without a document, by the error code of the newest dead
 * letter. Reads the dead letters and releases them again.
 *
 * @returns undefined if the queues cannot be read: the report is written without them
 * @throws the signal's reason
 */
export async function failuresByCode({
  target,
  signal,
}: Pick<CommandContext, 'target' | 'signal'>): Promise<DeadLetters[] | undefined> {
  const codes = new NameCounts();
  try {
    const queues = await target.queues();
    for (const failure of failuresOf(await peekDeadLetters(queues, signal))) {
      const code = codeOf(failure);
      codes.add(code === noCode ? 'no code' : code);
    }
  } catch {
    // The local stack is not running, or permission is missing. The report says that dead letters are not shown.
    signal.throwIfAborted();
    return undefined;
  }
  return codes.top(maxCodes, 'others').map(({ name, count }) => ({ code: name, count }));
}

import type { CommandContext } from '../command.ts';
import { codeOf, failuresOf, noCode } from '../dead-letters/failures.ts';
import { peekDeadLetters } from '../dead-letters/lock.ts';
import { NameCounts } from './histograms.ts';
import type { DeadLetters } from './page.ts';

const mostCodes = 12;

/**
 * The documents, and messages without one, that are dead letters of any lane, by the code of the latest letter. The
 * letters are read and released, not consumed.
 *
 * @returns undefined where the queues cannot be reached or looked into: a report is still a report without
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
    // No queues where nothing runs, no right to look into them: the report says that it does not show them.
    signal.throwIfAborted();
    return undefined;
  }
  return codes.top(mostCodes, 'others').map(({ name, count }) => ({ code: name, count }));
}

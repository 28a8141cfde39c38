/** `release`: ends legal holds. */
import type { ArchiverCommand, CommandContext } from '../command.ts';
import {
  addHoldOptions,
  forEachDocument,
  type HoldOptions,
  holdPermissions,
} from '../erasure/each-document.ts';
import { releaseHold } from '../erasure/hold-document.ts';
import type { CommandHelp } from '../help.ts';

const help: CommandHelp = {
  text: `
Ends the legal hold of the object and of the receipt, and records under holds/ who did it and why. If the hold has stopped
an erasure, run \`erase\` again. Safe to run again.`,
  examples: [
    ['release <document-id> --reason "Case 12 O 345/26 closed"', 'release a document'],
    [
      'release --ids ids.txt --reason "Case 12 O 345/26 closed"',
      'release the documents whose IDs are in a file',
    ],
  ],
  exitCodes: { 0: 'no document is held', 1: 'some IDs are not archived' },
  permissions: holdPermissions,
};

export const releaseCommand: ArchiverCommand = {
  name: 'release',
  help,
  configure: (command) => addHoldOptions(command.description('allow held documents to be erased again')),
  run: (context, parsed) => release({ ...parsed.opts(), documentIds: parsed.args }, context),
};

/** @returns the exit code */
export async function release(options: HoldOptions, context: CommandContext): Promise<number> {
  const outcomes = await forEachDocument(options, context, releaseHold);
  return outcomes.includes('not-archived') ? 1 : 0;
}

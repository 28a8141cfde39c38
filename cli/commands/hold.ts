/** `hold`: places legal holds, which keep documents from being erased. */
import type { ArchiverCommand, CommandContext } from '../command.ts';
import {
  addHoldOptions,
  forEachDocument,
  type HoldOptions,
  holdPermissions,
} from '../erasure/each-document.ts';
import { placeHold } from '../erasure/hold-document.ts';
import type { CommandHelp } from '../help.ts';

const help: CommandHelp = {
  text: `
Places a legal hold of S3 on the object and on the receipt, and records under holds/ who did it and why. Nobody can erase
the document until it is released. Safe to run again.`,
  examples: [
    ['hold <document-id> --reason "Case 12 O 345/26"', 'keep a document as evidence'],
    ['hold --ids ids.txt --reason "Case 12 O 345/26"', 'keep the documents whose IDs are in a file'],
  ],
  exitCodes: { 0: 'all documents are held', 1: 'some documents are not held' },
  permissions: holdPermissions,
};

export const holdCommand: ArchiverCommand = {
  name: 'hold',
  help,
  configure: (command) => addHoldOptions(command.description('keep documents from being erased')),
  run: (context, parsed) => hold({ ...parsed.opts(), documentIds: parsed.args }, context),
};

/** @returns the exit code */
export async function hold(options: HoldOptions, context: CommandContext): Promise<number> {
  const outcomes = await forEachDocument(options, context, placeHold);
  return outcomes.every((outcome) => outcome === 'held' || outcome === 'already-held') ? 0 : 1;
}

/** Groups dead letters by document, because one document may have dozens of them. */

import type { LaneName } from '../../functions/queue/lanes.ts';
import { parseDocumentMessage } from '../../functions/queue/messages.ts';
import { formatCount } from '../../terminal/counts.ts';
import type { LockedMessage } from './lock.ts';

/** A document that could not be archived, or a message without a document, with all of its dead letters. */
export interface Failure {
  /** Document ID, or the message ID of a message without a document. */
  id: string;
  isDocument: boolean;
  /** Newest first. */
  letters: readonly [LockedMessage, ...LockedMessage[]];
}

/** Stands for the missing code of a dead letter that SQS moved by itself. */
export const noCode = 'none';

/** Groups letters into failures, oldest failure first. */
export function failuresOf(letters: Iterable<LockedMessage>): Failure[] {
  const newestFirst = [...letters].sort((a, b) => b.deadSince - a.deadSince);
  const groups = Map.groupBy(newestFirst, ({ documentId, messageId }) => documentId ?? messageId);
  return [...groups]
    .map(([id, [newest, ...older]]) => {
      // A group of Map.groupBy is never empty.
      const grouped: Failure['letters'] = [newest as LockedMessage, ...older];
      return { id, isDocument: grouped[0].documentId !== undefined, letters: grouped };
    })
    .reverse();
}

/** Code of the newest letter. */
export function codeOf({ letters: [newest] }: Failure): string {
  return newest.code ?? noCode;
}

/** Distinct codes of all letters, newest first. */
export function codesOf({ letters }: Failure): string[] {
  return [...new Set(letters.map(({ code = noCode }) => code))];
}

export function lettersOf(failures: readonly Failure[]): LockedMessage[] {
  return failures.flatMap(({ letters }) => letters);
}

export interface FailureCount {
  documents: number;
  /** Messages without a document. */
  otherMessages: number;
  deadLetters: number;
}

export function countFailures(failures: readonly Failure[]): FailureCount {
  const documents = failures.filter(({ isDocument }) => isDocument).length;
  return {
    documents,
    otherMessages: failures.length - documents,
    deadLetters: lettersOf(failures).length,
  };
}

/** `12 documents (44 dead letters)` or `3 documents and 1 other message (9 dead letters)`. */
export function describeCount({ documents, otherMessages, deadLetters }: FailureCount): string {
  const what = [
    ...(documents > 0 || otherMessages === 0 ? [formatCount(documents, 'document')] : []),
    ...(otherMessages > 0 ? [formatCount(otherMessages, documents > 0 ? 'other message' : 'message')] : []),
  ];
  return `${what.join(' and ')} (${formatCount(deadLetters, 'dead letter')})`;
}

/** See `describeCount`. */
export function describeFailures(failures: readonly Failure[]): string {
  return describeCount(countFailures(failures));
}

const documentLanes: readonly LaneName[] = ['documents', 'backfill'];

/**
 * Selects the letter whose message is sent for the whole failure. For a document: the oldest that this version can
 * parse, because the receipt states what first requested the document; from the live lane if there is one.
 */
export function letterToSend({ letters }: Failure): LockedMessage {
  const parsable = letters.filter(isParsable);
  for (const lane of documentLanes) {
    const oldest = parsable.findLast((letter) => letter.lane === lane);
    if (oldest) return oldest;
  }
  return letters[0];
}

function isParsable({ body, deadSince }: LockedMessage): boolean {
  // Stryker disable BlockStatement: an empty block returns undefined, which is falsy as well.
  try {
    parseDocumentMessage(body, new Date(deadSince));
    return true;
  } catch {
    return false;
  }
}
// Stryker restore BlockStatement

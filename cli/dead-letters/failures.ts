/** Dead letters by what they are about: tools count documents, and one document may have dozens of letters. */

import type { LaneName } from '../../functions/queue/lanes.ts';
import { parseDocumentMessage } from '../../functions/queue/messages.ts';
import { formatCount } from '../../terminal/counts.ts';
import type { LockedMessage } from './lock.ts';

/** A document that was given up, or a message that names no document, with all of its dead letters. */
export interface Failure {
  /** Document ID, or the message ID of a message that names no document. */
  id: string;
  isDocument: boolean;
  /** Newest first. */
  letters: readonly [LockedMessage, ...LockedMessage[]];
}

/** The code of letters that no function has sent. */
export const noCode = 'none';

/** Oldest failure first. */
export function failuresOf(letters: Iterable<LockedMessage>): Failure[] {
  const newestFirst = [...letters].sort((a, b) => b.deadSince - a.deadSince);
  const groups = Map.groupBy(newestFirst, ({ documentId, messageId }) => documentId ?? messageId);
  return [...groups]
    .map(([id, [newest, ...older]]) => {
      // Map.groupBy makes no empty group.
      const ofIt: Failure['letters'] = [newest as LockedMessage, ...older];
      return { id, isDocument: ofIt[0].documentId !== undefined, letters: ofIt };
    })
    .reverse();
}

/** Code of the newest letter: why it failed last. */
export function codeOf({ letters: [newest] }: Failure): string {
  return newest.code ?? noCode;
}

/** Every code that its letters have, newest first. */
export function codesOf({ letters }: Failure): string[] {
  return [...new Set(letters.map(({ code = noCode }) => code))];
}

export function lettersOf(failures: readonly Failure[]): LockedMessage[] {
  return failures.flatMap(({ letters }) => letters);
}

export interface FailureCount {
  documents: number;
  /** Messages that name no document. */
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
 * The one letter whose message is sent for all of them. Of a document: the oldest that this version can read, because
 * the receipt states what asked for the document first; of the live lane if there is one.
 */
export function letterToSend({ letters }: Failure): LockedMessage {
  const readable = letters.filter(isReadable);
  for (const lane of documentLanes) {
    const oldest = readable.findLast((letter) => letter.lane === lane);
    if (oldest) return oldest;
  }
  return letters[0];
}

function isReadable({ body, deadSince }: LockedMessage): boolean {
  try {
    parseDocumentMessage(body, new Date(deadSince));
    return true;
  } catch {
    return false;
  }
}

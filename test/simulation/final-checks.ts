/** The invariants that are checked after faults have stopped. */
import { documentKey, receiptKey } from '../../functions/bucket/keys.ts';
import type { AccountDocument } from './account.ts';
import type { SimulationContext } from './context.ts';
import type { WorldState } from './invariant-monitor.ts';
import { isUnreadable } from './operator.ts';
import type { QueuedMessage } from './queue.ts';

/** Every document that exists at Telnyx and can be archived is archived. @param isDue which documents to check */
export function checkArchived(
  { account, store }: WorldState,
  { clock, monitor }: SimulationContext,
  isDue: (document: AccountDocument) => boolean,
): void {
  for (const document of account.documents.values()) {
    if (!isArchivable(document, monitor.collided) || !isDue(document)) continue;
    if (!account.exists(document, clock.now()) || store.current(receiptKey(document.id))) continue;
    monitor.report('everything-archived', document.id, 'not archived although faults stopped long ago');
  }
}

/** No document is lost because Telnyx deleted it. */
export function checkInTime({ account, store }: WorldState, { monitor }: SimulationContext): void {
  for (const document of account.documents.values()) {
    if (!isArchivable(document, monitor.collided) || store.current(receiptKey(document.id))) continue;
    // A document that kills the function can be archived only after faults have stopped.
    if (document.crashesFunction) continue;
    const created = new Date(document.createdAt).toISOString();
    const what = `Telnyx deleted it before it was archived; created at ${created}, linked ${document.linkedAt !== undefined}`;
    monitor.report('archived-before-deletion', document.id, what);
  }
}

/** Every queue is empty, except for messages that wait for a person to act on an alarm. */
export function checkQueuesEmpty({ account, queues }: WorldState, { monitor }: SimulationContext): void {
  for (const queue of Object.values(queues)) {
    const [message] = queue
      .messages()
      .filter(({ subject }) => account.documents.get(subject)?.expectedFailure !== 'LinkNotAllowed');
    if (message) {
      monitor.report(
        'everything-archived',
        message.subject,
        `${message.id} is still in ${queue.name}: ${message.body}`,
      );
    }
  }
}

/** Queues lose no message. */
export function checkConservation({ queues, deadLetters }: WorldState, { monitor }: SimulationContext): void {
  for (const queue of [...Object.values(queues), ...Object.values(deadLetters)]) {
    const { sent, deleted, deadLettered } = queue.counts;
    if (sent !== deleted + deadLettered + queue.depth) {
      monitor.report(
        'counts-match',
        queue.name,
        `${sent} sent, ${deleted + deadLettered} removed, ${queue.depth} in the queue`,
      );
    }
  }
}

/**
 * Each accepted document is archived or a dead letter, and after the last redrive only documents that cannot be archived
 * are dead letters.
 */
export function checkEnds(
  { account, store, deadLetters }: WorldState,
  { clock, monitor }: SimulationContext,
): void {
  const dead = new Map<string, QueuedMessage>();
  for (const queue of Object.values(deadLetters)) {
    for (const letter of queue.messages()) {
      dead.set(letter.subject, letter);
      const { code, reason } = letter.attributes;
      if (code === undefined || !reason) {
        monitor.report('one-final-state', letter.subject, `dead letter ${letter.id} lacks code or reason`);
      }
      if (isUnreadable(letter.body)) continue;
      const document = account.documents.get(letter.subject);
      const isExpected =
        document !== undefined &&
        (code === document.expectedFailure ||
          (code === 'KeyCollision' && monitor.collided.has(document.id)) ||
          (code === 'DocumentGone' && !account.exists(document, clock.now())));
      if (!isExpected)
        monitor.report(
          'redrive-succeeds',
          letter.subject,
          `${code} in ${queue.name}, but the document can be archived`,
        );
    }
  }
  for (const id of monitor.accepted) {
    const archived = store.current(receiptKey(id)) !== undefined;
    if (archived && dead.has(id)) monitor.report('one-final-state', id, 'both archived and a dead letter');
    const waits = account.documents.get(id)?.expectedFailure === 'LinkNotAllowed';
    if (!archived && !dead.has(id) && !waits)
      monitor.report('one-final-state', id, 'neither archived nor a dead letter');
    if (archived && !store.current(documentKey(id)))
      monitor.report('receipt-matches-object', id, 'the object is missing');
  }
}

/** Every erasure is finished, and has been proof against all later deliveries. */
export function checkErasures(erasures: ReadonlyMap<string, string>, { monitor }: SimulationContext): void {
  for (const [documentId, state] of erasures) {
    if (state === 'finished') monitor.erasures.checkErased(documentId);
    else monitor.report('erasure-is-finished', documentId, `${state} although faults stopped long ago`);
  }
}

function isArchivable(document: AccountDocument, collided: ReadonlySet<string>): boolean {
  return document.expectedFailure === undefined && !collided.has(document.id);
}

/** What must be so in the end, once faults have stopped. */
import { documentKey, receiptKey } from '../../functions/bucket/keys.ts';

import type { AccountDocument } from './account.ts';
import { isUnreadable } from './operator.ts';
import type { QueuedMessage } from './queue.ts';
import type { Surroundings } from './surroundings.ts';
import type { Scene } from './watch.ts';

/** All that Telnyx still has, and that is not hopeless, is archived; @param isDue which documents are looked at */
export function checkArchived(
  { account, store }: Scene,
  { clock, watch }: Surroundings,
  isDue: (document: AccountDocument) => boolean,
): void {
  for (const document of account.documents.values()) {
    if (!isArchivable(document, watch.collided) || !isDue(document)) continue;
    if (!account.isThere(document, clock.now()) || store.current(receiptKey(document.id))) continue;
    watch.broken(
      'all-is-archived',
      document.id,
      'it is not archived, though nothing has been in the way for long',
    );
  }
}

/** No document is lost to Telnyx's deletion. */
export function checkInTime({ account, store }: Scene, { watch }: Surroundings): void {
  for (const document of account.documents.values()) {
    if (!isArchivable(document, watch.collided) || store.current(receiptKey(document.id))) continue;
    // What kills whoever reads it can be archived only once that is repaired.
    if (document.deadly) continue;
    const created = new Date(document.createdAt).toISOString();
    const what = `Telnyx has deleted it before it was archived; created at ${created}, linked ${document.linkedAt !== undefined}`;
    watch.broken('in-time-for-deletion', document.id, what);
  }
}

/** But for what waits for a person, who has an alarm. */
export function checkQueuesEmpty({ account, queues }: Scene, { watch }: Surroundings): void {
  for (const queue of Object.values(queues)) {
    const [message] = queue
      .messages()
      .filter(({ subject }) => account.documents.get(subject)?.hopeless !== 'LinkNotAllowed');
    if (message) {
      watch.broken(
        'all-is-archived',
        message.subject,
        `${message.id} is still in ${queue.name}: ${message.body}`,
      );
    }
  }
}

/** Queues lose nothing. */
export function checkConservation({ queues, deadLetters }: Scene, { watch }: Surroundings): void {
  for (const queue of [...Object.values(queues), ...Object.values(deadLetters)]) {
    const { came, deleted, redriven } = queue.tally;
    if (came !== deleted + redriven + queue.depth) {
      watch.broken(
        'books-balance',
        queue.name,
        `${came} came, ${deleted + redriven} went, ${queue.depth} are there`,
      );
    }
  }
}

/** Each accepted document has ended in one state; only the hopeless are dead letters after the last redrive. */
export function checkEnds({ account, store, deadLetters }: Scene, { clock, watch }: Surroundings): void {
  const dead = new Map<string, QueuedMessage>();
  for (const queue of Object.values(deadLetters)) {
    for (const letter of queue.messages()) {
      dead.set(letter.subject, letter);
      const { code, reason } = letter.attributes;
      if (code === undefined || !reason) {
        watch.broken('ends-in-one-state', letter.subject, `dead letter ${letter.id} lacks code or reason`);
      }
      if (isUnreadable(letter.body)) continue;
      const document = account.documents.get(letter.subject);
      const excused =
        document !== undefined &&
        (code === document.hopeless ||
          (code === 'KeyCollision' && watch.collided.has(document.id)) ||
          (code === 'DocumentGone' && !account.isThere(document, clock.now())));
      if (!excused) watch.broken('redrive-empties', letter.subject, `${code} in ${queue.name} without need`);
    }
  }
  for (const id of watch.accepted) {
    const archived = store.current(receiptKey(id)) !== undefined;
    if (archived && dead.has(id)) watch.broken('ends-in-one-state', id, 'it is archived and a dead letter');
    const waits = account.documents.get(id)?.hopeless === 'LinkNotAllowed';
    if (!archived && !dead.has(id) && !waits)
      watch.broken('ends-in-one-state', id, 'it is neither archived nor a dead letter');
    if (archived && !store.current(documentKey(id)))
      watch.broken('receipt-is-true', id, 'there is no object');
  }
}

function isArchivable(document: AccountDocument, collided: ReadonlySet<string>): boolean {
  return document.hopeless === undefined && !collided.has(document.id);
}

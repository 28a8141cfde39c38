/**
 * The half of `messages.ts` that writes. It stands apart because it needs no schema library, and the webhook
 * function, which only writes, has to start fast.
 */
import type { QueueMessage } from './messages.ts';

/**
 * As JSON. The two characters of the Basic Multilingual Plane that SQS refuses in a body and JSON.stringify leaves as
 * they are (Amazon SQS API reference, SendMessage) are escaped: an event's id may hold them.
 */
export function serialiseMessage(message: QueueMessage): string {
  return JSON.stringify(message).replace(
    /[\ufffe\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16)}`,
  );
}

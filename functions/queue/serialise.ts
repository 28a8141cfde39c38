/**
 * Serialises the messages of `messages.ts`. A file of its own, so that the webhook function, which parses no messages
 * and must start fast, does not load the schema library.
 */
import type { QueueMessage } from './messages.ts';

/**
 * JSON with U+FFFE and U+FFFF escaped: SQS refuses both in a body (Amazon SQS API reference, "SendMessage"),
 * JSON.stringify does not escape them, and an event's id may contain them.
 */
export function serialiseMessage(message: QueueMessage): string {
  return JSON.stringify(message).replace(
    /[\ufffe\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16)}`,
  );
}

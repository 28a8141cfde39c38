/**
 * The half of `messages.ts` that writes. It stands apart because it needs no schema library, and the webhook
 * function, which only writes, has to start fast.
 */
import type { QueueMessage } from './messages.ts';

/** Lower-case UUID (RFC 9562, section 4), as Telnyx writes document and order ids. */
export const uuidPattern = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export function serialiseMessage(message: QueueMessage): string {
  return JSON.stringify(message);
}

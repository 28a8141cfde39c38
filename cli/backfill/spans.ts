/** A time span, cut into messages that one invocation each can look through. */
import type { DiscoveryMessage } from '../../functions/queue/messages.ts';

export interface Span {
  /** Milliseconds since the Unix epoch, included. */
  from: number;
  /** Excluded. */
  to: number;
}

const secondMs = 1_000;
const dayMs = 24 * 3_600 * secondMs;

/**
 * One message for each day of UTC, newest first: what is new is what Telnyx may still delete. A message excludes
 * both of its ends, so it begins a second earlier; that two of them name a document is no harm.
 */
export function spanMessages({ from, to }: Span, requestedAt: string): DiscoveryMessage[] {
  const messages: DiscoveryMessage[] = [];
  for (let end = to; end > from; ) {
    const start = Math.max(from, Math.ceil(end / dayMs - 1) * dayMs);
    messages.push({
      v: 1,
      kind: 'span',
      createdAfter: new Date(start - secondMs).toISOString(),
      createdBefore: new Date(end).toISOString(),
      requestedAt,
    });
    end = start;
  }
  return messages;
}

/** Splits a time span into messages small enough for one invocation each. */
import type { DiscoveryMessage } from '../../functions/queue/messages.ts';

export interface Span {
  /** Milliseconds since the Unix epoch, inclusive. */
  from: number;
  /** Milliseconds since the Unix epoch, exclusive. */
  to: number;
}

const secondMs = 1_000;
const dayMs = 24 * 3_600 * secondMs;

/**
 * Creates one message per UTC day, newest first, because Telnyx may still delete new documents. A message excludes both
 * of its ends, so each starts one second earlier. A document found by two messages is archived once.
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

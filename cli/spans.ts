/** A time span, cut into messages that one invocation each can look through. */
import type { DiscoveryMessage } from '../functions/queue/messages.ts';

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

/**
 * An instant as people write it: `2026-11-24` (its beginning, UTC), ISO 8601 with a time, or `90d`, `12h`, `30m` ago.
 *
 * @returns milliseconds since the Unix epoch
 * @throws Error whose message completes "It …"
 */
export function parseInstant(text: string, now: number): number {
  const ago = /^(\d{1,5})([dhm])$/.exec(text);
  if (ago) {
    const unitMs = { d: dayMs, h: dayMs / 24, m: 60 * secondMs }[ago[2] as 'd' | 'h' | 'm'];
    return now - Number(ago[1]) * unitMs;
  }
  const isDate = /^\d{4}-\d{2}-\d{2}$/.test(text);
  const isInstant = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})$/.test(text);
  const instant = isDate || isInstant ? Date.parse(text) : Number.NaN;
  if (Number.isFinite(instant)) return instant;
  throw new Error(
    'must be a date such as 2026-11-24, an instant such as 2026-11-24T08:00:00Z, or 30d, 12h, 15m ago.',
  );
}

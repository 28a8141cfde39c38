import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { spanMessages } from '../../../cli/backfill/spans.ts';
import { parseDiscoveryMessage } from '../../../functions/queue/messages.ts';

const day = 24 * 3_600_000;
const instants = fc.integer({ min: Date.UTC(2009, 0), max: Date.UTC(2030, 0) });

describe('spanMessages', () => {
  it('covers the whole span, newest first, with at most one day and one second per message', () => {
    fc.assert(
      fc.property(instants, fc.integer({ min: 1, max: 40 * day }), (from, length) => {
        const messages = spanMessages({ from, to: from + length }, '2026-11-24T00:00:00.000Z');

        const spans = messages.map((message) => {
          const parsed = parseDiscoveryMessage(JSON.stringify(message));
          if (parsed.kind !== 'span') throw new Error('Expected a span message.');
          return { after: Date.parse(parsed.createdAfter), before: Date.parse(parsed.createdBefore) };
        });
        expect(spans[0]?.before).toBe(from + length);
        expect(spans.at(-1)?.after).toBe(from - 1_000);
        for (const [position, { after, before }] of spans.entries()) {
          expect(before - after).toBeLessThanOrEqual(day + 1_000);
          // Both ends are exclusive, so adjacent messages overlap.
          const older = spans[position + 1];
          if (older) expect(older.before).toBe(after + 1_000);
        }
      }),
    );
  });

  it('starts each message except the last at midnight UTC', () => {
    const messages = spanMessages(
      { from: Date.parse('2026-11-22T10:00:00Z'), to: Date.parse('2026-11-24T12:00:00Z') },
      '2026-11-24T12:00:00.000Z',
    );

    expect(messages).toMatchObject([
      { createdAfter: '2026-11-23T23:59:59.000Z', createdBefore: '2026-11-24T12:00:00.000Z' },
      { createdAfter: '2026-11-22T23:59:59.000Z', createdBefore: '2026-11-24T00:00:00.000Z' },
      { createdAfter: '2026-11-22T09:59:59.000Z', createdBefore: '2026-11-23T00:00:00.000Z' },
    ]);
  });
});

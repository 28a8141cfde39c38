import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { spanMessages } from '../../cli/backfill/spans.ts';
import { parseInstant } from '../../cli/instants.ts';
import { parseDiscoveryMessage } from '../../functions/queue/messages.ts';

const day = 24 * 3_600_000;
const instants = fc.integer({ min: Date.UTC(2009, 0), max: Date.UTC(2030, 0) });

describe('spanMessages', () => {
  it('covers every instant of the span, newest first, no message with more than a day and a second', () => {
    fc.assert(
      fc.property(instants, fc.integer({ min: 1, max: 40 * day }), (from, length) => {
        const messages = spanMessages({ from, to: from + length }, '2026-11-24T00:00:00.000Z');

        const spans = messages.map((message) => {
          const parsed = parseDiscoveryMessage(JSON.stringify(message));
          if (parsed.kind !== 'span') throw new Error('It is to be a span.');
          return { after: Date.parse(parsed.createdAfter), before: Date.parse(parsed.createdBefore) };
        });
        expect(spans[0]?.before).toBe(from + length);
        expect(spans.at(-1)?.after).toBe(from - 1_000);
        for (const [position, { after, before }] of spans.entries()) {
          expect(before - after).toBeLessThanOrEqual(day + 1_000);
          // Both ends are excluded, so neighbours overlap.
          const older = spans[position + 1];
          if (older) expect(older.before).toBe(after + 1_000);
        }
      }),
    );
  });

  it('begins each message but the last at midnight, so that two backfills cut alike', () => {
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

describe('parseInstant', () => {
  const now = Date.parse('2026-11-24T12:00:00Z');

  it.each([
    ['2026-11-24', '2026-11-24T00:00:00.000Z'],
    ['2026-11-24T08:00Z', '2026-11-24T08:00:00.000Z'],
    ['2026-11-24T08:00:00.5+02:00', '2026-11-24T06:00:00.500Z'],
    ['2d', '2026-11-22T12:00:00.000Z'],
    ['3h', '2026-11-24T09:00:00.000Z'],
    ['15m', '2026-11-24T11:45:00.000Z'],
  ])('takes %s', (text, instant) => {
    expect(new Date(parseInstant(text, now)).toISOString()).toBe(instant);
  });

  it.each(['', 'yesterday', '2026-13-01', '2026-11-24T08:00', '24.11.2026', '2026', '1y', '-3d'])(
    'refuses %j and says what it takes',
    (text) => {
      expect(() => parseInstant(text, now)).toThrow(/must be a date \(2026-11-24\)/);
    },
  );
});

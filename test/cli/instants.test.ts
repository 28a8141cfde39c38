import { describe, expect, it } from 'vitest';
import { instantOption, parseInstant } from '../../cli/instants.ts';

describe('parseInstant', () => {
  const now = Date.parse('2026-11-24T12:00:00Z');

  it.each([
    ['2026-11-24', '2026-11-24T00:00:00.000Z'],
    ['2026-11-24T08:00Z', '2026-11-24T08:00:00.000Z'],
    ['2026-11-24T08:00:00.5+02:00', '2026-11-24T06:00:00.500Z'],
    ['2d', '2026-11-22T12:00:00.000Z'],
    ['3h', '2026-11-24T09:00:00.000Z'],
    ['15m', '2026-11-24T11:45:00.000Z'],
  ])('parses %s', (text, instant) => {
    expect(new Date(parseInstant(text, now)).toISOString()).toBe(instant);
  });

  it.each(['', 'yesterday', '2026-13-01', '2026-11-24T08:00', '24.11.2026', '2026', '1y', '-3d'])(
    'rejects %j and states the valid formats',
    (text) => {
      expect(() => parseInstant(text, now)).toThrow(/must be a date \(2026-11-24\)/);
    },
  );
});

describe('instantOption', () => {
  it('names the option when the value is not valid', () => {
    expect(() => instantOption('--since', 'soon', 0)).toThrow(/^--since soon: must be a date/);
  });
});

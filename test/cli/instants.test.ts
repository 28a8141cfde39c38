import fc from 'fast-check';
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
    ['2w', '2026-11-10T12:00:00.000Z'],
    ['2024-02-29', '2024-02-29T00:00:00.000Z'],
  ])('parses %s', (text, instant) => {
    expect(new Date(parseInstant(text, now)).toISOString()).toBe(instant);
  });

  it.each([
    '',
    'yesterday',
    '2026-13-01',
    '2026-11-24T08:00',
    '24.11.2026',
    '2026',
    '1y',
    '-3d',
    '90d ago',
    '2026-11-24Z',
  ])('rejects %j and states the valid formats', (text) => {
    expect(() => parseInstant(text, now)).toThrow(/must be a date \(2026-11-24\)/);
  });
});

describe('a date that is not on the calendar', () => {
  it.each(['2026-02-29', '2026-02-30', '2026-04-31', '2026-02-30T10:00Z', '2026-11-24T24:00Z', '2026-00-10'])(
    'is refused instead of read as another day: %s',
    (text) => {
      expect(() => parseInstant(text, 0)).toThrow(/must be a date/);
    },
  );

  it('is told from all dates that are', () => {
    const days = fc.date({ min: new Date('1000-01-01'), max: new Date('9999-12-31'), noInvalidDate: true });
    const part = (max: number) => fc.integer({ min: 0, max }).map((n) => String(n).padStart(2, '0'));
    fc.assert(
      fc.property(days, part(40), (date, day) => {
        const [own, other] = [date.toISOString().slice(0, 10), `${date.toISOString().slice(0, 8)}${day}`];
        const daysInMonth = new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 0)).getUTCDate();

        expect(new Date(parseInstant(own, 0)).toISOString()).toBe(`${own}T00:00:00.000Z`);
        if (Number(day) >= 1 && Number(day) <= daysInMonth)
          expect(parseInstant(other, 0)).toBe(Date.parse(other));
        else expect(() => parseInstant(other, 0)).toThrow(/must be a date/);
      }),
    );
  });
});

describe('instantOption', () => {
  it('names the option when the value is not valid', () => {
    expect(() => instantOption('--since', 'soon', 0)).toThrow(/^--since soon: must be a date/);
  });
});

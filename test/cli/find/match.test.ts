import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type Criterion,
  digestCriterion,
  erasedCriterion,
  fold,
  heldCriterion,
  periodCriterion,
  typeCriterion,
  wordCriterion,
} from '../../../cli/find/match.ts';
import { type CatalogueRow, formatRows } from '../../../functions/bucket/catalogue-rows.ts';
import { fuzzRuns } from '../../fuzz-runs.ts';

const sha256 = '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08';
const row: CatalogueRow = {
  id: '5a3b1e00-0000-4000-8000-000000000007',
  state: 'archived',
  stamp: 'x',
  name: 'Vollmacht Müller.pdf',
  reference: 'Acme "North" 12',
  type: 'application/pdf; version=1.7',
  sha256,
  archived: '2026-11-24T08:00:00.000Z',
  relations: [
    {
      kind: 'porting-order',
      id: 'b0f6a2d4-1111-4222-8333-444455556666',
      reference: 'Port 77',
      numbers: ['+493012345678', '+1 (202) 555-0123'],
    },
    { kind: 'link', id: 'Res-9', type: 'address' },
  ],
};

/** As the bytes are read by the scan. */
function hasTrace({ trace = '' }: Criterion, of: CatalogueRow): boolean {
  return new RegExp(trace, 'i').test(Buffer.from(formatRows([of])).toString('latin1'));
}

describe('a word', () => {
  it.each([
    ['vollmacht', 'a part of the file name in another case'],
    ['MÜLLER', 'a letter with diacritics in another case'],
    ['Mu\u0308ller.pdf', 'a letter with diacritics in two characters'],
    ['acme "north"', 'a part of the customer reference with quotation marks'],
    ['port 77', 'the customer reference of an order'],
    ['5A3B1E00-0000-4000-8000-000000000007', 'the ID of the document in upper case'],
    ['5a3b1e00', 'the first eight digits of the ID'],
    ['b0f6a2d4-1111-4222-8333-444455556666', 'the ID of an order'],
    ['b0f6a2d4', 'the first eight digits of the ID of an order'],
    ['res-9', 'the ID of a resource'],
    ['+493012345678', 'a phone number'],
    ['+49 30 1234-5678', 'a phone number with spaces and hyphens'],
    ['493012345678', 'a phone number without the plus sign'],
    ['0049 30 12345678', 'a phone number with the prefix for international calls'],
    ['030 12345678', 'a phone number with the prefix for national calls'],
    ['02345678', 'the last seven digits of a phone number after a zero'],
    ['2345678', 'the last seven digits of a phone number'],
    ['202-555-0123', 'the end of a phone number that is stored with separators'],
    ['5550123', 'the last seven digits of a number that is stored with separators'],
    [sha256, 'the SHA-256'],
    [sha256.slice(0, 12).toUpperCase(), 'the first twelve digits of the SHA-256'],
  ])('%j matches: %s', (word) => {
    const criterion = wordCriterion(word);

    expect(criterion.matches(row)).toBe(true);
    expect(hasTrace(criterion, row)).toBe(true);
  });

  it.each([
    ['muller', 'diacritics are compared as they are written'],
    ['5a3b1e0', 'seven digits of an ID'],
    ['000000000007', 'the end of an ID'],
    ['b0f6a2d', 'seven digits of the ID of an order'],
    ['345678', 'six digits of a phone number'],
    ['0345678', 'six digits of a phone number after a zero'],
    ['x2345678', 'a text that ends like a phone number'],
    ['2345678x', 'a text that begins like the end of a phone number'],
    ['+00493012345678', 'a complete number with zeros that it does not have'],
    ['3012345', 'the middle of a phone number'],
    ['+12345678', 'a complete number with the same end'],
    [sha256.slice(0, 11), 'eleven digits of a SHA-256'],
    [sha256.slice(1, 20), 'the middle of a SHA-256'],
    ['address', 'the type of a resource'],
    ['archived', 'the state'],
    ['sweep', 'a text that is nowhere'],
  ])('%j does not match: %s', (word) => {
    expect(wordCriterion(word).matches(row)).toBe(false);
  });

  it.each(['οδος', 'ΟΔΟΣ', 'οδοσ'])('%j matches a sigma in any form', (word) => {
    expect(wordCriterion(word).matches({ ...row, name: 'ΟΔΟΣ.pdf' })).toBe(true);
  });

  it('does not match a text without its sigma', () => {
    expect(wordCriterion('οδο.pdf').matches({ ...row, name: 'οδος.pdf' })).toBe(false);
  });

  it.each([
    ['493012345678', true],
    ['no number', false],
    ['x493012345678', false],
    ['493012345678 x', false],
  ])('compares a phone number that is stored as %j: %s', (number, matches) => {
    const stored: CatalogueRow = { ...row, relations: [{ kind: 'link', id: 'x', numbers: [number] }] };

    expect(wordCriterion('2345678').matches(stored)).toBe(matches);
  });

  it.each(['2345678', '日', 'loa'])('has a trace that lines without it do not have: %j', (word) => {
    expect(hasTrace(wordCriterion(word), { id: row.id, state: 'erased', stamp: 'x' })).toBe(false);
  });

  it('is looked for by its longest part that is surely stored as it is', () => {
    expect(wordCriterion('ab日cdef日g').trace).toBe('cde');
  });

  it('matches nothing of an erased document but its ID', () => {
    const erased: CatalogueRow = { id: row.id, state: 'erased', stamp: 'x' };

    expect(wordCriterion('5a3b1e00').matches(erased)).toBe(true);
    expect(wordCriterion('Vollmacht').matches(erased)).toBe(false);
    expect(wordCriterion(sha256).matches(erased)).toBe(false);
    expect(wordCriterion('2345678').matches(erased)).toBe(false);
  });
});

describe('an option', () => {
  it.each<[string, Criterion, boolean]>([
    ['the digest', digestCriterion(sha256), true],
    ['another digest', digestCriterion(sha256.replace('9', '8')), false],
    ['the content type without its parameters', typeCriterion('Application/PDF'), true],
    ['a part of the content type', typeCriterion('application'), false],
    ['its first millisecond', periodCriterion(Date.parse('2026-11-24T08:00:00Z'), Infinity), true],
    ['the end of the period', periodCriterion(0, Date.parse('2026-11-24T08:00:00Z')), false],
    ['a later period', periodCriterion(Date.parse('2026-11-24T08:00:00.001Z'), Infinity), false],
    ['a hold', heldCriterion, false],
    ['an erasure', erasedCriterion, false],
  ])('compares %s', (_what, criterion, matches) => {
    expect(criterion.matches(row)).toBe(matches);
    expect(hasTrace(criterion, row) || !matches).toBe(true);
  });

  it('compares a content type with blanks around it, and none of a document without one', () => {
    const pdf = typeCriterion('application/pdf');

    expect(pdf.matches({ ...row, type: ' application/pdf ; version=1.7' })).toBe(true);
    expect(pdf.matches({ id: row.id, state: 'erased', stamp: 'x' })).toBe(false);
  });

  it('finds a held and an erased document', () => {
    const held: CatalogueRow = { ...row, held: true };
    const erased: CatalogueRow = { id: row.id, state: 'erased', stamp: 'x' };

    expect([heldCriterion.matches(held), hasTrace(heldCriterion, held)]).toEqual([true, true]);
    expect([erasedCriterion.matches(erased), hasTrace(erasedCriterion, erased)]).toEqual([true, true]);
    expect(periodCriterion(Number.NEGATIVE_INFINITY, Infinity).matches(erased)).toBe(false);
  });
});

describe('the trace of a period', () => {
  const dayMs = 86_400_000;
  const [first, last] = [Date.parse('0000-01-01'), Date.parse('9999-12-31T23:59:59.999Z')];
  const days = fc.oneof(fc.nat(3), fc.nat(400), fc.nat(5_000 * 366));
  const archivedAt = (at: number): CatalogueRow => ({ ...row, archived: new Date(at).toISOString() });

  it('is in the stored text of every row that was archived in the period', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: first, max: last - 5_000 * 367 * dayMs }),
        fc.tuple(days, fc.nat(dayMs)).map(([whole, rest]) => whole * dayMs + rest),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (since, length, share) => {
          const stored = archivedAt(since + Math.floor(length * share));
          expect(hasTrace(periodCriterion(since, since + length + 1), stored)).toBe(true);
        },
      ),
      { numRuns: fuzzRuns() },
    );
  });

  it.each([
    ['of one day', '2026-11-24', '2026-11-24T23:00:00Z', ['2026-11-24'], ['2026-11-23', '2026-11-25']],
    ['over new year', '2026-12-30', '2027-01-02', ['2026-12-31', '2027-01-01'], ['2026-12-29', '2027-01-03']],
    ['from a date on', '2026-11-24', undefined, ['2026-11-24', '3000-01-01'], ['2026-11-23', '1999-12-31']],
    [
      'from an eighth on',
      '2028-08-28',
      undefined,
      ['2028-08-29', '2028-09-01', '2029-01-01'],
      ['2028-08-27'],
    ],
    ['before a first', undefined, '2111-11-11', ['2111-11-10', '2111-10-31', '2110-12-31'], ['2111-11-12']],
    ['before a date', undefined, '2026-11-24', ['2026-11-23', '0001-01-01'], ['2026-11-25', '3000-01-01']],
  ])('%s is not in rows that were archived on other days', (_what, since, until, inside, outside) => {
    const [from, to] = [Date.parse(since ?? '') || -Infinity, Date.parse(until ?? '') || Infinity];
    const traced = [...inside, ...outside].filter((date) =>
      hasTrace(periodCriterion(from, to), archivedAt(Date.parse(date))),
    );

    expect(traced).toEqual(inside);
  });
});

describe('the trace of a word', () => {
  /** Characters that change their number of characters or bytes when they are folded, and some that combine. */
  const text = fc.string({
    unit: fc.constantFrom(
      ...'aAkKiIuUsSσςΣßſ0123456789+- ()"\\/;`\t\nüÜéıİẛ\u212a\u037e\u1fef\u0307\u0308\u0301\u0323日\u{1f4c4}\ud800',
    ),
    maxLength: 12,
  });

  it('is in the stored text of every row that the word matches', () => {
    let matched = 0;
    fc.assert(
      fc.property(text, fc.nat(12), fc.nat(12), fc.constantFrom('NFC', 'NFD', ''), (name, from, to, form) => {
        const part = name.slice(Math.min(from, to), Math.max(from, to));
        const word = form === '' ? part.toUpperCase() : part.normalize(form);
        const stored: CatalogueRow = {
          id: row.id,
          state: 'archived',
          stamp: 'x',
          name,
          relations: [{ kind: 'link', id: 'x', numbers: [name] }],
        };
        const criterion = wordCriterion(word);
        if (!criterion.matches(stored)) return;
        matched += 1;
        expect(hasTrace(criterion, stored)).toBe(true);
      }),
      { numRuns: fuzzRuns() },
    );
    expect(matched).toBeGreaterThan(fuzzRuns() / 3);
  });

  it('knows all characters that become ASCII when they are folded', () => {
    for (let code = 0x80; code <= 0x10ffff; code += 1) {
      const character = String.fromCodePoint(code);
      if (!/\p{ASCII}/u.test(fold(character))) continue;
      const criterion = wordCriterion(character);
      const stored: CatalogueRow = { id: row.id, state: 'archived', stamp: 'x', name: character };

      expect([character, criterion.matches(stored), hasTrace(criterion, stored)]).toEqual([
        character,
        true,
        true,
      ]);
    }
  });
});

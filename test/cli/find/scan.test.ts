import fc from 'fast-check';
import { expect, it } from 'vitest';
import { erasedCriterion, heldCriterion, wordCriterion } from '../../../cli/find/match.ts';
import { createRowFilter } from '../../../cli/find/scan.ts';
import { type CatalogueRow, formatRows } from '../../../functions/bucket/catalogue-rows.ts';
import { propertyRuns } from '../../fuzz-runs.ts';

const idOf = (number: number) => `5a3b1e00-0000-4000-8000-${String(number).padStart(12, '0')}`;
const rowOf = (number: number, fields: Partial<CatalogueRow> = {}): CatalogueRow => ({
  id: idOf(number),
  state: 'archived',
  stamp: 's',
  ...fields,
});
const bytesOf = (...rows: CatalogueRow[]) => Buffer.from(formatRows(rows));

it('finds the same rows as a comparison of each of them', () => {
  const word = fc.string({ unit: fc.constantFrom(...'aAbB1ü"'), minLength: 1, maxLength: 2 });
  const fields = fc.record(
    {
      name: fc.string({ unit: fc.constantFrom(...'aAbB1ü"\n'), maxLength: 6 }),
      reference: word,
      held: fc.constant(true as const),
    },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(
      fc.array(fields, { maxLength: 8 }),
      fc.array(word, { maxLength: 3 }),
      fc.boolean(),
      (all, words, held) => {
        const rows = all.map((each, number) => rowOf(number, each));
        const filter = createRowFilter([...words.map(wordCriterion), ...(held ? [heldCriterion] : [])]);

        expect(filter.scan(bytesOf(...rows), '5a3')).toEqual(rows.filter(filter.matches));
      },
    ),
    { numRuns: propertyRuns(2_000) },
  );
});

it('finds several words in another case', () => {
  const filter = createRowFilter([wordCriterion('acme'), wordCriterion('loa')]);
  const row = rowOf(1, { name: 'LOA.pdf', reference: 'ACME' });

  expect(filter.scan(bytesOf(row), '5a3')).toEqual([row]);
});

it('parses only lines that have the traces of all criteria', () => {
  const filter = createRowFilter([wordCriterion('loa'), heldCriterion]);
  const notRows = Buffer.from('loa, but not on hold\n"held":true, but another name\n');

  const rows = filter.scan(
    Buffer.concat([notRows, bytesOf(rowOf(1, { name: 'LOA.pdf', held: true }))]),
    '5a3',
  );

  expect(rows.map(({ id }) => id)).toEqual([idOf(1)]);
});

it('does not take the end of a line for what it looks for', () => {
  const filter = createRowFilter([wordCriterion('}')]);

  expect(filter.scan(bytesOf(rowOf(1), rowOf(2, { name: '}' })), '5a3').map(({ id }) => id)).toEqual([
    idOf(2),
  ]);
});

const erasedRow = bytesOf(rowOf(1, { state: 'erased' }));

it.each([
  ['is not a row', Buffer.from('"state":"erased"\n'), '5a3', ''],
  ['belongs to another shard', erasedRow, '5a4', 'A row is in the wrong shard.'],
  ['has no end', erasedRow.subarray(0, -1), '5a3', 'The last line of a shard has no end.'],
])('refuses a line that %s', (_what, bytes, shard, message) => {
  const filter = createRowFilter([erasedCriterion]);

  expect(() => filter.scan(bytes, shard)).toThrow(RangeError);
  expect(() => filter.scan(bytes, shard)).toThrow(message);
});

it('refuses a line that has no end although it has not all traces', () => {
  const filter = createRowFilter([erasedCriterion, heldCriterion]);

  expect(() => filter.scan(erasedRow.subarray(0, -1), '5a3')).toThrow(RangeError);
});

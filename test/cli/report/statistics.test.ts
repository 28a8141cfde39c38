import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Histogram, NameCounts, Quantiles, TimeHistogram } from '../../../cli/report/histograms.ts';
import { mostFindings, mostRows, Statistics } from '../../../cli/report/statistics.ts';
import type { Inspected } from '../../../functions/audit/inspect.ts';
import { readReceipt } from '../../../functions/audit/receipt-reading.ts';
import { documentOf, noon, receiptOf, written } from '../../fakes/documents.ts';
import { propertyRuns } from '../../fuzz-runs.ts';

describe('Growth', () => {
  it('keeps every document and byte in order, however many and however far apart', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ at: fc.nat(10 ** 12), bytes: fc.nat(10 ** 6) }), {
          maxLength: 6_000,
          size: 'max',
        }),
        (added) => {
          const histogram = new TimeHistogram();
          for (const { at, bytes } of added) histogram.add(at, bytes);

          const buckets = histogram.buckets();

          expect(buckets.length).toBeLessThanOrEqual(2_048);
          expect(buckets.reduce((sum, { count }) => sum + count, 0)).toBe(added.length);
          expect(buckets.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(
            added.reduce((sum, { bytes }) => sum + bytes, 0),
          );
          expect(buckets.map(({ from }) => from)).toEqual(
            buckets.map(({ from }) => from).sort((a, b) => a - b),
          );
          const first = Math.min(...added.map(({ at }) => at));
          if (added.length > 0) expect(buckets[0]?.from).toBeLessThanOrEqual(first);
        },
      ),
      { numRuns: propertyRuns(20) },
    );
  });
});

it('Quantiles are within 2.5 % of the true ones', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 10 ** 9 }), { minLength: 1 }),
      fc.double({ min: 0.01, max: 1, noNaN: true }),
      (values, part) => {
        const quantiles = new Quantiles();
        for (const value of values) quantiles.add(value);
        const exact = values.toSorted((a, b) => a - b)[Math.ceil(part * values.length) - 1] ?? 0;

        const told = quantiles.at(part) ?? 0;

        expect(Math.abs(told - exact) / exact).toBeLessThan(0.025);
      },
    ),
  );
});

it('A histogram counts a value that is an edge above it', () => {
  const histogram = new Histogram([10, 20]);
  for (const value of [0, 9, 10, 19, 20, 1_000]) histogram.add(value);

  expect(histogram.counts).toEqual([2, 2, 2]);
});

it('Names of any number are counted, the frequent ones by name', () => {
  const counts = new NameCounts();
  for (let number = 0; number < 10_000; number += 1)
    counts.add(number % 2 === 0 ? 'frequent' : `name ${number}`);

  const top = counts.top(3, 'other');

  expect(top[0]).toEqual({ name: 'frequent', count: 5_000 });
  expect(top.at(-1)?.name).toBe('other');
  expect(top.reduce((sum, { count }) => sum + count, 0)).toBe(10_000);
});

function inspected(number: number, findings: Inspected['findings']): Inspected {
  const id = `${number.toString(16).padStart(8, '0')}-0000-4000-8000-000000000000`;
  const archived = documentOf(id, Buffer.from('x'), { createdAt: noon - number * 1_000 });
  const reading = readReceipt(id, Buffer.from(written(receiptOf(archived))));
  return {
    evidence: { documentId: id, object: { bytes: 1, modified: noon }, receipt: { modified: noon, reading } },
    findings,
  };
}

it('The table holds the newest documents and all findings, up to a number; the counts are of all', () => {
  const statistics = new Statistics();
  const all = 3 * mostRows;
  for (let number = all - 1; number >= 0; number -= 1) {
    statistics.add(inspected(number, [{ code: 'same', key: '', detail: '' }]));
  }
  for (let number = 0; number < mostFindings + 7; number += 1) {
    statistics.add(inspected(number + all, [{ code: 'checksum-differs', key: '', detail: '' }]));
  }

  const rows = statistics.rows();

  expect(rows).toHaveLength(mostRows + mostFindings);
  expect(rows.slice(mostFindings).map(({ id }) => Number.parseInt(id.slice(0, 8), 16))).toEqual(
    Array.from({ length: mostRows }, (_, number) => number),
  );
  expect(statistics.unlisted).toBe(7);
  expect(statistics.sizes.total).toBe(all + mostFindings + 7);
});

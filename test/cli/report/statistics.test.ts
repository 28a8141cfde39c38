import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Histogram, NameCounts, Quantiles, TimeHistogram } from '../../../cli/report/histograms.ts';
import { maxFindings, maxNewest, Statistics } from '../../../cli/report/statistics.ts';
import type { Inspection } from '../../../functions/audit/inspect.ts';
import { readReceipt } from '../../../functions/audit/receipt-reading.ts';
import type { Tombstone } from '../../../functions/bucket/tombstones.ts';
import { documentOf, noon, receiptOf, written } from '../../fakes/documents.ts';
import { propertyRuns } from '../../fuzz-runs.ts';

describe('TimeHistogram', () => {
  it('counts every document and byte in at most 2,048 sorted buckets', () => {
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

it('Quantiles are within 2.5 % of the exact values', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 10 ** 9 }), { minLength: 1 }),
      fc.double({ min: 0.01, max: 1, noNaN: true }),
      (values, quantile) => {
        const quantiles = new Quantiles();
        for (const value of values) quantiles.add(value);
        const exact = values.toSorted((a, b) => a - b)[Math.ceil(quantile * values.length) - 1] ?? 0;

        const estimate = quantiles.at(quantile) ?? 0;

        expect(Math.abs(estimate - exact) / exact).toBeLessThan(0.025);
      },
    ),
  );
});

it('Histogram counts a value equal to an edge in the bucket above the edge', () => {
  const histogram = new Histogram([10, 20]);
  for (const value of [0, 9, 10, 19, 20, 1_000]) histogram.add(value);

  expect(histogram.counts).toEqual([2, 2, 2]);
});

it('NameCounts counts any number of names, and lists the most frequent ones by name', () => {
  const counts = new NameCounts();
  for (let number = 0; number < 10_000; number += 1)
    counts.add(number % 2 === 0 ? 'frequent' : `name ${number}`);

  const top = counts.top(3, 'other');

  expect(top[0]).toEqual({ name: 'frequent', count: 5_000 });
  expect(top.at(-1)?.name).toBe('other');
  expect(top.reduce((sum, { count }) => sum + count, 0)).toBe(10_000);
});

function inspected(number: number, findings: Inspection['findings']): Inspection {
  const id = `${number.toString(16).padStart(8, '0')}-0000-4000-8000-000000000000`;
  const archived = documentOf(id, Buffer.from('x'), { createdAt: noon - number * 1_000 });
  const reading = readReceipt(id, Buffer.from(written(receiptOf(archived))));
  return {
    evidence: { documentId: id, object: { bytes: 1, modified: noon }, receipt: { modified: noon, reading } },
    findings,
  };
}

it('Statistics keeps a limited number of newest documents and findings, and counts all documents', () => {
  const statistics = new Statistics();
  const all = 3 * maxNewest;
  for (let number = all - 1; number >= 0; number -= 1) {
    statistics.add(inspected(number, [{ code: 'same', key: '', detail: '' }]));
  }
  for (let number = 0; number < maxFindings + 7; number += 1) {
    statistics.add(inspected(number + all, [{ code: 'checksum-differs', key: '', detail: '' }]));
  }

  const rows = statistics.rows();

  expect(rows).toHaveLength(maxNewest + maxFindings);
  expect(rows.slice(maxFindings).map(({ id }) => Number.parseInt(id.slice(0, 8), 16))).toEqual(
    Array.from({ length: maxNewest }, (_, number) => number),
  );
  expect(statistics.unlisted).toBe(7);
  expect(statistics.sizes.total).toBe(all + maxFindings + 7);
});

it('Statistics lists erased documents after those with findings, and leaves them out of the charts', () => {
  const statistics = new Statistics();
  const { evidence } = inspected(1, []);
  const content: Tombstone = {
    v: 1,
    state: 'erased',
    documentId: evidence.documentId,
    erasedAt: new Date(noon).toISOString(),
    erasedBy: 'break-glass',
    basis: 'DSR-1',
    erased: { archivedAt: new Date(noon - 1_000).toISOString() },
    archiver: '0.2.0',
  };
  const tombstone = { digest: '', content };

  statistics.add({
    evidence: { ...evidence, receipt: { modified: noon, tombstone } },
    findings: [{ code: 'erased', key: '', detail: '' }],
  });
  statistics.add(inspected(2, [{ code: 'checksum-differs', key: '', detail: '' }]));

  expect(statistics.rows()).toMatchObject([
    { codes: ['checksum-differs'] },
    { codes: ['erased'], archivedAt: noon - 1_000, fileName: undefined },
  ]);
  expect(statistics.sizes.total).toBe(1);
  expect(statistics.growth.buckets().reduce((sum, { count }) => sum + count, 0)).toBe(1);
});

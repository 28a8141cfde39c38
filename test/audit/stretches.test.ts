import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { divideIds, sampleReceipts } from '../../functions/audit/stretches.ts';
import { propertyRuns } from '../fuzz-runs.ts';

const never = new AbortController().signal;

/** A listing of receipts with these IDs. */
function listing(ids: readonly string[]) {
  const keys = ids.map((id) => `receipts/${id}.json`).sort();
  const requests: string[] = [];
  const list = async (prefix: string, after = '') => {
    requests.push(prefix);
    return keys.filter((key) => key.startsWith(prefix) && key > after).slice(0, 1_000);
  };
  return { bucket: { list }, requests };
}

function randomIds(count: number): string[] {
  // A fixed sequence: multiples of a large odd number, modulo 2^32.
  return Array.from({ length: count }, (_, number) => {
    const head = Math.imul(number, 2_654_435_761) >>> 0;
    return `${head.toString(16).padStart(8, '0')}-0000-4000-8000-000000000001`;
  });
}

describe('dividing the IDs', () => {
  it('covers all of them, without overlap', () => {
    const documents = fc.array(fc.nat(400_000), { minLength: 16, maxLength: 16 });
    fc.assert(
      fc.property(documents, fc.integer({ min: 1, max: 50_000 }), (counts, perStretch) => {
        const samples = counts.map((count, digit) => ({ digit: digit.toString(16), documents: count }));

        const stretches = divideIds(samples, perStretch);

        expect(stretches[0]?.from).toBe('');
        expect(stretches.at(-1)?.before).toBe('');
        for (const [position, { from, before }] of stretches.entries()) {
          if (position > 0) expect(from).toBe(stretches[position - 1]?.before);
          if (before !== '') expect(from < before).toBe(true);
        }
      }),
      { numRuns: propertyRuns(200) },
    );
  });

  it('makes one stretch of few documents', async () => {
    const { bucket } = listing(randomIds(900));

    expect(divideIds(await sampleReceipts(bucket, never), 25_000)).toEqual([{ from: '', before: '' }]);
  });

  it('makes stretches of about the intended size, with two listings per digit', async () => {
    const ids = randomIds(100_000);
    const { bucket, requests } = listing(ids);

    const stretches = divideIds(await sampleReceipts(bucket, never), 10_000);

    const sizes = stretches.map(
      ({ from, before }) => ids.filter((id) => id >= from && (before === '' || id < before)).length,
    );
    expect(Math.max(...sizes)).toBeLessThan(12_000);
    expect(stretches.length).toBeLessThan(24);
    expect(requests).toHaveLength(32);
  });

  it('does not fail on IDs that all begin alike', async () => {
    const ids = Array.from(
      { length: 3_000 },
      (_, number) => `00000000-0000-4000-8000-${number.toString(16).padStart(12, '0')}`,
    );

    const stretches = divideIds(await sampleReceipts(listing(ids).bucket, never), 25_000);

    expect(stretches.length).toBeLessThan(200);
  });
});

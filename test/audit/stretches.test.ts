import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { divideIds, sampleReceipts } from '../../functions/audit/stretches.ts';
import { propertyRuns } from '../fuzz-runs.ts';

const never = new AbortController().signal;

/** A listing of receipts with these IDs. */
function listing(ids: readonly string[]) {
  const keys = ids.map((id) => `receipts/${id}.json`).sort();
  return async function* list(prefix: string) {
    for (const key of keys) if (key.startsWith(prefix)) yield { key };
  };
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

        const gaps = stretches.filter(
          ({ from }, position) => from !== (stretches[position - 1]?.before ?? ''),
        );
        expect(gaps).toEqual([]);
        expect(stretches.filter(({ from, before }) => before !== '' && from >= before)).toEqual([]);
        expect(stretches.at(-1)?.before).toBe('');
        // Whole shards of the catalogue.
        expect(stretches.slice(1).filter(({ from }) => !/^[0-9a-f]{3}$/.test(from))).toEqual([]);
      }),
      { numRuns: propertyRuns(200) },
    );
  });

  it.each<[string, number[], number, string[]]>([
    ['nothing', [0, 0, 0], 10, []],
    ['as many documents as a stretch may have', [10, 10], 20, []],
    ['one more', [10, 11], 20, ['100']],
    ['digits that fit together', [6, 6, 6, 6, 6], 13, ['200', '400']],
    ['a digit with more', [15], 10, ['080']],
    ['a digit whose pieces are no whole documents', [7, 21], 10, ['100', '155', '1aa']],
    ['a digit that fits in part', [5, 20], 10, ['100', '180']],
    ['a digit whose first piece fits in part', [2, 15], 10, ['180']],
    ['a small digit that fits behind a piece', [15, 2], 10, ['080']],
    ['a small digit behind a large one', [40, 1], 10, ['040', '080', '0c0', '100']],
  ])('divides %s', (_what, counts, perStretch, bounds) => {
    const samples = counts.map((documents, digit) => ({ digit: String(digit), documents }));

    expect(divideIds(samples, perStretch).map(({ from }) => from)).toEqual(['', ...bounds]);
  });

  it('divides a digit into 256 pieces at most', () => {
    const stretches = divideIds([{ digit: '7', documents: 8_192 }], 1);

    expect(stretches).toHaveLength(256);
    expect(stretches[1]).toEqual({ from: '701', before: '702' });
    expect(stretches.at(-1)).toEqual({ from: '7ff', before: '' });
  });

  it('makes one stretch of few documents', async () => {
    const list = listing(randomIds(900));

    expect(divideIds(await sampleReceipts(list, never), 25_000)).toEqual([{ from: '', before: '' }]);
  });

  it('makes stretches of about the intended size', async () => {
    const ids = randomIds(20_000);

    const stretches = divideIds(await sampleReceipts(listing(ids), never), 2_000);

    const sizes = stretches.map(
      ({ from, before }) => ids.filter((id) => id >= from && (before === '' || id < before)).length,
    );
    expect(Math.max(...sizes)).toBeLessThan(2_400);
    expect(stretches.length).toBeLessThan(24);
  });

  it('does not fail on IDs that all begin alike', async () => {
    const ids = Array.from(
      { length: 3_000 },
      (_, number) => `00000000-0000-4000-8000-${number.toString(16).padStart(12, '0')}`,
    );

    const stretches = divideIds(await sampleReceipts(listing(ids), never), 25_000);

    expect(stretches.length).toBeLessThan(300);
  });
});

describe('the estimate of the receipts of a digit', () => {
  /** The estimate for the digit 5 from a sample of two. */
  async function estimateOf(...heads: string[]) {
    const ids = heads.map((head) => `${head}-0000-4000-8000-000000000001`);
    const samples = await sampleReceipts(listing(ids), never, 2);
    expect(samples.map(({ digit }) => digit).join('')).toBe('0123456789abcdef');
    expect(samples.filter(({ digit, documents }) => digit !== '5' && documents > 0)).toEqual([]);
    return samples[5]?.documents;
  }

  it.each([
    ['half of the digit', '58000000', 4],
    ['three quarters of it', '5c000000', 3],
    ['one piece of 256', '50100000', 512],
    ['one of 65,536', '50001000', 131_072],
    ['less', '50000001', 131_072],
  ])('follows from a sample that covers %s', async (_what, head, documents) => {
    expect(await estimateOf('50000000', head, '5fffffff')).toBe(documents);
  });

  it('is their number if there are no more than in the sample', async () => {
    expect(await estimateOf('50000000', '58000000')).toBe(2);
    expect(await estimateOf('58000000')).toBe(1);
    expect(await estimateOf()).toBe(0);
  });

  it('does not count keys that are not those of receipts', async () => {
    const list = async function* (prefix: string) {
      if (prefix === 'receipts/5')
        yield* [{ key: 'receipts/5x' }, { key: 'receipts/5y' }, { key: 'receipts/5z' }];
    };

    expect((await sampleReceipts(list, never, 2))[5]).toEqual({ digit: '5', documents: 0 });
  });
});

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

        const gaps = stretches.filter(
          ({ from }, position) => from !== (stretches[position - 1]?.before ?? ''),
        );
        expect(gaps).toEqual([]);
        expect(stretches.filter(({ from, before }) => before !== '' && from >= before)).toEqual([]);
        expect(stretches.at(-1)?.before).toBe('');
      }),
      { numRuns: propertyRuns(200) },
    );
  });

  it.each<[string, number[], number, string[]]>([
    ['nothing', [0, 0, 0], 10, []],
    ['as many documents as a stretch may have', [10, 10], 20, []],
    ['one more', [10, 11], 20, ['1000']],
    ['digits that fit together', [6, 6, 6, 6, 6], 13, ['2000', '4000']],
    ['a digit with more', [15], 10, ['0800']],
    ['a digit whose pieces are no whole documents', [7, 21], 10, ['1000', '1555', '1aaa']],
    ['a digit that fits in part', [5, 20], 10, ['1000', '1800']],
    ['a small digit behind a large one', [40, 1], 10, ['0400', '0800', '0c00', '1000']],
  ])('divides %s', (_what, counts, perStretch, bounds) => {
    const samples = counts.map((documents, digit) => ({ digit: String(digit), documents }));

    expect(divideIds(samples, perStretch).map(({ from }) => from)).toEqual(['', ...bounds]);
  });

  it('divides a digit into 4,096 pieces at most', () => {
    const stretches = divideIds([{ digit: '7', documents: 8_192 }], 1);

    expect(stretches).toHaveLength(4_096);
    expect(stretches[1]).toEqual({ from: '7001', before: '7002' });
    expect(stretches.at(-1)).toEqual({ from: '7fff', before: '' });
  });

  it('makes one stretch of few documents', async () => {
    const { bucket } = listing(randomIds(900));

    expect(divideIds(await sampleReceipts(bucket, never), 25_000)).toEqual([{ from: '', before: '' }]);
  });

  it('makes stretches of about the intended size, with two listings per digit', async () => {
    const ids = randomIds(20_000);
    const { bucket, requests } = listing(ids);

    const stretches = divideIds(await sampleReceipts(bucket, never), 2_000);

    const sizes = stretches.map(
      ({ from, before }) => ids.filter((id) => id >= from && (before === '' || id < before)).length,
    );
    expect(Math.max(...sizes)).toBeLessThan(2_400);
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

describe('the estimate of the receipts of a digit', () => {
  const key = (head: string) => `receipts/${head}-0000-4000-8000-000000000001.json`;

  /** The estimate for the digit 5, whose first page has these keys. */
  async function estimateOf(page: string[], beyond: string[] = []) {
    const requests: (string | undefined)[] = [];
    const list = async (prefix: string, after?: string) => {
      if (prefix !== 'receipts/5') return [];
      requests.push(after);
      return after === undefined ? page : beyond;
    };
    const samples = await sampleReceipts({ list }, never);
    expect(samples.map(({ digit }) => digit).join('')).toBe('0123456789abcdef');
    expect(samples.filter(({ digit, documents }) => digit !== '5' && documents > 0)).toEqual([]);
    return { documents: samples[5]?.documents, requests };
  }

  it.each([
    ['half of the digit', '58000000', 4],
    ['three quarters of it', '5c000000', 3],
    ['one piece of 4,096', '50010000', 8_192],
    ['no whole piece', '50000001', 8_192],
  ])('follows from two receipts on a page that covers %s', async (_what, head, documents) => {
    const page = [key('50000000'), key(head)];

    expect(await estimateOf(page, [key('5fffffff')])).toEqual({ documents, requests: [undefined, page[1]] });
  });

  it('is their number if nothing is beyond the page', async () => {
    const page = [key('50000000'), key('58000000')];

    expect(await estimateOf(page)).toEqual({ documents: 2, requests: [undefined, page[1]] });
  });

  it('is the number of keys if the last one is not that of a receipt', async () => {
    const page = [key('50000000'), 'receipts/5x'];

    expect(await estimateOf(page, [key('5fffffff')])).toEqual({ documents: 2, requests: [undefined] });
  });

  it('is 0 without receipts, by one listing', async () => {
    expect(await estimateOf([])).toEqual({ documents: 0, requests: [undefined] });
  });
});

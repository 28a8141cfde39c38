import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { propertyRuns } from '../fuzz-runs.ts';
import { evaluate, type Series } from './metric-math.ts';

const series: Record<string, Series> = {
  a: [1, undefined, 3, undefined],
  b: [10, 20, undefined, undefined],
  none: [undefined, undefined, undefined, undefined],
};
const resultOf = (expression: string) =>
  evaluate(expression, (id) => {
    const found = series[id];
    if (found === undefined) throw new Error(`Unknown ID ${id}`);
    return found;
  });

describe('evaluate', () => {
  test.each<[string, Series]>([
    ['a', [1, undefined, 3, undefined]],
    ['a + b', [11, undefined, undefined, undefined]],
    ['FILL(a, 0)', [1, 0, 3, 0]],
    ['FILL(none, 7)', [7, 7, 7, 7]],
    ['FILL(a, 0) + FILL(b, 0)', [11, 20, 3, 0]],
    ['DIFF(FILL(a, 0))', [undefined, -1, 3, -3]],
    ['DIFF(a)', [undefined, undefined, undefined, undefined]],
    ['FILL(a, 1) * 2 - 6 / 3', [0, 0, 4, 0]],
    ['(FILL(a, 1) + 1) * 2', [4, 4, 8, 4]],
    ['10 - FILL(a, 1) - 2', [7, 7, 5, 7]],
  ])('evaluates %s for each period', (expression, expected) => {
    expect(resultOf(expression)).toEqual(expected);
  });

  test.each([
    '',
    'a +',
    '(a',
    'a b',
    'a ? b',
    'FILL(a)',
    'FILL(a, REPEAT)',
    'RATE(a)',
    'missing',
    '1 + 1',
    'REPEAT',
  ])('throws for %j', (expression) => {
    expect(() => resultOf(expression)).toThrow();
  });

  test('returns a value for every period or throws, for any expression', () => {
    const part = fc.constantFrom(
      'a',
      'b',
      '1',
      '2.5',
      'FILL',
      'DIFF',
      'REPEAT',
      '(',
      ')',
      ',',
      '+',
      '-',
      '*',
      ' ',
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 12 }), (parts) => {
        let result: Series;
        try {
          result = resultOf(parts.join(''));
        } catch (error) {
          expect(error).toBeInstanceOf(Error);
          return;
        }
        expect(result).toHaveLength(4);
      }),
      { numRuns: propertyRuns(2_000) },
    );
  });
});

import { describe, expect, it } from 'vitest';
import {
  countDefects,
  countUnchecked,
  createTally,
  findingCodes,
  formatFindingCount,
  weightOf,
} from '../../functions/audit/findings.ts';

describe('findings', () => {
  it.each([
    [0, 'same', '0 documents'],
    [1, 'unreadable', '1 item'],
    [2, 'manifest-removed', '2 manifests'],
    [12_345, 'foreign', '12,345 objects'],
  ] as const)('%i of the code %s are called %s', (count, code, words) => {
    expect(formatFindingCount(count, code)).toBe(words);
  });

  it('are counted by weight, and none is counted at first', () => {
    const none = createTally();
    const tally = createTally();
    for (const [position, code] of findingCodes.entries()) tally.counts[code] = 10 ** position;

    const sumOf = (weight: string) =>
      findingCodes.reduce((sum, code, position) => sum + (weightOf(code) === weight ? 10 ** position : 0), 0);
    expect([countDefects(none), countUnchecked(none)]).toEqual([0, 0]);
    expect([countDefects(tally), countUnchecked(tally)]).toEqual([sumOf('defect'), sumOf('unchecked')]);
  });
});

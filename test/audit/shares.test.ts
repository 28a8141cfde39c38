import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { dayOf, shareOf, sharesOf, telnyxWindows } from '../../functions/audit/shares.ts';
import { day as dayMs, noon } from '../fakes/documents.ts';
import { propertyRuns } from '../fuzz-runs.ts';

const today = dayOf(noon);

describe('the shares of a night', () => {
  it('cover all shares within a cycle, whatever nights have no run', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 40 }),
        fc.array(fc.boolean(), { minLength: 100, maxLength: 100 }),
        (shareDays, runs) => {
          const lastRead = new Map<number, number>();
          const first = runs.indexOf(true);
          let last: number | undefined;
          for (const [offset, hasRun] of runs.entries()) {
            const day = today + offset;
            if (!hasRun) continue;
            for (const share of sharesOf(day, last, shareDays)) lastRead.set(share, day);
            last = day;
            if (offset - first < shareDays) continue;
            // A share is read on its own day or, without a run that day, by the next run.
            expect(lastRead.size).toBe(shareDays);
            expect(day - Math.min(...lastRead.values())).toBeLessThan(shareDays);
          }
        },
      ),
      { numRuns: propertyRuns(100) },
    );
  });

  it('are read once per cycle if there is a run every night', () => {
    const shares = Array.from({ length: 30 }, (_, offset) =>
      sharesOf(today + offset, today + offset - 1, 30),
    );

    expect(shares.every((each) => each.length === 1)).toBe(true);
    expect(new Set(shares.flat()).size).toBe(30);
  });

  it('are the share of the day for the first run, and for a second run of the day', () => {
    expect(sharesOf(today, undefined, 30)).toEqual([today % 30]);
    expect(sharesOf(today, today, 30)).toEqual([today % 30]);
  });

  it('include those of nights without a run, each once and in order', () => {
    expect(sharesOf(31, 28, 30)).toEqual([0, 1, 29]);
    expect(sharesOf(31, 1, 5)).toEqual([0, 1, 2, 3, 4]);
  });

  it('are about equal, although IDs differ in their last digits only', () => {
    const counts = Array.from({ length: 30 }, () => 0);
    for (let number = 0; number < 30_000; number += 1) {
      const share = shareOf(`00000000-0000-4000-8000-${number.toString(16).padStart(12, '0')}`, 30);
      counts[share] = (counts[share] ?? 0) + 1;
    }

    expect(Math.min(...counts)).toBeGreaterThan(850);
    expect(Math.max(...counts)).toBeLessThan(1_150);
  });
});

describe('the spans of Telnyx’s list of a night', () => {
  const windowsOf = (offset: number, full = false) => {
    const day = today + offset;
    const shares = sharesOf(day, day - 1, 30);
    return telnyxWindows({ full, day, shares, shareDays: 30 }, day * dayMs + dayMs / 2);
  };

  it('cover every instant within a cycle', () => {
    const cycle = Array.from({ length: 30 }, (_, offset) => windowsOf(offset)).flat();
    const isCovered = (instant: number) => cycle.some(({ from, to }) => from <= instant && instant <= to);

    fc.assert(
      fc.property(fc.integer({ min: 0, max: noon }), (instant) => {
        expect(isCovered(instant)).toBe(true);
      }),
      { numRuns: propertyRuns(300) },
    );
  });

  it('are newest first, do not overlap, and begin with the last days', () => {
    const windows = windowsOf(0);

    expect(windows[0]?.to).toBe(today * dayMs + dayMs / 2);
    expect(windows[0]?.from).toBeLessThanOrEqual((today - 2) * dayMs);
    for (const [position, { from, to }] of windows.entries()) {
      expect(from).toBeLessThanOrEqual(to);
      expect(to).toBeLessThan(windows[position - 1]?.from ?? Number.POSITIVE_INFINITY);
    }
  });

  it.each([
    [
      'the last days, and the days of the share',
      [0],
      [
        [7, 9],
        [4, 4],
        [-1, -1],
      ],
    ],
    [
      'as many of the last days as there are shares',
      [0, 2, 3, 4],
      [
        [1, 9],
        [-1, -1],
      ],
    ],
  ])('are %s', (_what, offsets, days) => {
    const first = dayOf(Date.UTC(2016, 0, 1));
    const day = first + 9;
    const shares = offsets.map((offset) => (day + offset) % 5);
    const until = day * dayMs + dayMs / 2;

    expect(telnyxWindows({ full: false, day, shares, shareDays: 5 }, until)).toEqual(
      days.map(([from = 0, to = 0]) => ({
        from: from < 0 ? 0 : (first + from) * dayMs,
        to: Math.min(until, (first + to + 1) * dayMs - 1),
      })),
    );
  });

  it.each([0, Date.UTC(2010, 5, 1), Date.UTC(2015, 11, 31, 12)])('are a single one until %d', (until) => {
    expect(telnyxWindows({ full: true, day: today, shares: [0], shareDays: 30 }, until)).toEqual([
      { from: 0, to: until },
    ]);
  });

  it('are a single one in a full run', () => {
    expect(windowsOf(0, true)).toEqual([{ from: 0, to: today * dayMs + dayMs / 2 }]);
  });

  it('are fewer than 150, so that a night needs few requests', () => {
    expect(windowsOf(0).length).toBeLessThan(150);
  });
});

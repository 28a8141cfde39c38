import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isSuperseded, planSweep } from '../../functions/discover/sweep.ts';
import { propertyRuns } from '../fuzz-runs.ts';

const minute = 60_000;
const hour = 60 * minute;
const noon = Date.parse('2026-11-24T12:00:00Z');
const at = (instant: number) => new Date(instant).toISOString();

/** Ages, in minutes, at which the sweeps of 27 hours queue a document without a receipt and count it as overdue. */
function agesAtSweeps(createdAt: number) {
  const queued: number[] = [];
  const overdue: number[] = [];
  for (
    let sweepAt = Math.floor(createdAt / minute) * minute - minute;
    sweepAt < createdAt + 27 * hour;
    sweepAt += minute
  ) {
    for (const { window, isQueued, isOverdue } of planSweep(at(sweepAt))) {
      if (createdAt < window.from || createdAt > window.to) continue;
      const age = (sweepAt - createdAt) / minute;
      if (isQueued(createdAt)) queued.push(age);
      if (isOverdue(createdAt)) overdue.push(age);
    }
  }
  return { queued, overdue };
}

describe('planSweep', () => {
  it('queues every document three times when new, twice within its 30 minutes, and once on the next day', () => {
    fc.assert(
      fc.property(fc.integer({ min: noon, max: noon + 24 * hour }), (createdAt) => {
        const { queued } = agesAtSweeps(createdAt);

        expect(queued).toHaveLength(6);
        expect(queued.filter((age) => age >= -1 && age < 2)).toHaveLength(3);
        expect(queued.filter((age) => age >= 14 && age < 24)).toHaveLength(2);
        expect(queued.filter((age) => age >= 25 * 60)).toHaveLength(1);
      }),
      { numRuns: propertyRuns(300) },
    );
  });

  it('counts every document as overdue at exactly one sweep, before it is 15 minutes old', () => {
    fc.assert(
      fc.property(fc.integer({ min: noon, max: noon + 24 * hour }), (createdAt) => {
        const { overdue } = agesAtSweeps(createdAt);

        expect(overdue).toHaveLength(1);
        expect(overdue[0]).toBeGreaterThanOrEqual(10);
        expect(overdue[0]).toBeLessThan(15);
      }),
      { numRuns: propertyRuns(300) },
    );
  });

  it('returns the bands for the minute of requestedAt', () => {
    const windows = (instant: number) =>
      planSweep(at(instant)).map(({ window }) => [
        (window.from - instant) / minute,
        (window.to - instant) / minute,
      ]);

    expect(windows(noon + 7 * minute)).toEqual([[-2, 1]]);
    expect(windows(noon + 5 * minute)).toEqual([
      [-2, 1],
      [-24, -10],
    ]);
    expect(windows(noon)).toEqual([
      [-2, 1],
      [-24, -10],
      [-26 * 60, -25 * 60],
    ]);
  });

  it('includes the youngest age of a band and excludes the oldest, to the millisecond', () => {
    const [, second] = planSweep(at(noon + 5 * minute));
    const createdAtAge = (ms: number) => noon + 5 * minute - ms;
    const boundaries = (youngest: number, oldest: number) =>
      [youngest * minute - 1, youngest * minute, oldest * minute - 1, oldest * minute].map(createdAtAge);

    expect(boundaries(14, 24).map((createdAt) => second?.isQueued(createdAt))).toEqual([
      false,
      true,
      true,
      false,
    ]);
    expect(boundaries(10, 15).map((createdAt) => second?.isOverdue(createdAt))).toEqual([
      false,
      true,
      true,
      false,
    ]);
  });

  it('queues a document without a created_at and counts it as overdue in the band that counts', () => {
    const [fresh, second] = planSweep(at(noon));

    expect(fresh?.isQueued(undefined)).toBe(true);
    expect(fresh?.isOverdue(undefined)).toBe(false);
    expect(second?.isOverdue(undefined)).toBe(true);
  });
});

describe('isSuperseded', () => {
  it('is true after 30 minutes, and for the first sweep of an hour after 60', () => {
    expect(isSuperseded(at(noon + minute), noon + 31 * minute)).toBe(false);
    expect(isSuperseded(at(noon + minute), noon + 31 * minute + 1)).toBe(true);
    expect(isSuperseded(at(noon), noon + hour)).toBe(false);
    expect(isSuperseded(at(noon), noon + hour + 1)).toBe(true);
  });
});

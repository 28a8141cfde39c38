import { describe, expect, it } from 'vitest';
import { planSweep } from '../../functions/discover/sweep.ts';
import { createSweepDates } from '../../local/sweep-dates.ts';

const minuteMs = 60_000;
const midnight = Date.parse('2026-11-25T00:00:00Z');

/** Bands of the sweeps of an hour, with a sweep every ten seconds. */
function plansOfAnHour() {
  const dateOf = createSweepDates();
  return Array.from({ length: 360 }, (_, n) => {
    const now = midnight + n * 10_000;
    return { now, bands: planSweep(new Date(dateOf(now)).toISOString()) };
  });
}

describe('createSweepDates with sweeps every ten seconds', () => {
  it('counts each overdue document once', () => {
    for (let uploaded = midnight; uploaded < midnight + 40 * minuteMs; uploaded += 7_000) {
      const counts = plansOfAnHour().filter(({ bands }) => bands.some((band) => band.isOverdue(uploaded)));

      expect(counts).toHaveLength(1);
    }
  });

  it('reads the further bands once in the first minute of an hour and once in every fifth minute', () => {
    const bands = plansOfAnHour().map((plan) => plan.bands.length);

    expect(bands.filter((count) => count === 3)).toHaveLength(1);
    expect(bands.filter((count) => count === 2)).toHaveLength(11);
  });

  it('finds new documents with every sweep', () => {
    const missed = plansOfAnHour().filter(({ now, bands }) => !bands[0]?.isQueued(now));

    expect(missed).toEqual([]);
  });
});

import { describe, expect, it } from 'vitest';
import { createTimeLeft } from '../../terminal/time-left.ts';

describe('the time left', () => {
  it('follows from the rate since the total is known', () => {
    const timeLeft = createTimeLeft();

    timeLeft.describe(0, undefined, 0);
    timeLeft.describe(100, 1_000, 60_000);

    expect(timeLeft.describe(400, 1_000, 90_000)).toBe('about 60 s left');
    expect(timeLeft.describe(700, 1_000, 660_000)).toBe('about 5 min left');
  });

  it('is unknown in the first seconds, without progress, without a total and at the end', () => {
    const timeLeft = createTimeLeft();

    const descriptions = [
      timeLeft.describe(0, 10, 0),
      timeLeft.describe(1, 10, 2_900),
      timeLeft.describe(10, 10, 60_000),
      timeLeft.describe(5, undefined, 60_000),
      timeLeft.describe(5, 10, 70_000),
      timeLeft.describe(5, 10, 80_000),
    ];

    expect(descriptions).toEqual(Array(6).fill(undefined));
  });
});

/** Ten bugs, for the quick run; `seeded-bugs.long.test.ts` has all of them. */
import { describe, expect, it } from 'vitest';
import { breachBy } from './caught.ts';
import { plant } from './plant.ts';
import { seededBugs } from './seeded-bugs.ts';

const count = 10;
/** Spread evenly over the list, so that every part of the archiver has one. */
const some = seededBugs.filter(
  (_, place) =>
    Math.floor((place * count) / seededBugs.length) !== Math.floor(((place - 1) * count) / seededBugs.length),
);

describe('the simulation catches it when', () => {
  it.each(some)(
    '$name',
    async (bug) => {
      expect(await breachBy(bug)).toBeDefined();
    },
    120_000,
  );

  it('is tried with ten bugs of the list', () => {
    expect(some).toHaveLength(count);
  });
});

describe('a seeded bug', () => {
  it('still finds its fragments in the source, each of them exactly once', async () => {
    for (const bug of seededBugs) await (await plant(bug)).remove();
  });

  it('is refused when its fragment does not occur exactly once', async () => {
    const stale = { name: 'stale', edits: [{ file: 'log.ts', fragment: 'no such text', replacement: '' }] };
    const twofold = { name: 'twofold', edits: [{ file: 'log.ts', fragment: 'value', replacement: '' }] };

    await expect(plant(stale)).rejects.toThrow('occurs 0 times in functions/log.ts');
    await expect(plant(twofold)).rejects.toThrow(/occurs \d+ times/);
  });
});

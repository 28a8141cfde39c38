import { describe, expect, it } from 'vitest';
import { loadArchiver } from './archiver.ts';
import { wage } from './campaign.ts';
import { climates } from './faults.ts';
import { plant } from './plant.ts';
import { seededBugs } from './seeded-bugs.ts';

/** Within so many seeds each must be caught. */
const seeds = 16;

describe('the simulation catches it when', () => {
  it.each(seededBugs)(
    '$name',
    async (bug) => {
      const planted = await plant(bug);
      try {
        const report = await wage({
          seed: 1,
          runs: seeds,
          documents: 200,
          climate: bug.provokedBy ? { ...climates.still, provoked: bug.provokedBy } : climates.rough,
          archiver: await loadArchiver(planted.folder),
        });

        expect(report.last?.breach).toBeDefined();
      } finally {
        await planted.remove();
      }
    },
    120_000,
  );
});

it('refuses a bug whose fragment is not to be found exactly once', async () => {
  const stale = { name: 'stale', edits: [{ file: 'log.ts', fragment: 'no such text', replacement: '' }] };
  const twofold = { name: 'twofold', edits: [{ file: 'log.ts', fragment: 'value', replacement: '' }] };

  await expect(plant(stale)).rejects.toThrow('occurs 0 times in functions/log.ts');
  await expect(plant(twofold)).rejects.toThrow(/occurs \d+ times/);
});

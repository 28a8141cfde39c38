/** Whether the simulation notices a bug. */
import { loadArchiver } from './archiver.ts';
import { wage } from './campaign.ts';
import { climates } from './faults.ts';
import { plant } from './plant.ts';
import type { SeededBug } from './seeded-bugs.ts';

/** Within so many seeds each must be caught. */
const seeds = 16;

/** @returns the broken invariant; undefined where the bug went unnoticed */
export async function breachBy(bug: SeededBug) {
  const planted = await plant(bug);
  try {
    const report = await wage({
      seed: 1,
      runs: seeds,
      documents: 200,
      climate: bug.provokedBy ? { ...climates.still, provoked: bug.provokedBy } : climates.rough,
      archiver: await loadArchiver(planted.folder),
    });
    return report.last?.breach;
  } finally {
    await planted.remove();
  }
}

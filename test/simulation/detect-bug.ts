/** Whether the simulation detects a bug. */
import { applyBug } from './apply-bug.ts';
import { loadArchiver } from './archiver.ts';
import { faultProfiles } from './faults.ts';
import { runMany } from './run-many.ts';
import type { SeededBug } from './seeded-bugs.ts';

/** Number of seeds within which each bug must be detected. Most need one; the rarest has needed twenty. */
const seeds = 40;

/** @returns the first violation; undefined if the bug is not detected */
export async function violationCausedBy(bug: SeededBug) {
  const patched = await applyBug(bug);
  try {
    const report = await runMany({
      seed: 1,
      runs: seeds,
      documents: 200,
      profile: bug.onlyFaults ? { ...faultProfiles.none, forced: bug.onlyFaults } : faultProfiles.frequent,
      archiver: await loadArchiver(patched.folder),
    });
    return report.last?.violation;
  } finally {
    await patched.remove();
  }
}

/** Whether the simulation detects a bug. */
import { applyBug } from './apply-bug.ts';
import { loadArchiver } from './archiver.ts';
import { type FaultProfile, faultProfiles } from './faults.ts';
import { runMany } from './run-many.ts';
import type { SeededBug } from './seeded-bugs.ts';
import { simulateAudits } from './simulate-audits.ts';
import { withSmallParts } from './small-parts.ts';

/** Number of seeds within which each bug must be detected. Most need one; the rarest has needed twenty. */
const seeds = 40;
/** The same for bugs of the audit function. */
const auditSeeds = 8;

/** @returns the first violation; undefined if the bug is not detected */
export async function violationCausedBy(bug: SeededBug) {
  const patched = await applyBug(bug);
  try {
    const report = await runMany({
      seed: 1,
      runs: seeds,
      documents: 200,
      profile: profileOf(bug),
      archiver: await loadArchiver(patched.folder),
    });
    return report.last?.violation;
  } finally {
    await patched.remove();
  }
}

/** The same for a bug of the audit function, in simulations of its nights. */
export async function auditViolationCausedBy(bug: SeededBug) {
  const report = await withSmallParts(bug, (archiver) =>
    runMany({ seed: 1, runs: auditSeeds, documents: 40, profile: profileOf(bug), archiver }, simulateAudits),
  );
  return report.last?.violation;
}

function profileOf({ onlyFaults }: SeededBug): FaultProfile {
  return onlyFaults ? { ...faultProfiles.none, forced: onlyFaults } : faultProfiles.frequent;
}

import { describe, expect, it } from 'vitest';
import { auditBugs } from './audit-bugs.ts';
import { auditViolationCausedBy } from './detect-bug.ts';
import { auditFaultNames, faultProfiles } from './faults.ts';
import { describeViolation, runMany } from './run-many.ts';
import { simulateAudits } from './simulate-audits.ts';
import { withSmallParts } from './small-parts.ts';

it.each([
  ['severe', 8],
  ['frequent', 4],
] as const)(
  'the audit violates no invariant under %s faults in %i simulations',
  async (profile, runs) => {
    const report = await withSmallParts(undefined, (archiver) =>
      runMany({ seed: 1, runs, documents: 40, profile: faultProfiles[profile], archiver }, simulateAudits),
    );

    expect(describeViolation(report)).toBe('');
    expect(report.runs).toBe(runs);
    if (profile === 'frequent') {
      expect(auditFaultNames.filter((name) => !report.counts.has(name))).toEqual([]);
    }
  },
  300_000,
);

describe('the simulation of the audit reports a violation for the bug', () => {
  it.each(auditBugs)(
    '"$name"',
    async (bug) => {
      expect(await auditViolationCausedBy(bug)).toBeDefined();
    },
    120_000,
  );
});

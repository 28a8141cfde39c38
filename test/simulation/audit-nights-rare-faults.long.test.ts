/** One seed with rare faults, and one bug; `audit-nights.long.test.ts` runs the others. */
import { describe, expect, it } from 'vitest';
import { patchedFiles } from './apply-bug.ts';
import { auditBugs } from './audit-bugs.ts';
import { auditViolationCausedBy } from './detect-bug.ts';
import { faultProfiles } from './faults.ts';
import { describeViolation, runMany } from './run-many.ts';
import { simulateAudits } from './simulate-audits.ts';
import { withSmallParts } from './small-parts.ts';

it('the audit completes or closes every run, is clean on a healthy archive and finds every damage while faults occur rarely', async () => {
  const report = await withSmallParts(undefined, (archiver) =>
    runMany({ seed: 1, runs: 1, documents: 40, profile: faultProfiles.rare, archiver }, simulateAudits),
  );

  expect(describeViolation(report)).toBe('');
  expect(report.archived).toBeGreaterThan(40);
}, 120_000);

describe('the simulation of the audit reports a violation for the bug', () => {
  it.each(auditBugs.filter(({ onlyFaults }) => onlyFaults?.length === 0).slice(0, 1))(
    '"$name"',
    async (bug) => {
      expect(await auditViolationCausedBy(bug)).toBeDefined();
    },
    120_000,
  );
});

it('every bug of the audit applies to the current source', async () => {
  for (const bug of auditBugs) expect((await patchedFiles(bug)).size).toBeGreaterThan(0);
});

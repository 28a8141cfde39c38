/** One seed, for the quick run; `fault-profiles.long.test.ts` runs all of them. */
import { expect, it } from 'vitest';
import { functionsFolder, loadArchiver } from './archiver.ts';
import { faultProfiles } from './faults.ts';
import { describeViolation, runMany } from './run-many.ts';

it('archives every document before Telnyx deletes it while every kind of fault occurs rarely', async () => {
  const report = await runMany({
    seed: 1,
    runs: 1,
    documents: 250,
    profile: faultProfiles.rare,
    archiver: await loadArchiver(functionsFolder),
    expectInTime: true,
  });

  expect(describeViolation(report)).toBe('');
  expect(report.documents).toBe(250);
  expect(report.counts.size).toBeGreaterThan(10);
}, 120_000);

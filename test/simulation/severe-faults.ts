import { expect } from 'vitest';
import { functionsFolder, loadArchiver } from './archiver.ts';
import { faultProfiles } from './faults.ts';
import { describeViolation, faultsBelow, runMany } from './run-many.ts';

/** The three test files together inject every kind of fault at least 200 times. */
const minOccurrences = Math.ceil(200 / 3);

/** Simulates 25,000 documents in a hundred runs. @param part number of the test file, from 0: selects its seeds */
export async function expectNoViolationUnderSevereFaults(part: number): Promise<void> {
  const report = await runMany({
    seed: 1 + part * 1_000,
    runs: 100,
    documents: 250,
    profile: faultProfiles.severe,
    archiver: await loadArchiver(functionsFolder),
  });

  expect(describeViolation(report)).toBe('');
  expect(report.documents).toBe(25_000);
  expect(faultsBelow(report, minOccurrences)).toEqual([]);
}

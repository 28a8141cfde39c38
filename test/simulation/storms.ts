import { expect } from 'vitest';
import { functionsFolder, loadArchiver } from './archiver.ts';
import { storyOf, tooSeldom, wage } from './campaign.ts';
import { climates } from './faults.ts';

/** Over the three parts, every kind of fault strikes 200 times and more. */
const leastStrikes = Math.ceil(200 / 3);

/** Simulates 25,000 documents in a hundred storms, the seeds being those of this part of the suite. */
export async function weatherStorms(part: number): Promise<void> {
  const report = await wage({
    seed: 1 + part * 1_000,
    runs: 100,
    documents: 250,
    climate: climates.stormy,
    archiver: await loadArchiver(functionsFolder),
  });

  expect(storyOf(report)).toBe('');
  expect(report.documents).toBe(25_000);
  expect(tooSeldom(report, leastStrikes)).toEqual([]);
}

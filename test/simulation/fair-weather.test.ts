/** One seed, for the quick run; `fair-weather.long.test.ts` has all of them. */
import { expect, it } from 'vitest';
import { functionsFolder, loadArchiver } from './archiver.ts';
import { storyOf, wage } from './campaign.ts';
import { climates } from './faults.ts';

it('archives every document before Telnyx deletes it while every kind of fault strikes now and then', async () => {
  const report = await wage({
    seed: 1,
    runs: 1,
    documents: 250,
    climate: climates.fair,
    archiver: await loadArchiver(functionsFolder),
    inTime: true,
  });

  expect(storyOf(report)).toBe('');
  expect(report.documents).toBe(250);
  expect(report.counts.size).toBeGreaterThan(10);
}, 120_000);

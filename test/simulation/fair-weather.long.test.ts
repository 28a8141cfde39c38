import { describe, expect, it } from 'vitest';
import { functionsFolder, loadArchiver } from './archiver.ts';
import { storyOf, wage } from './campaign.ts';
import { climates, faultNames } from './faults.ts';
import { simulate } from './world.ts';

const archiver = await loadArchiver(functionsFolder);
const minute = 60_000;

describe('in fair weather', () => {
  it('archives every document before Telnyx deletes it, although every kind of fault strikes now and then', async () => {
    const report = await wage({
      seed: 1,
      runs: 100,
      documents: 250,
      climate: climates.fair,
      archiver,
      inTime: true,
    });

    expect(storyOf(report)).toBe('');
    expect(report.documents).toBe(25_000);
    expect([...report.counts.keys()].sort()).toEqual([...faultNames].sort());
  }, 600_000);
});

describe('while neighbours fail', () => {
  it('archives every document in time where nine answers in ten are right, beside a backfill of years', async () => {
    const report = await wage({
      seed: 1,
      runs: 60,
      documents: 250,
      climate: climates.unreliable,
      archiver,
      inTime: true,
      backfillsYears: true,
    });

    expect(storyOf(report)).toBe('');
    expect(report.archived).toBe(report.documents);
  }, 600_000);

  it('archives every document in time where a neighbour is down for less than ten minutes, beside a backfill of years', async () => {
    const report = await wage({
      seed: 1,
      runs: 60,
      documents: 250,
      climate: climates.blackout,
      archiver,
      inTime: true,
      backfillsYears: true,
    });

    expect(storyOf(report)).toBe('');
    expect(report.archived).toBe(report.documents);
  }, 600_000);

  it('has an alarm ring for what is not settled within 16 minutes, while a neighbour is down for long', async () => {
    const report = await wage({ seed: 1, runs: 30, documents: 250, climate: climates.dark, archiver });

    expect(storyOf(report)).toBe('');
    expect(report.archived).toBeLessThan(report.documents);
  }, 600_000);
});

describe('in still weather', () => {
  it('archives everything within two sweeps and seconds', async () => {
    const report = await wage({
      seed: 1,
      runs: 10,
      documents: 250,
      climate: climates.still,
      archiver,
      inTime: true,
    });

    expect(storyOf(report)).toBe('');
    expect(report.counts.size).toBe(0);
    expect(report.archived).toBe(report.documents);
    expect(report.latencies.at(-1)).toBeLessThan(2.2 * minute);
  }, 60_000);
});

describe('the simulation itself', () => {
  it('runs the same way for the same seed, to the byte, and another way for another', async () => {
    const logOf = async (seed: number) => {
      const outcome = await simulate({ seed, documents: 120, climate: climates.stormy, archiver });
      return [...outcome.lines()].join('\n');
    };

    const [once, again, other] = [await logOf(7), await logOf(7), await logOf(8)];

    expect(again).toBe(once);
    expect(other).not.toBe(once);
  }, 60_000);
});

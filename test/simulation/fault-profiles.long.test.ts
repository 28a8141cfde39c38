import { describe, expect, it } from 'vitest';
import { functionsFolder, loadArchiver } from './archiver.ts';
import { faultNames, faultProfiles } from './faults.ts';
import { describeViolation, runMany } from './run-many.ts';
import { simulate } from './simulate.ts';

const archiver = await loadArchiver(functionsFolder);
const minute = 60_000;

describe('the archiver', () => {
  it('archives every document before Telnyx deletes it while every kind of fault occurs rarely', async () => {
    const report = await runMany({
      seed: 1,
      runs: 100,
      documents: 250,
      profile: faultProfiles.rare,
      archiver,
      expectInTime: true,
    });

    expect(describeViolation(report)).toBe('');
    expect(report.documents).toBe(25_000);
    expect([...report.counts.keys()].sort()).toEqual([...faultNames].sort());
  }, 600_000);

  it('archives every document in time beside a large backfill while one response in ten fails', async () => {
    const report = await runMany({
      seed: 1,
      runs: 60,
      documents: 250,
      profile: faultProfiles.unreliable,
      archiver,
      expectInTime: true,
      withLargeBackfill: true,
    });

    expect(describeViolation(report)).toBe('');
    expect(report.archived).toBe(report.documents);
  }, 600_000);

  it('archives every document in time beside a large backfill when one service is down for less than ten minutes', async () => {
    const report = await runMany({
      seed: 1,
      runs: 60,
      documents: 250,
      profile: faultProfiles['short-outage'],
      archiver,
      expectInTime: true,
      withLargeBackfill: true,
    });

    expect(describeViolation(report)).toBe('');
    expect(report.archived).toBe(report.documents);
  }, 600_000);

  it('raises an alarm for each document that is not archived after 16 minutes because a service is down', async () => {
    const report = await runMany({
      seed: 1,
      runs: 30,
      documents: 250,
      profile: faultProfiles['long-outage'],
      archiver,
    });

    expect(describeViolation(report)).toBe('');
    expect(report.archived).toBeLessThan(report.documents);
  }, 600_000);

  it('archives everything within two sweeps and some seconds when nothing fails', async () => {
    const report = await runMany({
      seed: 1,
      runs: 10,
      documents: 250,
      profile: faultProfiles.none,
      archiver,
      expectInTime: true,
    });

    expect(describeViolation(report)).toBe('');
    expect(report.counts.size).toBe(0);
    expect(report.archived).toBe(report.documents);
    expect(report.latencies.at(-1)).toBeLessThan(2.2 * minute);
  }, 60_000);
});

describe('the simulation', () => {
  it('writes the same event log for the same seed and another one for another seed', async () => {
    const logOf = async (seed: number) => {
      const outcome = await simulate({ seed, documents: 120, profile: faultProfiles.severe, archiver });
      return [...outcome.lines()].join('\n');
    };

    const [first, second, other] = [await logOf(7), await logOf(7), await logOf(8)];

    expect(second).toBe(first);
    expect(other).not.toBe(first);
  }, 60_000);
});

/** Several simulations, one after the other. */
import { createHash } from 'node:crypto';
import { type FaultCounts, type FaultName, faultNames } from './faults.ts';
import type { Outcome } from './outcome.ts';
import { type Simulation, simulate } from './simulate.ts';

export interface RunManyOptions extends Simulation {
  /** Number of runs. The first has the seed `seed`, each further run the next seed. */
  runs: number;
}

export interface RunReport {
  runs: number;
  documents: number;
  archived: number;
  events: number;
  counts: FaultCounts;
  /** SHA-256 of the event log of a single run, or of the digests of all runs. */
  digest: string;
  /** Milliseconds from creation to receipt, ascending. */
  latencies: number[];
  last: Outcome | undefined;
}

/**
 * Stops after the first run that violates an invariant.
 *
 * @param run simulates one seed. @default the simulation of all functions but the audit
 */
export async function runMany(
  { seed, runs, ...simulation }: RunManyOptions,
  run: (simulation: Simulation) => Promise<Outcome> = simulate,
): Promise<RunReport> {
  const digests: string[] = [];
  const counts: FaultCounts = new Map();
  const report: RunReport = {
    runs: 0,
    documents: 0,
    archived: 0,
    events: 0,
    counts,
    digest: '',
    latencies: [],
    last: undefined,
  };
  for (let number = seed; number < seed + runs && !simulation.signal?.aborted; number += 1) {
    const outcome = await run({ ...simulation, seed: number });
    digests.push(outcome.digest);
    for (const [fault, count] of outcome.counts) counts.set(fault, (counts.get(fault) ?? 0) + count);
    report.runs += 1;
    report.documents += outcome.documents;
    report.archived += outcome.archived;
    report.events += outcome.events;
    for (const latency of outcome.latencies) report.latencies.push(latency);
    report.last = outcome;
    if (outcome.violation) break;
  }
  report.latencies.sort((a, b) => a - b);
  const [only] = digests;
  report.digest =
    digests.length === 1 && only !== undefined
      ? only
      : createHash('sha256').update(digests.join('\n')).digest('hex');
  return report;
}

/** The violation with its seed and an excerpt of the event log; empty if there is none. */
export function describeViolation({ last }: RunReport): string {
  if (!last?.violation) return '';
  return [`Seed ${last.seed}, ${last.documents} documents:`, ...last.excerpt].join('\n  ');
}

/** The kinds of fault that occurred fewer than `min` times, with their counts. */
export function faultsBelow({ counts }: RunReport, min: number): [FaultName, number][] {
  return faultNames
    .map((name): [FaultName, number] => [name, counts.get(name) ?? 0])
    .filter(([, count]) => count < min);
}

/** Many runs, one after the other. */
import { createHash } from 'node:crypto';
import { type FaultCounts, type FaultName, faultNames } from './faults.ts';
import { type Outcome, type Simulation, simulate } from './world.ts';

export interface Campaign extends Simulation {
  /** How many runs; `seed` is the first one's, each further one has the next. */
  runs: number;
}

export interface Report {
  runs: number;
  documents: number;
  archived: number;
  events: number;
  counts: FaultCounts;
  /** SHA-256 of the event log of a single run, else of all their SHA-256. */
  digest: string;
  /** Milliseconds from creation to receipt, in order. */
  latencies: number[];
  last: Outcome | undefined;
}

/** Stops at the first run in which an invariant is broken. */
export async function wage({ seed, runs, ...simulation }: Campaign): Promise<Report> {
  const digests: string[] = [];
  const counts: FaultCounts = new Map();
  const report: Report = {
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
    const outcome = await simulate({ ...simulation, seed: number });
    digests.push(outcome.digest);
    for (const [fault, count] of outcome.counts) counts.set(fault, (counts.get(fault) ?? 0) + count);
    report.runs += 1;
    report.documents += outcome.documents;
    report.archived += outcome.archived;
    report.events += outcome.events;
    for (const latency of outcome.latencies) report.latencies.push(latency);
    report.last = outcome;
    if (outcome.breach) break;
  }
  report.latencies.sort((a, b) => a - b);
  const [only] = digests;
  report.digest =
    digests.length === 1 && only !== undefined
      ? only
      : createHash('sha256').update(digests.join('\n')).digest('hex');
  return report;
}

/** What a broken invariant is told with; empty where none is. */
export function storyOf({ last }: Report): string {
  if (!last?.breach) return '';
  return [`Seed ${last.seed}, ${last.documents} documents:`, ...last.story].join('\n  ');
}

/** Kinds of fault that have struck less often than they should, with how often. */
export function tooSeldom({ counts }: Report, least: number): [FaultName, number][] {
  return faultNames
    .map((name): [FaultName, number] => [name, counts.get(name) ?? 0])
    .filter(([, count]) => count < least);
}

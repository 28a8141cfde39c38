/** The outcome of a simulation, and what it says about a violation. */
import type { SimulationContext } from './context.ts';
import type { EventLog } from './event-log.ts';
import type { FaultCounts, FaultInjector } from './faults.ts';
import type { InvariantMonitor, WorldState } from './invariant-monitor.ts';
import { invariants, type Violation } from './invariants.ts';

export interface Outcome {
  seed: number;
  documents: number;
  archived: number;
  counts: FaultCounts;
  /** SHA-256 of the event log. */
  digest: string;
  events: number;
  violation: Violation | undefined;
  /** The violation and the last events about its subject; empty if there is no violation. */
  excerpt: string[];
  /** Milliseconds from creation to receipt, of documents that were created during the run; ascending. */
  latencies: number[];
  lines(): Generator<string>;
}

/** Reports unhandled errors: they would end a real process. */
export function reportUnhandledErrors(monitor: InvariantMonitor): () => void {
  const events = ['uncaughtException', 'unhandledRejection'] as const;
  const others = events.map((event) => [event, process.listeners(event as 'uncaughtException')] as const);
  const onError = (error: unknown) =>
    monitor.report(
      'no-unhandled-error',
      'the process',
      error instanceof Error ? String(error.stack) : String(error),
    );
  for (const event of events) {
    process.removeAllListeners(event);
    process.on(event, onError);
  }
  return () => {
    for (const [event, listeners] of others) {
      process.removeAllListeners(event);
      for (const listener of listeners) process.on(event, listener);
    }
  };
}

export function outcomeOf(
  { seed, documents }: { seed: number; documents: number },
  { account }: WorldState,
  { injector, eventLog, monitor }: SimulationContext,
  start: number,
): Outcome {
  const { violation } = monitor;
  const latencies: number[] = [];
  for (const { id, createdAt } of account.documents.values()) {
    const archivedAt = monitor.archivedAt.get(id);
    if (archivedAt !== undefined && createdAt >= start) latencies.push(archivedAt - createdAt);
  }
  return {
    seed,
    documents,
    archived: monitor.archivedAt.size,
    counts: injector.counts,
    digest: eventLog.digest(),
    events: eventLog.length,
    violation,
    excerpt: violation ? excerptOf(violation, injector, eventLog) : [],
    latencies: latencies.sort((a, b) => a - b),
    lines: () => eventLog.lines(),
  };
}

function excerptOf(violation: Violation, injector: FaultInjector, eventLog: EventLog): string[] {
  return [
    `${invariants[violation.invariant]}`,
    `Violated for ${violation.subject}: ${violation.what}`,
    ...(injector.describeOutages().length > 0 ? [`Outages: ${injector.describeOutages().join('; ')}`] : []),
    ...eventLog.excerpt(/^[0-9a-f]{8}-|#/.test(violation.subject) ? violation.subject : undefined),
  ];
}

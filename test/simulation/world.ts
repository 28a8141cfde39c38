/** The actual state of a simulated deployment before its first message. */
import { receives, timeouts, visibilityPerTimeout } from '../../functions/limits.ts';
import { laneNames } from '../../functions/queue/lanes.ts';
import { Account } from './account.ts';
import type { SimulationContext } from './context.ts';
import type { WorldState } from './invariant-monitor.ts';
import { ObjectStore } from './object-store.ts';
import { Queue } from './queue.ts';
import type { RandomSource } from './random.ts';

const timeoutMs = {
  documents: timeouts.archiveMs,
  backfill: timeouts.archiveMs,
  discovery: timeouts.discoverMs,
  spans: timeouts.discoverMs,
  audit: timeouts.auditMs,
} as const;

export function createSimulatedWorld(context: SimulationContext, random: RandomSource): WorldState {
  const lanes = laneNames.map((name) => {
    const deadLetters = new Queue({ name: `${name}-dead-letters`, visibilityMs: 30_000 }, context);
    const redrive = { to: deadLetters, maxReceiveCount: receives.max };
    const visibilityMs = visibilityPerTimeout * timeoutMs[name];
    return { name, deadLetters, queue: new Queue({ name, visibilityMs, redrive }, context) };
  });
  const byName = (queueOf: (lane: (typeof lanes)[number]) => Queue) =>
    Object.fromEntries(lanes.map((lane) => [lane.name, queueOf(lane)])) as WorldState['queues'];
  return {
    account: new Account(random),
    store: new ObjectStore(context),
    catalogue: new ObjectStore(context),
    queues: byName(({ queue }) => queue),
    deadLetters: byName(({ deadLetters }) => deadLetters),
  };
}

import type { VirtualClock } from '../fakes/clock.ts';
import type { EventLog } from './event-log.ts';
import type { FaultInjector } from './faults.ts';
import type { InvariantMonitor } from './invariant-monitor.ts';
import type { RandomSource } from './random.ts';

/** Passed to every part of a simulation. */
export interface SimulationContext {
  clock: VirtualClock;
  random: RandomSource;
  injector: FaultInjector;
  eventLog: EventLog;
  monitor: InvariantMonitor;
}

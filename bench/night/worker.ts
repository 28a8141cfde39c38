/** Process that delivers messages to the audit function one after the other, as to one warm container. */
import { createAgents } from '../../functions/connections.ts';
import { createHttpGet } from '../../functions/http.ts';
import { timeouts } from '../../functions/limits.ts';
import { systemTime as time } from '../../functions/time.ts';
import { peakMb } from '../peak-memory.ts';
import { createNightFunction } from './deliver.ts';

export interface NightJob {
  endpoint: string;
  messages: readonly string[];
}

/** Wall time and CPU time of one message. */
export interface TimedDelivery {
  ms: number;
  cpuMs: number;
}

export interface NightOutcome {
  /** By message. */
  deliveries: TimedDelivery[];
  /** Peak resident set size. */
  peakMb: number;
}

process.once('message', async ({ endpoint, messages }: NightJob) => {
  const telnyxGet = createHttpGet(createAgents(), 'bench');
  const { deliver } = createNightFunction({ endpoint, telnyxGet, time, limitMs: timeouts.auditMs });
  const deliveries: TimedDelivery[] = [];
  for (const message of messages) {
    const started = time.monotonic();
    const used = process.cpuUsage();
    await deliver(message);
    const { user, system } = process.cpuUsage(used);
    deliveries.push({ ms: time.monotonic() - started, cpuMs: (user + system) / 1_000 });
  }
  process.send?.({ deliveries, peakMb: peakMb() } satisfies NightOutcome);
});

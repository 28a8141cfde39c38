/** Process that copies documents with one implementation and reports the cost of each load: `worker.ts <implementation>`. */
import { once } from 'node:events';
import pLimit from 'p-limit';
import { peakMb } from '../peak-memory.ts';
import type { BenchDocument } from '../wire/contents.ts';
import { type ImplementationName, implementations, type Route } from './implementations.ts';

export interface Load {
  documents: readonly BenchDocument[];
  /** Number of concurrent copies. */
  concurrency: number;
}

/** Cost of a load. */
export interface Measurement {
  /** User and system time of the process, garbage collection included. */
  cpuMs: number;
  ms: number;
  /** Peak resident set size in MB since the process started; missing if unknown. */
  peakMb?: number;
}

const [route] = (await once(process, 'message')) as [Route];
const copyOne = implementations[process.argv[2] as ImplementationName](route);
process.on('message', async ({ documents, concurrency }: Load) => {
  const limit = pLimit(concurrency);
  const before = process.cpuUsage();
  const startedAt = performance.now();
  await Promise.all(documents.map((document) => limit(() => copyOne(document))));
  const ms = performance.now() - startedAt;
  const { user, system } = process.cpuUsage(before);
  process.send?.({ cpuMs: (user + system) / 1_000, ms, peakMb: peakMb() } satisfies Measurement);
});
process.on('disconnect', () => process.exit());

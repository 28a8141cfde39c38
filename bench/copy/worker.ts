/** A process that copies documents in one way, and tells what each load of them took. `worker.ts <way>` */
import { once } from 'node:events';
import pLimit from 'p-limit';
import { peakMb } from '../peak-memory.ts';
import type { BenchDocument } from '../wire/contents.ts';
import { type Route, type Way, ways } from './ways.ts';

export interface Load {
  documents: readonly BenchDocument[];
  /** How many at once. */
  concurrency: number;
}

/** Of a whole load. */
export interface Took {
  /** User and system time of the process, garbage collection included. */
  cpuMs: number;
  ms: number;
  /** Of the resident set since the process began, in MB, where the contestant knows. */
  peakMb?: number;
}

const [route] = (await once(process, 'message')) as [Route];
const copyOne = ways[process.argv[2] as Way](route);
process.on('message', async ({ documents, concurrency }: Load) => {
  const limit = pLimit(concurrency);
  const before = process.cpuUsage();
  const began = performance.now();
  await Promise.all(documents.map((document) => limit(() => copyOne(document))));
  const ms = performance.now() - began;
  const { user, system } = process.cpuUsage(before);
  process.send?.({ cpuMs: (user + system) / 1_000, ms, peakMb: peakMb() } satisfies Took);
});
process.on('disconnect', () => process.exit());

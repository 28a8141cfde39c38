/**
 * A process of a soak: the local stack under faults, which its parent kills at any moment or lets come to its end.
 * Argument: a `Job` as JSON. Tells its parent `Progress` now and then. Ends by itself once it is told to stop: if a
 * socket or a timer were left, it would not.
 */
import { systemTime as time } from '../../functions/time.ts';
import { startStack } from '../../local/stack.ts';
import { whenQuiet } from '../../local/when-quiet.ts';
import { type Doom, s3Faults, telnyxFaults } from './faults.ts';

export interface Job {
  archive: string;
  documents: string;
  doomed: [fileName: string, doom: Doom][];
}

export interface Progress {
  /** Archived by this process. */
  archived: number;
  /** Nothing is left to do. */
  quiet: boolean;
  /** Megabytes of heap in use, after a collection where there is nothing left to do. */
  heapMb: number;
  /** Faults of S3 by kind. */
  s3Faults: [string, number][];
}

const tellEveryMs = 100;
const job: Job = JSON.parse(process.argv[2] ?? '{}');
const { fault, counts } = s3Faults(Math.random);
let archived = 0;
const tell = (quiet: boolean) => {
  if (quiet) global.gc?.();
  const heapMb = process.memoryUsage().heapUsed / 1e6;
  const progress: Progress = { archived, quiet, heapMb, s3Faults: [...counts] };
  process.send?.(progress);
};

const stack = await startStack({
  archive: job.archive,
  documents: job.documents,
  faults: telnyxFaults(new Map(job.doomed)),
  s3Fault: fault,
  events: false,
  sweepEveryMs: 60_000,
  ladders: { retry: [100, 200, 400, 800, 1_000, 1_000], wait: [200, 500, 1_000] },
  onLog: (line) => {
    if (line.includes('"outcome":"archived"')) archived += 1;
  },
  onProblem: (problem) => console.error(problem),
  version: 'soak',
  time,
  random: Math.random,
});
const telling = setInterval(() => tell(false), tellEveryMs);
const told = new Promise<void>((resolve) => {
  process.once('message', () => resolve());
});
await stack.discoverAll();
await whenQuiet(stack, time);
clearInterval(telling);
tell(true);
await told;
await stack.stop();
process.disconnect();

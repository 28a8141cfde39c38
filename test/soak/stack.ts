/**
 * A process of a soak: the local stack under faults, which its parent kills at any moment or lets come to its end.
 * Argument: a `Job` as JSON. Tells its parent `Progress` now and then. Ends by itself once it is told to stop: if a
 * socket or a timer were left, it would not.
 */
import { retryTimings } from '../../functions/limits.ts';
import { sleep, systemTime as time } from '../../functions/time.ts';
import { type Stack, startStack } from '../../local/stack.ts';
import { whenQuiet } from '../../local/when-quiet.ts';
import { s3Faults, telnyxFaults } from './faults.ts';
import { type Job, type Progress, waitingSockets } from './job.ts';
import { openTlsFront } from './tls-front.ts';

const tellEveryMs = 100;
const idleWithinMs = 30_000;
const job: Job = JSON.parse(process.argv[2] ?? '{}');
const { certificates } = job;
const counts = new Map<string, number>();
let archived = 0;
const heapMb = () => {
  global.gc?.();
  return process.memoryUsage().heapUsed / 1e6;
};
const openSockets = () => process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length;
const tell = (end?: Progress['end']) => {
  const faults = [...counts, ...(stack.standIn?.faults.counts() ?? [])];
  process.send?.({ archived, faults, end } satisfies Progress);
};

/** Many, for whatever stalls holds up its batch. */
const concurrency = { documents: 1, backfill: 16, discovery: 1, spans: 1 };
const stack: Stack = await startStack({
  archive: job.archive,
  documents: job.documents,
  faults: telnyxFaults(new Map(job.doomed)),
  s3Fault: s3Faults(Math.random, (key) => stack.standIn?.documents.get(key ?? '')?.bytes ?? 0, counts),
  openStorageFront:
    certificates && ((s3Endpoint) => openTlsFront(s3Endpoint, certificates, Math.random, counts)),
  concurrency,
  events: false,
  timings: {
    ...retryTimings,
    leastWaitMs: 100,
    longestLiveWaitMs: 1_000,
    longestWaitMs: 1_000,
    documentFaultAfterMs: 2_000,
    attemptsSpanMs: 500,
  },
  onLog: (line) => {
    if (JSON.parse(line).outcome === 'archived') archived += 1;
  },
  onProblem: (problem) => console.error(problem),
  version: 'soak',
  time,
  random: Math.random,
});
const before = heapMb();
const telling = setInterval(() => tell(), tellEveryMs);
const told = new Promise<void>((resolve) => {
  process.once('message', () => resolve());
});
await stack.discoverAll();
await whenQuiet(stack, time);
clearInterval(telling);
// Connections that nobody uses are closed after some seconds: what stays is leaked, or waits for messages.
const patience = time.monotonic() + idleWithinMs;
while (openSockets() > waitingSockets && time.monotonic() < patience) await sleep(time, tellEveryMs);
tell({ heapMb: { before, after: heapMb() }, sockets: openSockets() });
await told;
await stack.stop();
process.disconnect();

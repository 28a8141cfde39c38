/**
 * A process of a soak: the local stack under faults, which its parent kills at any moment or lets come to its end.
 * Argument: a `Job` as JSON. Tells its parent `Progress` now and then. Ends by itself once it is told to stop: if a
 * socket or a timer were left, it would not.
 */
import { createWriteStream } from 'node:fs';
import { retryTimings, timeouts } from '../../functions/limits.ts';
import { sleep, systemTime, type Time } from '../../functions/time.ts';
import type { Neighbour } from '../../local/neighbours.ts';
import { type Stack, startStack } from '../../local/stack.ts';
import { whenQuiet } from '../../local/when-quiet.ts';
import { type DroppingFront, openDroppingFront } from './dropping-front.ts';
import { keptConnectionFaults, passingFaults, s3Faults } from './faults.ts';
import { type Job, type ProcessEnd, type Progress, waitingSockets } from './job.ts';
import { checkDeadLetterAges } from './letter-check.ts';
import { LogWatch } from './log-watch.ts';
import { queueOrders } from './orders.ts';
import { checkReceipts } from './receipt-check.ts';
import { checkThaws } from './thaw.ts';
import { openTlsFront } from './tls-front.ts';
import { faultsOfTraits, type Trait, traits } from './traits.ts';

const tellEveryMs = 100;
const idleWithinMs = 30_000;
/** Nothing takes longer: what is not done by then waits for something that does not happen. */
const quietWithinMs = 180_000;
const quietWithinMsPerDocument = 100;
/** Of S3, from the first download on: longer than a document's own fault needs to become a dead letter. */
const outage = { fromMs: 1_000, toMs: 6_000 };
const timings = {
  ...retryTimings,
  minWaitMs: 100,
  maxLiveWaitMs: 1_000,
  maxWaitMs: 1_000,
  documentFaultAfterMs: 2_000,
  attemptsSpanMs: 500,
};

const job: Job = JSON.parse(process.argv[2] ?? '{}');
const { certificates } = job;
const doomed = new Map(job.doomed);
const traitOfFile = new Map(job.traits);
const log = createWriteStream(job.log, { flags: 'a' });

let pausedMs = 0;
/** A pause is time that passes while nothing is under way: no timer notices, as in a container that is frozen. */
const time: Time = { ...systemTime, monotonic: () => systemTime.monotonic() + pausedMs };
let calm = false;
/** Once calm, the draw that no fault has a share in. */
const random = () => (calm ? 1 - Number.EPSILON : Math.random());
const watch = new LogWatch(systemTime);
const counts = new Map<string, number>();
const count = (name: string) => counts.set(name, (counts.get(name) ?? 0) + 1);
/** What went wrong outside of the functions, and invocations that did not end in time. */
const problems: string[] = [];
const heapMb = () => {
  global.gc?.();
  return process.memoryUsage().heapUsed / 1e6;
};
const openSockets = () => process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length;
const tell = (end?: ProcessEnd) => {
  const faults = [...counts, ...(calm ? [] : (stack.standIn?.faults.counts() ?? []))];
  process.send?.({ archived: watch.archived, faults, end } satisfies Progress);
};

const fronts = new Map<Neighbour, DroppingFront>();
const openFront = async (neighbour: Neighbour, origin: string) => {
  const tls =
    neighbour === 'storage' && certificates
      ? await openTlsFront(origin, certificates, random, counts)
      : undefined;
  const dropNext = keptConnectionFaults(random, (drop) => count(`${neighbour} ${drop} on a kept connection`));
  const front = await openDroppingFront(tls?.origin ?? origin, { dropNext });
  fronts.set(neighbour, front);
  return {
    origin: front.origin,
    close: async () => {
      await front.close();
      await tls?.close();
    },
  };
};

let firstDownloadAt: number | undefined;
const isDown = () => {
  const ms = systemTime.monotonic() - (firstDownloadAt ?? Number.NaN);
  return !calm && ms >= outage.fromMs && ms < outage.toMs;
};
const documentOf = (key: string | undefined) => stack.standIn?.documents.get(key ?? '');
const downloadOf = (key: string | undefined): Trait['download'] => {
  firstDownloadAt ??= systemTime.monotonic();
  const name = traitOfFile.get(documentOf(key)?.fileName ?? '');
  return name && (traits[name] as Trait).download;
};

/** Many, for whatever stalls holds up its batch. */
const concurrency = { documents: 1, backfill: 16, discovery: 1, spans: 1 };
const lastingFaults = faultsOfTraits(traitOfFile, doomed);
const stack: Stack = await startStack({
  archive: job.archive,
  documents: job.documents,
  faults: [...lastingFaults, ...passingFaults()],
  s3Fault: s3Faults({
    random,
    isDown,
    bytesOf: (key) => documentOf(key)?.bytes ?? 0,
    downloadOf,
    count,
    onDrip: (key) => watch.dripBegins(key),
  }),
  openFront,
  concurrency,
  events: false,
  timings,
  timeLimits: timeouts,
  onLog: (line) => {
    log.write(`${line}\n`);
    watch.read(line);
  },
  onProblem: (problem) => problems.push(problem),
  version: 'soak',
  time,
  random: Math.random,
});
const { standIn } = stack;
if (!standIn) throw new Error('A soak needs the stand-in.');
const before = heapMb();
const telling = setInterval(() => tell(), tellEveryMs);
const told = new Promise<void>((resolve) => {
  process.once('message', () => resolve());
});

const { documents } = standIn;
const violations = watch.violations;
const quietAt = systemTime.monotonic() + quietWithinMs + documents.all().length * quietWithinMsPerDocument;
const depthUntilLate = async () => {
  // On a busy machine SQS may not answer in time.
  const depth = await stack.depth().catch(() => Number.NaN);
  if (depth !== 0 && systemTime.monotonic() > quietAt)
    throw new Error(`There is no end: ${depth} messages are left. Waiting, by code: ${watch.waiting()}`);
  return depth;
};
/** Resolves with whether nothing is left to do; otherwise that is a violation. */
const untilQuiet = () =>
  whenQuiet({ depth: depthUntilLate }, time).then(
    () => true,
    (error) => {
      violations.push(error.message);
      return false;
    },
  );

const ordinary = documents
  .all()
  .filter(({ fileName }) => !traitOfFile.has(fileName) && !doomed.has(fileName))
  .map(({ id }) => id);
const orders = await queueOrders(stack, standIn.orders, ordinary, time);
await stack.discoverAll();
const isDone = await untilQuiet();
clearInterval(telling);
watch.finish();
for (const [kind, named] of orders) {
  const found = watch.namedByMessages.get(kind);
  if (found !== named) violations.push(`a ${kind} names ${named} documents, of which ${found} were found`);
}

for (const [kind, times] of standIn.faults.counts()) counts.set(kind, times);
calm = true;
standIn.faults.clear();
standIn.faults.add(...lastingFaults.filter(({ times }) => times === undefined));
violations.push(...(await checkReceipts(job.archive, standIn, (fileName) => traitOfFile.get(fileName))));
const letters = Object.values(stack.lanes).map(({ deadLetterQueueUrl }) => deadLetterQueueUrl);
violations.push(...(await checkDeadLetterAges(stack.addresses.sqsEndpoint, letters, timings, time)));
const pause = (ms: number) => {
  pausedMs += ms;
};
if (isDone) violations.push(...(await checkThaws({ stack, fronts, watch, time, pause, untilQuiet })));
violations.push(...problems);

// Connections that nobody uses are closed after some seconds: what stays is leaked, or waits for messages.
const patience = time.monotonic() + idleWithinMs;
while (openSockets() > waitingSockets && time.monotonic() < patience) await sleep(time, tellEveryMs);
tell({
  documents: documents.all().map(({ id, fileName }) => [id, fileName]),
  violations,
  longestReceiveMs: watch.longestReceiveMs,
  heapMb: { before, after: heapMb() },
  sockets: openSockets(),
});
await told;
await stack.stop();
process.disconnect();

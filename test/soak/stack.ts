/**
 * A process of a soak: runs the local stack under faults. Its parent may kill it at any moment. Argument: a `Job` as JSON.
 * Sends `Progress` to its parent. Exits by itself after the message to stop, unless a socket or timer is still open.
 */
import { createWriteStream } from 'node:fs';
import { retryTimings, timeouts } from '../../functions/limits.ts';
import { sleep, systemTime, type Time } from '../../functions/time.ts';
import type { ServiceName } from '../../local/services.ts';
import { type Stack, startStack } from '../../local/stack.ts';
import { waitUntilIdle } from '../../local/wait-until-idle.ts';
import { type DroppingTcpProxy, openDroppingTcpProxy } from './dropping-tcp-proxy.ts';
import { reusedConnectionFaults, s3Faults, temporaryFaults } from './faults.ts';
import { type Job, maxIdleSockets, type ProcessEnd, type Progress } from './job.ts';
import { checkDeadLetterAges } from './letter-check.ts';
import { LogWatch } from './log-watch.ts';
import { queueOrders } from './orders.ts';
import { checkPauses } from './pause-check.ts';
import { checkReceipts } from './receipt-check.ts';
import { openTlsProxy } from './tls-proxy.ts';
import { faultsOfTraits, type Trait, traits } from './traits.ts';

const progressEveryMs = 100;
const idleWithinMs = 30_000;
/** Work that takes longer will never end. */
const quietWithinMs = 180_000;
const quietWithinMsPerDocument = 100;
/** Outage of S3, from the first download on: longer than a document's own fault takes to become a dead letter. */
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
const unarchivable = new Map(job.unarchivable);
const traitOfFile = new Map(job.traits);
const log = createWriteStream(job.log, { flags: 'a' });

let pausedMs = 0;
/** A pause advances the clock, but no timer, as in a paused container. */
const time: Time = { ...systemTime, monotonic: () => systemTime.monotonic() + pausedMs };
let faultsStopped = false;
/** After faults have stopped, a number for which no fault is drawn. */
const random = () => (faultsStopped ? 1 - Number.EPSILON : Math.random());
const watch = new LogWatch(systemTime);
const counts = new Map<string, number>();
const count = (name: string) => counts.set(name, (counts.get(name) ?? 0) + 1);
/** Errors outside the functions, and invocations that timed out. */
const problems: string[] = [];
const heapMb = () => {
  global.gc?.();
  return process.memoryUsage().heapUsed / 1e6;
};
const openSockets = () => process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length;
const sendProgress = (end?: ProcessEnd) => {
  const faults = [...counts, ...(faultsStopped ? [] : (stack.standIn?.faults.counts() ?? []))];
  process.send?.({ archived: watch.archived, faults, end } satisfies Progress);
};

const proxies = new Map<ServiceName, DroppingTcpProxy>();
const openProxy = async (neighbour: ServiceName, origin: string) => {
  const tls =
    neighbour === 'storage' && certificates
      ? await openTlsProxy(origin, certificates, random, counts)
      : undefined;
  const dropNext = reusedConnectionFaults(random, (drop) =>
    count(`${neighbour} ${drop} on a reused connection`),
  );
  const proxy = await openDroppingTcpProxy(tls?.origin ?? origin, { dropNext });
  proxies.set(neighbour, proxy);
  return {
    origin: proxy.origin,
    close: async () => {
      await proxy.close();
      await tls?.close();
    },
  };
};

let firstDownloadAt: number | undefined;
const isDown = () => {
  const ms = systemTime.monotonic() - (firstDownloadAt ?? Number.NaN);
  return !faultsStopped && ms >= outage.fromMs && ms < outage.toMs;
};
const documentOf = (key: string | undefined) => stack.standIn?.documents.get(key ?? '');
const downloadOf = (key: string | undefined): Trait['download'] => {
  firstDownloadAt ??= systemTime.monotonic();
  const name = traitOfFile.get(documentOf(key)?.fileName ?? '');
  return name && (traits[name] as Trait).download;
};

/** High, because a stalled document delays its batch. */
const concurrency = { documents: 1, backfill: 16, discovery: 1, spans: 1, audit: 1 };
const lastingFaults = faultsOfTraits(traitOfFile, unarchivable);
const stack: Stack = await startStack({
  archive: job.archive,
  documents: job.documents,
  faults: [...lastingFaults, ...temporaryFaults()],
  s3Fault: s3Faults({
    random,
    isDown,
    bytesOf: (key) => documentOf(key)?.bytes ?? 0,
    downloadOf,
    count,
    onDrip: (key) => watch.dripBegins(key),
  }),
  openProxy,
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
if (!standIn) throw new Error('A soak requires the Telnyx stand-in.');
const before = heapMb();
const progressTimer = setInterval(() => sendProgress(), progressEveryMs);
const stopRequested = new Promise<void>((resolve) => {
  process.once('message', () => resolve());
});

const { documents } = standIn;
const violations = watch.violations;
const quietAt = systemTime.monotonic() + quietWithinMs + documents.all().length * quietWithinMsPerDocument;
const depthBeforeDeadline = async () => {
  // On a busy machine, SQS may not respond in time.
  const depth = await stack.messageCount().catch(() => Number.NaN);
  if (depth !== 0 && systemTime.monotonic() > quietAt)
    throw new Error(`${depth} messages are left after the time limit. Waiting, by code: ${watch.waiting()}`);
  return depth;
};
/** Resolves when no work is left. If that takes too long, adds a violation and resolves with false. */
const untilQuiet = () =>
  waitUntilIdle({ messageCount: depthBeforeDeadline }, time).then(
    () => true,
    (error) => {
      violations.push(error.message);
      return false;
    },
  );

const ordinary = documents
  .all()
  .filter(({ fileName }) => !traitOfFile.has(fileName) && !unarchivable.has(fileName))
  .map(({ id }) => id);
const orders = await queueOrders(stack, standIn.orders, ordinary, time);
await stack.discoverAll();
const isDone = await untilQuiet();
clearInterval(progressTimer);
watch.finish();
for (const [kind, named] of orders) {
  const found = watch.namedByMessages.get(kind);
  if (found !== named) violations.push(`a ${kind} names ${named} documents, of which ${found} were found`);
}

for (const [kind, times] of standIn.faults.counts()) counts.set(kind, times);
faultsStopped = true;
standIn.faults.clear();
standIn.faults.add(...lastingFaults.filter(({ times }) => times === undefined));
violations.push(
  ...(await checkReceipts(job.archive, standIn, String(stack.standInKey), (fileName) =>
    traitOfFile.get(fileName),
  )),
);
violations.push(...(await checkDeadLetterAges(stack, timings, time)));
const pause = (ms: number) => {
  pausedMs += ms;
};
if (isDone) violations.push(...(await checkPauses({ stack, proxies, watch, time, pause, untilQuiet })));
violations.push(...problems);

// Unused connections close after some seconds: the rest are leaks or wait for messages.
const closeBy = time.monotonic() + idleWithinMs;
while (openSockets() > maxIdleSockets && time.monotonic() < closeBy) await sleep(time, progressEveryMs);
sendProgress({
  documents: documents.all().map(({ id, fileName }) => [id, fileName]),
  violations,
  longestReceiveMs: watch.longestReceiveMs,
  heapMb: { before, after: heapMb() },
  sockets: openSockets(),
});
await stopRequested;
await stack.stop();
process.disconnect();

/**
 * Measures live documents during a backfill, on the local stack with deployed concurrency and waits: the time from upload
 * to receipt, and the requests to Telnyx of live and low lanes.
 *
 *   node bench/backfill.ts --documents 100000 --rate 20 --live 200 --minutes 20
 *   node bench/backfill.ts --documents 0 --live 60 --minutes 10 --at-random
 *
 * Sweeps find the live documents every full minute, as deployed; with `--events`, webhooks announce them as well. Exits
 * with 1 if a live document is not archived within three minutes. Functions, queues, S3 and Telnyx share this machine.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { spanMessages } from '../cli/backfill/spans.ts';
import { concurrency, retryTimings } from '../functions/limits.ts';
import { sleep, systemTime as time } from '../functions/time.ts';
import { startStack } from '../local/stack.ts';
import { postEvent, uploadEvent } from '../local/telnyx/upload-event.ts';
import { exact, isTargetMet, spreadOf } from './figures.ts';
import { printResults } from './print.ts';

const days = 1_095;
const secondMs = 1_000;
const minuteMs = 60 * secondMs;
const dayMs = 24 * 60 * minuteMs;
const latestMs = 3 * minuteMs;
/** Also waits for late documents, to measure how late they are. */
const waitForLiveMs = 2 * latestMs;
const pollMs = 100;

const { documents, rate, live, minutes, atRandom, events } = new Command('node bench/backfill.ts')
  .description('Measure live documents during a backfill.')
  .option('--documents <number>', 'old documents, spread over three years', asNumber, 100_000)
  .option('--rate <number>', 'requests per second that Telnyx allows (default: no limit)', asNumber)
  .option('--live <number>', 'documents uploaded during the backfill', asNumber, 200)
  .option('--minutes <number>', 'period over which live documents are uploaded', asNumber, 20)
  .option('--at-random', 'upload at random times (default: evenly)')
  .option('--events', 'announce each upload with a webhook')
  .parse()
  .opts<{
    documents: number;
    rate?: number;
    live: number;
    minutes: number;
    atRandom?: boolean;
    events?: boolean;
  }>();

const uploaded: { id: string; at: number }[] = [];
const archivedAt = new Map<string, { at: number; trigger: string }>();
const sweepsCompletedAt: number[] = [];
/** Number of responses of Telnyx by second. */
const responses = { live: new Map<number, number>(), low: new Map<number, number>() };
const refusals = { live: 0, low: 0 };
/** Number of returned messages by lane and code. */
const returned = new Map<string, number>();
let backfilled = 0;
const stopping = new AbortController();

const archive = await mkdtemp(join(tmpdir(), 'bench-backfill-'));
const empty = await mkdtemp(join(tmpdir(), 'bench-backfill-'));
const stack = await startStack({
  archive,
  documents: empty,
  events: false,
  concurrency,
  rateLimit: rate === undefined ? undefined : { requests: rate, perSeconds: 1 },
  timings: retryTimings,
  onTelnyxResponse: ({ live: isLive, status }) => {
    const lane = isLive ? 'live' : 'low';
    const second = Math.floor(time.now() / secondMs);
    responses[lane].set(second, (responses[lane].get(second) ?? 0) + 1);
    if (status === 429) refusals[lane] += 1;
  },
  onLog: (line) => {
    const { outcome, lane, code, documentId, trigger, SweepsCompleted } = JSON.parse(line);
    if (SweepsCompleted) sweepsCompletedAt.push(time.now());
    if (outcome === 'waiting') {
      const why = `${lane} ${code}`;
      returned.set(why, (returned.get(why) ?? 0) + 1);
    }
    if (outcome !== 'archived') return;
    archivedAt.set(documentId, { at: time.now(), trigger });
    if (lane === 'backfill') backfilled += 1;
  },
  onProblem: (problem) => {
    // Ignore errors of invocations that are interrupted at the end.
    if (!stopping.signal.aborted) console.error(problem);
  },
  version: 'bench',
  time,
  random: Math.random,
});
const { standIn, signingKey, addresses, lanes } = stack;
if (!standIn) throw new Error('The stack has no Telnyx stand-in.');
const never = new AbortController().signal;

// Covers as many UTC days as there are spans. The newest document is one day old.
const from = (Math.floor(time.now() / dayMs) - days + 1) * dayMs;
const oldMs = time.now() - dayMs - from;
for (let number = 0; number < documents; number += 1) {
  await standIn.documents.add(`${number}.pdf`, Buffer.from(`document ${number}`), {
    createdAt: from + Math.floor(((number + 0.5) / documents) * oldMs),
  });
}

const startedAt = time.now();
const spans = documents === 0 ? [] : spanMessages({ from, to: startedAt }, new Date(startedAt).toISOString());
await stack.send(lanes.spans.queueUrl, spans, never);

const sweptMinutes: number[] = [];
const sweepEveryMinute = async () => {
  for (;;) {
    const minute = Math.ceil((time.now() + 1) / minuteMs) * minuteMs;
    await sleep(time, minute - time.now(), stopping.signal);
    const requestedAt = new Date(minute).toISOString();
    await stack.send(lanes.discovery.queueUrl, [{ v: 1, kind: 'recent', requestedAt }], never);
    sweptMinutes.push(minute);
  }
};
const sweeping = sweepEveryMinute().catch((error: unknown) => {
  if (!stopping.signal.aborted) throw error;
});
const progress = setInterval(
  () =>
    console.error(
      `${Math.round((time.now() - startedAt) / secondMs)} s: ${uploaded.filter(({ id }) => archivedAt.has(id)).length} of ${uploaded.length} live documents and ${backfilled} old ones archived, ${sweepsCompletedAt.length} sweeps`,
    ),
  minuteMs / 2,
);

const moments = Array.from(
  { length: live },
  (_, number) => (atRandom ? Math.random() : (number + 0.5) / live) * minutes * minuteMs,
).sort((a, b) => a - b);
for (const moment of moments) {
  await sleep(time, Math.max(0, startedAt + moment - time.now()));
  const name = `live ${uploaded.length}.pdf`;
  const at = time.now();
  const document = await standIn.documents.add(name, Buffer.from(name), { createdAt: at });
  uploaded.push({ id: document.id, at });
  if (events) await postEvent(uploadEvent(document, time.now()), addresses.webhookUrl, signingKey, time);
}
await sleep(time, Math.max(0, startedAt + minutes * minuteMs - time.now()));
const lastWait = time.now() + waitForLiveMs;
while (uploaded.some(({ id }) => !archivedAt.has(id)) && time.now() < lastWait) {
  await sleep(time, pollMs);
}
clearInterval(progress);
stopping.abort();
await sweeping;

const ended = time.now();
const seconds = (ended - startedAt) / secondMs;
const found = uploaded.flatMap(({ id, at }) => {
  const archived = archivedAt.get(id);
  return archived === undefined ? [] : [{ ms: archived.at - at, trigger: archived.trigger }];
});
const latencies = found.map(({ ms }) => ms / secondMs).sort((a, b) => a - b);
const percentile = (part: number) =>
  latencies[Math.min(latencies.length - 1, Math.floor(part * latencies.length))] ?? Number.NaN;
const gaps = sweepsCompletedAt.map(
  (at, index) => (at - (sweepsCompletedAt[index - 1] ?? startedAt)) / secondMs,
);
const completedByMinute = sweptMinutes.map(
  (minute) => sweepsCompletedAt.filter((at) => at >= minute && at < minute + minuteMs).length,
);
const triggers = Object.entries(Object.groupBy(found, ({ trigger }) => trigger))
  .map(([trigger, those]) => `${those?.length} ${trigger}`)
  .join(', ');
const requestsOf = (name: 'live' | 'low') => {
  const counts = [...responses[name].values()];
  const total = counts.reduce((sum, count) => sum + count, 0);
  return {
    name,
    values: {
      total: exact(total),
      'per second': exact(total / seconds),
      'busiest second': exact(Math.max(0, ...counts)),
      '429 responses': exact(refusals[name]),
    },
  };
};
const figures = [
  { name: 'Upload to receipt, median', unit: 's', value: exact(percentile(0.5)) },
  { name: 'Upload to receipt, p95', unit: 's', value: exact(percentile(0.95)) },
  {
    name: 'Upload to receipt, latest',
    unit: 's',
    value: exact(latencies.at(-1) ?? Number.NaN),
    target: { atMost: latestMs / secondMs },
  },
  {
    name: 'Live documents not archived',
    unit: '',
    value: exact(uploaded.length - found.length),
    target: { atMost: 0 },
  },
  { name: 'SweepsCompleted, by the minute', unit: '', value: spreadOf(completedByMinute) },
  { name: 'Longest time without a completed sweep', unit: 's', value: exact(Math.max(...gaps)) },
  { name: 'Old documents archived', unit: '', value: exact(backfilled) },
  { name: 'Dead letters', unit: '', value: exact(await stack.deadLetterCount()) },
];
printResults({
  figures,
  tables: [{ title: 'Requests to Telnyx', rows: [requestsOf('live'), requestsOf('low')] }],
  notes: [
    `messages returned to the queue: ${[...returned].map(([why, count]) => `${count} ${why}`).join(', ') || 'none'}`,
    `${uploaded.length} live documents in ${seconds.toFixed(0)} s, archived by: ${triggers}`,
    `${documents} old documents, ${spans.length} span messages, ${sweptMinutes.length} sweeps sent, ${rate ?? 'unlimited'} requests per second allowed`,
  ],
});
await stack.stop();
await rm(archive, { recursive: true, force: true });
await rm(empty, { recursive: true, force: true });
process.exit(figures.some((figure) => isTargetMet(figure) === false) ? 1 : 0);

function asNumber(text: string): number {
  if (/^\d{1,9}(\.\d+)?$/.test(text)) return Number(text);
  throw new InvalidArgumentError('Must be a number.');
}

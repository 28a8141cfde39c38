/**
 * Live documents while a backfill runs, on the local stack with its deployed concurrency and waits: how long do they
 * take from their upload to their receipt, and what do both lanes ask of Telnyx?
 *
 *   node bench/backfill.ts --documents 100000 --rate 20 --live 200 --minutes 20
 *   node bench/backfill.ts --documents 0 --live 60 --minutes 10 --at-random
 *
 * Sweeps find the live documents, once a minute at the full minute as deployed; with `--events` webhooks announce them,
 * too. Exits with 1 if one of them is not archived, or took longer than three minutes. All of it shares this machine:
 * functions, queues, S3 and Telnyx.
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
import { exactly, isMet, spreadOf } from './figures.ts';
import { printFindings } from './print.ts';

const days = 1_095;
const secondMs = 1_000;
const minuteMs = 60 * secondMs;
const dayMs = 24 * 60 * minuteMs;
const latestMs = 3 * minuteMs;
/** Documents that are later than they may be are waited for, to see how late. */
const waitForLiveMs = 2 * latestMs;
const lookEveryMs = 100;

const { documents, rate, live, minutes, atRandom, events } = new Command('bench/backfill')
  .option('--documents <number>', 'old documents, over three years', asNumber, 100_000)
  .option('--rate <number>', 'requests a second that Telnyx allows; default: no limit', asNumber)
  .option('--live <number>', 'documents that are uploaded meanwhile', asNumber, 200)
  .option('--minutes <number>', 'the time that the live documents are spread over', asNumber, 20)
  .option('--at-random', 'upload them at random moments; default: evenly', false)
  .option('--events', 'announce each with a webhook', false)
  .parse()
  .opts<{
    documents: number;
    rate?: number;
    live: number;
    minutes: number;
    atRandom: boolean;
    events: boolean;
  }>();

const uploaded: { id: string; at: number }[] = [];
const archivedAt = new Map<string, { at: number; trigger: string }>();
const sweepsCompletedAt: number[] = [];
/** Answers of Telnyx by the second in which they came. */
const answers = { live: new Map<number, number>(), low: new Map<number, number>() };
const refusals = { live: 0, low: 0 };
/** How many messages came back, by lane and code. */
const returned = new Map<string, number>();
let backfilled = 0;
const over = new AbortController();

const archive = await mkdtemp(join(tmpdir(), 'bench-backfill-'));
const empty = await mkdtemp(join(tmpdir(), 'bench-backfill-'));
const stack = await startStack({
  archive,
  documents: empty,
  events: false,
  concurrency,
  rateLimit: rate === undefined ? undefined : { requests: rate, perSeconds: 1 },
  timings: retryTimings,
  onTelnyxAnswer: ({ live: isLive, status }) => {
    const lane = isLive ? 'live' : 'low';
    const second = Math.floor(time.now() / secondMs);
    answers[lane].set(second, (answers[lane].get(second) ?? 0) + 1);
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
    // Invocations that are cut off at the end find no queue any more.
    if (!over.signal.aborted) console.error(problem);
  },
  version: 'bench',
  time,
  random: Math.random,
});
const { standIn, signingKey, addresses, lanes } = stack;
if (!standIn) throw new Error('The stack has no stand-in for Telnyx.');
const never = new AbortController().signal;

// As many days of UTC as there are to be spans; the newest document is a day old.
const from = (Math.floor(time.now() / dayMs) - days + 1) * dayMs;
const oldMs = time.now() - dayMs - from;
for (let number = 0; number < documents; number += 1) {
  await standIn.documents.add(`${number}.pdf`, Buffer.from(`document ${number}`), {
    createdAt: from + Math.floor(((number + 0.5) / documents) * oldMs),
  });
}

const began = time.now();
const spans = documents === 0 ? [] : spanMessages({ from, to: began }, new Date(began).toISOString());
await stack.send(lanes.spans.queueUrl, spans, never);

const sweptMinutes: number[] = [];
const sweepEveryMinute = async () => {
  for (;;) {
    const minute = Math.ceil((time.now() + 1) / minuteMs) * minuteMs;
    await sleep(time, minute - time.now(), over.signal);
    const requestedAt = new Date(minute).toISOString();
    await stack.send(lanes.discovery.queueUrl, [{ v: 1, kind: 'recent', requestedAt }], never);
    sweptMinutes.push(minute);
  }
};
const sweeping = sweepEveryMinute().catch((error: unknown) => {
  if (!over.signal.aborted) throw error;
});
const progress = setInterval(
  () =>
    console.error(
      `${Math.round((time.now() - began) / secondMs)} s: ${uploaded.filter(({ id }) => archivedAt.has(id)).length} of ${uploaded.length} live documents and ${backfilled} old ones archived, ${sweepsCompletedAt.length} sweeps`,
    ),
  minuteMs / 2,
);

const moments = Array.from(
  { length: live },
  (_, number) => (atRandom ? Math.random() : (number + 0.5) / live) * minutes * minuteMs,
).sort((a, b) => a - b);
for (const moment of moments) {
  await sleep(time, Math.max(0, began + moment - time.now()));
  const name = `live ${uploaded.length}.pdf`;
  const at = time.now();
  const document = await standIn.documents.add(name, Buffer.from(name), { createdAt: at });
  uploaded.push({ id: document.id, at });
  if (events) await postEvent(uploadEvent(document, time.now()), addresses.webhookUrl, signingKey, time);
}
await sleep(time, Math.max(0, began + minutes * minuteMs - time.now()));
const lastWait = time.now() + waitForLiveMs;
while (uploaded.some(({ id }) => !archivedAt.has(id)) && time.now() < lastWait) {
  await sleep(time, lookEveryMs);
}
clearInterval(progress);
over.abort();
await sweeping;

const ended = time.now();
const seconds = (ended - began) / secondMs;
const found = uploaded.flatMap(({ id, at }) => {
  const archived = archivedAt.get(id);
  return archived === undefined ? [] : [{ ms: archived.at - at, trigger: archived.trigger }];
});
const latencies = found.map(({ ms }) => ms / secondMs).sort((a, b) => a - b);
const percentile = (part: number) =>
  latencies[Math.min(latencies.length - 1, Math.floor(part * latencies.length))] ?? Number.NaN;
const gaps = sweepsCompletedAt.map((at, index) => (at - (sweepsCompletedAt[index - 1] ?? began)) / secondMs);
const completedByMinute = sweptMinutes.map(
  (minute) => sweepsCompletedAt.filter((at) => at >= minute && at < minute + minuteMs).length,
);
const triggers = Object.entries(Object.groupBy(found, ({ trigger }) => trigger))
  .map(([trigger, those]) => `${those?.length} ${trigger}`)
  .join(', ');
const requestsOf = (name: 'live' | 'low') => {
  const counts = [...answers[name].values()];
  const total = counts.reduce((sum, count) => sum + count, 0);
  return {
    name,
    values: {
      all: exactly(total),
      'a second': exactly(total / seconds),
      'busiest second': exactly(Math.max(0, ...counts)),
      'answered 429': exactly(refusals[name]),
    },
  };
};
const figures = [
  { name: 'Upload to receipt, median', unit: 's', value: exactly(percentile(0.5)) },
  { name: 'Upload to receipt, p95', unit: 's', value: exactly(percentile(0.95)) },
  {
    name: 'Upload to receipt, latest',
    unit: 's',
    value: exactly(latencies.at(-1) ?? Number.NaN),
    reach: { atMost: latestMs / secondMs },
  },
  {
    name: 'Live documents not archived',
    unit: '',
    value: exactly(uploaded.length - found.length),
    reach: { atMost: 0 },
  },
  { name: 'SweepsCompleted, by the minute', unit: '', value: spreadOf(completedByMinute) },
  { name: 'Longest time without a completed sweep', unit: 's', value: exactly(Math.max(...gaps)) },
  { name: 'Old documents archived', unit: '', value: exactly(backfilled) },
  { name: 'Dead letters', unit: '', value: exactly(await stack.deadLetters()) },
];
printFindings({
  figures,
  tables: [{ title: 'Requests at Telnyx', rows: [requestsOf('live'), requestsOf('low')] }],
  notes: [
    `messages that came back: ${[...returned].map(([why, count]) => `${count} ${why}`).join(', ') || 'none'}`,
    `${uploaded.length} live documents in ${seconds.toFixed(0)} s, archived by: ${triggers}`,
    `${documents} old documents, ${spans.length} span messages, ${sweptMinutes.length} sweeps sent, ${rate ?? 'any number of'} requests a second allowed`,
  ],
});
await stack.stop();
await rm(archive, { recursive: true, force: true });
await rm(empty, { recursive: true, force: true });
process.exit(figures.some((figure) => isMet(figure) === false) ? 1 : 0);

function asNumber(text: string): number {
  if (/^\d{1,9}(\.\d+)?$/.test(text)) return Number(text);
  throw new InvalidArgumentError('It must be a number.');
}

/**
 * A backfill of many documents on the local stack, while a live document comes in every two seconds: does it run to
 * the end, and do the live ones take longer? `node bench/backfill.ts [documents]`, 100,000 unless told.
 *
 * All of it shares this machine: functions, queues, S3 and Telnyx.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { spanMessages } from '../cli/spans.ts';
import { retryTimings } from '../functions/limits.ts';
import { sleep, systemTime as time } from '../functions/time.ts';
import { startStack } from '../local/stack.ts';
import { postEvent, uploadEvent } from '../local/telnyx/upload-event.ts';
import { whenQuiet } from '../local/when-quiet.ts';

const count = Number(process.argv[2] ?? 100_000);
const days = 30;
const dayMs = 24 * 3_600_000;
const liveEveryMs = 2_000;
const idleLive = 10;

const archive = await mkdtemp(join(tmpdir(), 'bench-backfill-'));
const empty = await mkdtemp(join(tmpdir(), 'bench-backfill-'));
const doneAt = new Map<string, number>();
let archived = 0;
const stack = await startStack({
  archive,
  documents: empty,
  events: false,
  timings: { ...retryTimings, leastWaitMs: 1_000, longestLiveWaitMs: 1_000, longestWaitMs: 1_000 },
  onLog: (line) => {
    const { message, outcome, documentId } = JSON.parse(line);
    if (message !== 'Done' || outcome !== 'archived') return;
    archived += 1;
    doneAt.set(documentId, time.monotonic());
  },
  onProblem: (problem) => console.error(problem),
  version: 'bench',
  time,
  random: Math.random,
});
const { standIn, signingKey, addresses, lanes } = stack;
if (!standIn) throw new Error('This is about the stand-in.');

const now = time.now();
for (let number = 0; number < count; number += 1) {
  const createdAt = now - dayMs - Math.floor((number / count) * days * dayMs);
  await standIn.documents.add(`${number}.pdf`, Buffer.from(`document ${number}`), { createdAt });
}

/** Milliseconds from the event until the receipt is there. */
const live = async (name: string): Promise<number> => {
  const document = await standIn.documents.add(name, Buffer.from(name));
  const began = time.monotonic();
  await postEvent(uploadEvent(document, time.now()), addresses.webhookUrl, signingKey, time);
  for (;;) {
    const done = doneAt.get(document.id);
    if (done !== undefined) return done - began;
    await sleep(time, 5);
  }
};

await live('the first one opens connections.pdf');
const idle: number[] = [];
for (let number = 0; number < idleLive; number += 1) idle.push(await live(`idle ${number}.pdf`));

const began = time.monotonic();
const before = archived;
const messages = spanMessages({ from: now - (days + 2) * dayMs, to: now }, new Date(now).toISOString());
await stack.send(lanes.discovery.queueUrl, messages, new AbortController().signal);
const busy: number[] = [];
let over = false;
const liveOnes = (async () => {
  for (let number = 0; !over; number += 1) {
    busy.push(await live(`live ${number}.pdf`));
    await sleep(time, liveEveryMs);
  }
})();
const said = setInterval(() => console.error(`${archived - before} of ${count}`), 15_000);
await whenQuiet(stack, time).finally(() => {
  over = true;
});
await liveOnes;
clearInterval(said);
const seconds = (time.monotonic() - began) / 1_000;

const percentile = (values: readonly number[], part: number) =>
  [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(part * values.length))] ??
  Number.NaN;
const told = (values: readonly number[]) =>
  `median ${percentile(values, 0.5).toFixed(0)} ms, p95 ${percentile(values, 0.95).toFixed(0)} ms, of ${values.length}`;
console.log(
  [
    `${archived - before - busy.length} of ${count} archived in ${seconds.toFixed(0)} s (${(count / seconds).toFixed(0)}/s), ${await stack.deadLetters()} dead letters`,
    `  ${messages.length} span messages`,
    `  live documents before: ${told(idle)}`,
    `  live documents meanwhile: ${told(busy)}`,
  ].join('\n'),
);
await stack.stop();
await rm(archive, { recursive: true, force: true });
await rm(empty, { recursive: true, force: true });
process.exit();

/** Throughput of the whole local stack from message to receipt, and the duration of each step of a document. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { retryTimings } from '../../functions/limits.ts';
import { systemTime as time } from '../../functions/time.ts';
import { startStack } from '../../local/stack.ts';
import { waitUntilIdle } from '../../local/wait-until-idle.ts';
import { type Section, type Spread, spreadOf } from '../figures.ts';
import { newDocument, piecesOf } from '../wire/contents.ts';
import { startWire } from '../wire/start.ts';
import type { Steps } from './steps.ts';

const rounds = 5;
const sizes: [name: string, bytes: number, documents: number][] = [
  ['100 kB', 100_000, 200],
  ['1 MB', 1_000_000, 60],
];

export const pipelineSection: Section = {
  name: 'pipeline',
  title: 'Whole local stack in one process: queues, functions, S3 and Telnyx',
  short: true,
  run: async ({ report }) => {
    const rates = new Map<string, number[]>();
    const steps = new Map<string, Steps[]>();
    for (let round = 0; round < rounds; round += 1) {
      report(`round ${round + 1} of ${rounds}`);
      for (const [name, bytes, documents] of sizes) {
        rates.set(name, [...(rates.get(name) ?? []), await perSecond(bytes, documents)]);
      }
    }
    for (const [name, bytes] of sizes) {
      report(`steps, ${name}`);
      steps.set(name, await stepsOf(bytes));
    }
    return {
      figures: sizes.map(([name]) => ({
        name: `Documents per second, message to receipt, ${name}`,
        unit: '',
        value: spreadOf(rates.get(name) ?? []),
      })),
      tables: [
        {
          title: 'Sequential documents, ms per step',
          rows: Object.keys(steps.get('1 MB')?.[0] ?? {}).map((step) => ({
            name: step,
            values: Object.fromEntries(
              sizes.map(([name]): [string, Spread] => [
                name,
                spreadOf((steps.get(name) ?? []).map((ms) => ms[step] ?? Number.NaN)),
              ]),
            ),
          })),
        },
      ],
      notes: ['Steps are measured with source and sink in separate processes, as in the other sections.'],
    };
  },
};

/** Documents per second of a backfill, from its start to the last receipt. */
async function perSecond(bytes: number, count: number): Promise<number> {
  const archive = await mkdtemp(join(tmpdir(), 'bench-pipeline-'));
  const empty = await mkdtemp(join(tmpdir(), 'bench-pipeline-'));
  const body = Buffer.concat([...piecesOf(bytes)]);
  let archived = 0;
  let lastAt = 0;
  const stack = await startStack({
    archive,
    documents: empty,
    events: false,
    timings: { ...retryTimings, minWaitMs: 1_000, maxLiveWaitMs: 1_000, maxWaitMs: 1_000 },
    onLog: (line) => {
      if (JSON.parse(line).outcome !== 'archived') return;
      archived += 1;
      lastAt = time.monotonic();
    },
    onProblem: (problem) => console.error(problem),
    version: 'bench',
    time,
    random: Math.random,
  });
  try {
    for (let number = 0; number < count; number += 1) {
      // Make each document different.
      body.writeUInt32BE(number);
      await stack.standIn?.documents.add(`${number}.pdf`, Buffer.from(body));
    }
    const startedAt = time.monotonic();
    await stack.discoverAll();
    await waitUntilIdle(stack, time);
    if (archived !== count) throw new Error(`Only ${archived} of ${count} documents were archived.`);
    return count / ((lastAt - startedAt) / 1_000);
  } finally {
    await stack.stop();
    for (const folder of [archive, empty]) await rm(folder, { recursive: true, force: true });
  }
}

async function stepsOf(bytes: number): Promise<Steps[]> {
  const wire = await startWire();
  const child = fork(new URL('steps.ts', import.meta.url));
  try {
    child.send({ source: wire.source.origin, sink: wire.sink.origin });
    const measured: Steps[] = [];
    for (let round = 0; round <= rounds; round += 1) {
      child.send(Array.from({ length: 40 }, () => newDocument(bytes)));
      const [steps] = (await once(child, 'message')) as [Steps];
      if (round > 0) measured.push(steps);
    }
    return measured;
  } finally {
    child.disconnect();
    wire.close();
  }
}

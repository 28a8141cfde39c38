/** The webhook under load, beside a server that answers 200 and does nothing. */
import { type ChildProcess, fork } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { sleep, systemTime as time } from '../../functions/time.ts';
import { createSigningKey, signedHeaders } from '../../local/telnyx/signing.ts';
import { exactly, type Findings, ratioOf, type Section, spreadOf } from '../figures.ts';
import type { Setup } from './server.ts';

const rounds = 5;
/** Of the full load: how many are under way at once, and how many there are in all. */
const atOnce = 32;
const burst = 1_000;
/** Of the steady load. */
const perSecond = 300;

interface Server {
  name: string;
  child: ChildProcess;
  url: string;
}

interface Event {
  body: Buffer;
  headers: Record<string, string>;
}

interface Took {
  perSecond: number;
  cpuMs: number;
}

export const receiving: Section = {
  name: 'webhook',
  title: `The webhook: verified and queued, beside a server that answers 200 and does nothing`,
  short: true,
  run: async ({ full, say }) => {
    const key = createSigningKey();
    const queue = await start('queue.ts');
    const setup: Setup = { queueOrigin: queue.url, publicKey: key.publicKey };
    const webhook = await start('server.ts', 'webhook', setup);
    const bare = await start('server.ts', 'bare', setup);
    const agent = new Agent({ keepAlive: true, maxSockets: 2 * atOnce });
    const events = () => Array.from({ length: burst }, () => newEvent(key));
    try {
      const took = new Map<Server, Took[]>();
      let accepted = 0;
      for (let round = 0; round <= rounds; round += 1) {
        say(`as many as there can be, round ${round} of ${rounds}`);
        for (const server of round % 2 === 0 ? [webhook, bare] : [bare, webhook]) {
          const result = await sendAll(server, events(), agent);
          if (server === webhook) accepted += burst;
          if (round > 0) took.set(server, [...(took.get(server) ?? []), result]);
        }
      }
      const seconds = full ? 30 : 10;
      say(`${perSecond} a second for ${seconds} s`);
      const steady = new Map<Server, number[]>();
      for (const server of [bare, webhook])
        steady.set(server, await sendSteadily(server, seconds, () => newEvent(key), agent));
      accepted += perSecond * seconds;

      queue.child.send('count');
      const [queued] = await once(queue.child, 'message');
      if (queued !== accepted)
        throw new Error(`${accepted} documents were accepted, ${queued} are in the queue.`);
      return findings(webhook, bare, took, steady);
    } finally {
      agent.destroy();
      for (const { child } of [queue, webhook, bare]) child.disconnect();
    }
  },
};

function findings(
  webhook: Server,
  bare: Server,
  took: Map<Server, Took[]>,
  steady: Map<Server, number[]>,
): Findings {
  const rate = (server: Server) => (took.get(server) ?? []).map((one) => one.perSecond);
  const cpu = (server: Server) => (took.get(server) ?? []).map((one) => one.cpuMs);
  const quantile = (server: Server, part: number) => {
    const sorted = (steady.get(server) ?? []).toSorted((a, b) => a - b);
    return exactly(sorted[Math.floor(part * (sorted.length - 1))] ?? Number.NaN);
  };
  return {
    figures: [
      { name: 'Verified events per second, one process', unit: '', value: spreadOf(rate(webhook)) },
      { name: 'The same against a bare server', unit: '×', value: ratioOf(rate(webhook), rate(bare)) },
      {
        name: `Answered at ${perSecond} a second, p99`,
        unit: 'ms',
        value: quantile(webhook, 0.99),
        reach: { atMost: 20 },
      },
    ],
    tables: [
      {
        title: 'Server',
        rows: [webhook, bare].map((server) => ({
          name: server.name,
          values: {
            'events/s': spreadOf(rate(server)),
            'CPU ms per event': spreadOf(cpu(server)),
            [`p50 ms at ${perSecond}/s`]: quantile(server, 0.5),
            [`p99 ms at ${perSecond}/s`]: quantile(server, 0.99),
          },
        })),
      },
    ],
    notes: ['Every event that was answered with 200 stood in the queue.'],
  };
}

async function start(file: string, name = 'queue', setup?: Setup): Promise<Server> {
  const child = fork(new URL(file, import.meta.url), [name]);
  if (setup) child.send(setup);
  const [url] = (await once(child, 'message')) as [string];
  return { name, child, url };
}

/** A genuine event, about a document of its own. */
function newEvent(key: ReturnType<typeof createSigningKey>): Event {
  const data = {
    record_type: 'event',
    event_type: 'document.uploaded',
    id: randomUUID(),
    occurred_at: new Date(time.now()).toISOString(),
    payload: { record_type: 'document', id: randomUUID() },
  };
  const body = Buffer.from(JSON.stringify({ data }));
  return { body, headers: signedHeaders(body, time.now() / 1_000, key) };
}

/** One after the other on each of so many lines. */
async function sendAll({ child, url }: Server, events: readonly Event[], agent: Agent): Promise<Took> {
  await cpuOf(child);
  const rest = events.values();
  const began = time.monotonic();
  const line = async () => {
    for (const event of rest) await post(url, event, agent);
  };
  await Promise.all(Array.from({ length: atOnce }, line));
  const seconds = (time.monotonic() - began) / 1_000;
  return { perSecond: events.length / seconds, cpuMs: (await cpuOf(child)) / events.length };
}

/** What is due by the clock is sent, however slowly the answers come. Milliseconds that each answer took. */
async function sendSteadily(
  { url }: Server,
  seconds: number,
  next: () => Event,
  agent: Agent,
): Promise<number[]> {
  const answers: Promise<number>[] = [];
  const began = time.monotonic();
  for (const total = perSecond * seconds; answers.length < total; await sleep(time, 5)) {
    const due = Math.min(total, Math.floor(((time.monotonic() - began) / 1_000) * perSecond));
    while (answers.length < due) answers.push(post(url, next(), agent));
  }
  return await Promise.all(answers);
}

/** CPU milliseconds since the last call. */
async function cpuOf(child: ChildProcess): Promise<number> {
  child.send('cpu');
  const [ms] = (await once(child, 'message')) as [number];
  return ms;
}

/** Milliseconds until the whole answer was there. @throws Error where it is another than 200 */
function post(url: string, { body, headers }: Event, agent: Agent): Promise<number> {
  const began = time.monotonic();
  return new Promise((resolve, reject) => {
    const call = request(url, { method: 'POST', headers, agent }, (response) => {
      response.resume().on('end', () => {
        if (response.statusCode === 200) resolve(time.monotonic() - began);
        else reject(new Error(`An event was answered with ${response.statusCode}.`));
      });
    });
    call.on('error', reject).end(body);
  });
}

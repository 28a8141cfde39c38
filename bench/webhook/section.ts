/** Load test of the webhook, compared to a server that only returns 200. */
import { type ChildProcess, fork } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { sleep, systemTime as time } from '../../functions/time.ts';
import { createSigningKey, signedHeaders } from '../../local/telnyx/signing.ts';
import { exact, ratioOf, type Section, type SectionResult, spreadOf } from '../figures.ts';
import type { Setup } from './server.ts';

const rounds = 5;
/** Maximum load: concurrent requests, and requests per round. */
const atOnce = 32;
const burst = 1_000;
/** Steady load, in requests per second. */
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

interface Measurement {
  perSecond: number;
  cpuMs: number;
}

export const webhookSection: Section = {
  name: 'webhook',
  title: `Webhook: verified and queued events, compared to a server that only returns 200`,
  short: true,
  run: async ({ full, report }) => {
    const key = createSigningKey();
    const queue = await start('queue.ts');
    const setup: Setup = { queueOrigin: queue.url, publicKey: key.publicKey };
    const webhook = await start('server.ts', 'webhook', setup);
    const bare = await start('server.ts', 'bare', setup);
    const agent = new Agent({ keepAlive: true, maxSockets: 2 * atOnce });
    const events = () => Array.from({ length: burst }, () => newEvent(key));
    try {
      const measurement = new Map<Server, Measurement[]>();
      let accepted = 0;
      for (let round = 0; round <= rounds; round += 1) {
        report(`maximum load, round ${round} of ${rounds}`);
        for (const server of round % 2 === 0 ? [webhook, bare] : [bare, webhook]) {
          const result = await sendAll(server, events(), agent);
          if (server === webhook) accepted += burst;
          if (round > 0) measurement.set(server, [...(measurement.get(server) ?? []), result]);
        }
      }
      const seconds = full ? 30 : 10;
      report(`${perSecond} a second for ${seconds} s`);
      const steady = new Map<Server, number[]>();
      for (const server of [bare, webhook])
        steady.set(server, await sendSteadily(server, seconds, () => newEvent(key), agent));
      accepted += perSecond * seconds;

      queue.child.send('count');
      const [queued] = await once(queue.child, 'message');
      if (queued !== accepted)
        throw new Error(`${accepted} documents were accepted, but ${queued} are in the queue.`);
      return result(webhook, bare, measurement, steady);
    } finally {
      agent.destroy();
      for (const { child } of [queue, webhook, bare]) child.disconnect();
    }
  },
};

function result(
  webhook: Server,
  bare: Server,
  measurement: Map<Server, Measurement[]>,
  steady: Map<Server, number[]>,
): SectionResult {
  const rate = (server: Server) => (measurement.get(server) ?? []).map((one) => one.perSecond);
  const cpu = (server: Server) => (measurement.get(server) ?? []).map((one) => one.cpuMs);
  const quantile = (server: Server, part: number) => {
    const sorted = (steady.get(server) ?? []).toSorted((a, b) => a - b);
    return exact(sorted[Math.floor(part * (sorted.length - 1))] ?? Number.NaN);
  };
  return {
    figures: [
      { name: 'Verified events per second, one process', unit: '', value: spreadOf(rate(webhook)) },
      {
        name: 'Events per second relative to a bare server',
        unit: '×',
        value: ratioOf(rate(webhook), rate(bare)),
      },
      {
        name: `Response time at ${perSecond} events per second, p99`,
        unit: 'ms',
        value: quantile(webhook, 0.99),
        target: { atMost: 20 },
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
    notes: ['Every event with response 200 was in the queue.'],
  };
}

async function start(file: string, name = 'queue', setup?: Setup): Promise<Server> {
  const child = fork(new URL(file, import.meta.url), [name]);
  if (setup) child.send(setup);
  const [url] = (await once(child, 'message')) as [string];
  return { name, child, url };
}

/** Creates a signed event for a new document. */
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

/** Sends all events with `atOnce` concurrent requests. */
async function sendAll({ child, url }: Server, events: readonly Event[], agent: Agent): Promise<Measurement> {
  await cpuOf(child);
  const rest = events.values();
  const startedAt = time.monotonic();
  const sendNext = async () => {
    for (const event of rest) await post(url, event, agent);
  };
  await Promise.all(Array.from({ length: atOnce }, sendNext));
  const seconds = (time.monotonic() - startedAt) / 1_000;
  return { perSecond: events.length / seconds, cpuMs: (await cpuOf(child)) / events.length };
}

/** Sends at a fixed rate, independent of response times. @returns response times in milliseconds */
async function sendSteadily(
  { url }: Server,
  seconds: number,
  next: () => Event,
  agent: Agent,
): Promise<number[]> {
  const responseTimes: Promise<number>[] = [];
  const startedAt = time.monotonic();
  for (const total = perSecond * seconds; responseTimes.length < total; await sleep(time, 5)) {
    const due = Math.min(total, Math.floor(((time.monotonic() - startedAt) / 1_000) * perSecond));
    while (responseTimes.length < due) responseTimes.push(post(url, next(), agent));
  }
  return await Promise.all(responseTimes);
}

/** CPU milliseconds since the last call. */
async function cpuOf(child: ChildProcess): Promise<number> {
  child.send('cpu');
  const [ms] = (await once(child, 'message')) as [number];
  return ms;
}

/** @returns milliseconds until the response was complete @throws Error if the status is not 200 */
function post(url: string, { body, headers }: Event, agent: Agent): Promise<number> {
  const startedAt = time.monotonic();
  return new Promise((resolve, reject) => {
    const call = request(url, { method: 'POST', headers, agent }, (response) => {
      response.resume().on('end', () => {
        if (response.statusCode === 200) resolve(time.monotonic() - startedAt);
        else reject(new Error(`The response to an event was ${response.statusCode}.`));
      });
    });
    call.on('error', reject).end(body);
  });
}

/**
 * Guarantees about keep-alive connections, each as a scenario over real sockets, and bugs that remove the guards from
 * `functions/`, each with the scenario that detects it.
 */
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type RequestListener, request } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo, Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { SendMessageCommand } from '@aws-sdk/client-sqs';
import { onTestFinished } from 'vitest';
import { type HttpGet, readBody } from '../../functions/http.ts';
import { calls, concurrency } from '../../functions/limits.ts';
import { type ConnectedFunctions, startWarm } from '../archive/warm-archive.ts';
import { sha256, someBytes } from '../archive/world.ts';
import { startDroppingProxy } from '../dropping-proxy.ts';
import type { SeededBug } from '../simulation/seeded-bugs.ts';
import type { Drop } from './dropping-tcp-proxy.ts';
import { makeCertificates } from './tls-proxy.ts';

const never = new AbortController().signal;
const anHour = 3_600_000;
const version = '0.0.0-test';
/** Timeout of an invocation that archives up to ten documents. */
const timeLimitMs = 7_000;
/** Timeout of a local request. */
const requestTimeoutMs = 2_000;

/** Resolves with the problems found. */
type Scenario = (functions: ConnectedFunctions) => Promise<string[]>;

export const scenarios = {
  'archives a batch at the first attempt after all connections were reset': async (functions) => {
    const { add, archive, drop, lines } = await startWarm({ functions, timeLimitMs });
    const ids = await Promise.all(Array.from({ length: concurrency.batchSize }, () => add()));
    drop('reset');
    const failed = await archive(...ids);
    return [
      ...failed.map(({ itemIdentifier }) => `${itemIdentifier} failed`),
      ...lines.filter((line) => line.includes('Trying again')),
    ];
  },

  'uses no connection from before a pause': async (functions) => {
    const { add, archive, drop, pause, usedAfterDrop } = await startWarm({ functions, timeLimitMs });
    const id = await add();
    drop('silence');
    pause(anHour);
    const failed = await archive(id);
    const used = Object.entries(usedAfterDrop()).filter(([, count]) => count > 0);
    return [
      ...failed.map(({ itemIdentifier }) => `${itemIdentifier} failed`),
      ...used.map(([neighbour]) => `a connection to ${neighbour} was used`),
    ];
  },

  'does not send an upload twice': async (functions) => {
    const { bucket, drop, proxies } = await startWarm({ functions, timeLimitMs });
    const bytes = someBytes(20_000);
    drop('reset');
    const { connections } = proxies.bucket.seen;
    const upload = bucket.putOnce(
      {
        key: 'documents/one',
        body: Readable.from([bytes]),
        bytes: bytes.length,
        sha256: sha256(bytes),
        contentType: 'text/plain',
      },
      AbortSignal.timeout(requestTimeoutMs),
    );
    const isStored = await upload.then(
      () => true,
      () => false,
    );
    return [
      ...(isStored ? ['it succeeded'] : []),
      ...(proxies.bucket.seen.connections === connections ? [] : ['it was sent again']),
    ];
  },

  'does not repeat a request that failed on a new connection': async (functions) => {
    let requests = 0;
    const { get } = await startServer(functions, ({ socket }) => {
      requests += 1;
      socket.resetAndDestroy();
    });
    await get().catch(() => undefined);
    return requests === 1 ? [] : [`${requests} requests`];
  },

  'does not repeat a request after its abort signal has fired': async (functions) => {
    const { proxy, get, agents } = await startServer(functions, respondYes);
    await get();
    proxy.drop('silence');
    const abort = new AbortController();
    let sent = 0;
    const send = () => {
      sent += 1;
      return new Promise((resolve, reject) => {
        const options = { agent: agents.http, signal: abort.signal };
        request(proxy.origin, options, resolve)
          .on('error', reject)
          .end(() => abort.abort());
      });
    };
    await functions.retryOnFreshConnection(send, abort.signal).catch(() => undefined);
    return sent === 1 ? [] : [`${sent} requests`];
  },

  'keeps a connection that is in use': async (functions) => {
    const { proxy, get, pause } = await startServer(functions, respondYes);
    for (let call = 0; call < 5; call += 1) {
      await get();
      pause(calls.socketIdleMs - 1_000);
    }
    return proxy.seen.connections === 1 ? [] : [`${proxy.seen.connections} connections`];
  },

  'reaches SQS at the first attempt after all connections were reset': async (functions) => {
    const server = createServer((message, response) => {
      message.resume().on('end', () => {
        response.setHeader('content-type', 'application/x-amz-json-1.0');
        response.end('{"MessageId":"1","MD5OfMessageBody":"9dd4e461268c8034f5c8564e155c67a6"}');
      });
    });
    const proxy = await startDroppingProxy(`http://127.0.0.1:${await listen(server)}`, 5);
    const client = functions.createSqsClient({
      region: 'us-east-1',
      credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
      endpoint: proxy.origin,
      maxAttempts: 1,
    });
    onTestFinished(() => client.destroy());
    const send = () =>
      client.send(new SendMessageCommand({ QueueUrl: `${proxy.origin}/0/q`, MessageBody: 'x' }));
    await Promise.all(Array.from({ length: 5 }, send));
    proxy.drop('reset');
    return send().then(
      () => [],
      (error) => [String(error)],
    );
  },

  'reaches Telnyx over TLS after a reset and after a pause': (functions) =>
    overTls((_origin, monotonic) =>
      functions.createHttpGet(functions.createAgents(undefined, monotonic), version),
    ),

  'reaches the storage over TLS after a reset and after a pause': (functions) =>
    overTls((origin, monotonic) =>
      functions.createGuardedHttpGet({ hosts: [], trustedOrigin: origin }, version, monotonic),
    ),
} satisfies Record<string, Scenario>;

export type ScenarioName = keyof typeof scenarios;

const respondYes: RequestListener = (_request, response) => response.end('yes');

/** A server behind a proxy, requested with the agents for Telnyx. */
async function startServer(functions: ConnectedFunctions, answer: RequestListener) {
  const proxy = await startDroppingProxy(`http://127.0.0.1:${await listen(createServer(answer))}`);
  let paused = 0;
  const agents = functions.createAgents(undefined, () => performance.now() + paused);
  onTestFinished(() => agents.http.destroy());
  return {
    proxy,
    agents,
    get: getter(functions.createHttpGet(agents, version), proxy.origin),
    pause: (ms: number) => {
      paused += ms;
    },
  };
}

async function overTls(create: (origin: string, monotonic: () => number) => HttpGet): Promise<string[]> {
  const folder = await mkdtemp(join(tmpdir(), 'socket-guards-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const certificates = makeCertificates(folder);
  if (!certificates) throw new Error('This test requires openssl.');
  const cert = readFileSync(certificates.trusted.certificate, 'utf8');
  setDefaultCACertificates([cert]);
  onTestFinished(() => setDefaultCACertificates(getCACertificates('bundled')));
  const server = createHttpsServer({ key: readFileSync(certificates.trusted.key), cert }, respondYes);
  const proxy = await startDroppingProxy(`https://127.0.0.1:${await listen(server)}`, 5);
  let paused = 0;
  const get = getter(
    create(proxy.origin, () => performance.now() + paused),
    proxy.origin,
  );
  await Promise.all(Array.from({ length: 5 }, () => get()));

  const problems: string[] = [];
  const getAfter = async (how: Drop) => {
    await get(AbortSignal.timeout(requestTimeoutMs)).catch((error) =>
      problems.push(`after ${how}: ${error}`),
    );
  };
  proxy.drop('reset');
  await getAfter('reset');
  const { usedAfterDrop } = proxy.seen;
  proxy.drop('silence');
  paused = anHour;
  await getAfter('silence');
  if (proxy.seen.usedAfterDrop > usedAfterDrop) problems.push('a connection was used after a pause');
  return problems;
}

function getter(httpGet: HttpGet, origin: string) {
  return async (signal: AbortSignal = never) => {
    const { body } = await httpGet(new URL(origin), { headers: {}, signal });
    return readBody(body, 1_000);
  };
}

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}

function bug(
  name: string,
  detectedBy: ScenarioName,
  file: string,
  fragment: string,
  replacement: string,
): SeededBug & { detectedBy: ScenarioName } {
  return { name, edits: [{ file, fragment, replacement }], detectedBy };
}

const afterReset = 'archives a batch at the first attempt after all connections were reset';
const afterPause = 'uses no connection from before a pause';

export const socketBugs = [
  bug(
    'a connection that was idle for long is reused',
    afterPause,
    'connections.ts',
    '    dropIdle((socket) => now - (idleSince.get(socket) as number) > calls.socketIdleMs);\n',
    '',
  ),
  bug(
    'the idle time of a connection is always 0',
    afterPause,
    'connections.ts',
    'now - (idleSince.get(socket) as number)',
    'now - now',
  ),
  bug(
    'other idle connections are kept after a failure',
    afterReset,
    'connections.ts',
    '        dropIdle(() => true);\n',
    '',
  ),
  bug(
    'a request that failed on a reused connection is not repeated',
    afterReset,
    'connections.ts',
    'if (!repeatable) throw error;',
    'throw error;',
  ),
  bug(
    'failures on reused connections are not recorded',
    afterReset,
    'connections.ts',
    '        failuresOnReusedSockets.add(error);\n',
    '',
  ),
  bug(
    'requests that failed on new connections are repeated',
    'does not repeat a request that failed on a new connection',
    'connections.ts',
    '      if (!idleSince.has(socket)) return;\n',
    '',
  ),
  bug(
    'a request is repeated after its abort signal has fired',
    'does not repeat a request after its abort signal has fired',
    'connections.ts',
    ' && !signal?.aborted',
    '',
  ),
  bug(
    'idle time is measured from the opening of a connection',
    'keeps a connection that is in use',
    'connections.ts',
    "agent.on('free', (socket: Duplex) => idleSince.set(socket, monotonic()));",
    "agent.on('free', (socket: Duplex) => idleSince.has(socket) || idleSince.set(socket, monotonic()));",
  ),
  bug(
    'HTTPS agents reuse stale connections',
    'reaches Telnyx over TLS after a reset and after a pause',
    'connections.ts',
    'https: dropStaleSockets(new HttpsAgent(options), monotonic),',
    'https: new HttpsAgent(options),',
  ),
  bug(
    'HTTP agents reuse stale connections',
    afterPause,
    'connections.ts',
    'http: dropStaleSockets(new HttpAgent(options), monotonic),',
    'http: new HttpAgent(options),',
  ),
  bug(
    'a GET request is not repeated',
    afterReset,
    'http.ts',
    'return retryOnFreshConnection(() => get(agents, url, { ...options, headers }), options.signal);',
    'return get(agents, url, { ...options, headers });',
  ),
  bug(
    'the agent of the storage reuses stale connections',
    'reaches the storage over TLS after a reset and after a pause',
    'archive/download.ts',
    'dropStaleSockets(new RequestFilteringHttpsAgent({ keepAlive: true, allowPrivateIPAddress }), monotonic)',
    'new RequestFilteringHttpsAgent({ keepAlive: true, allowPrivateIPAddress })',
  ),
  bug(
    'a request to AWS is not repeated',
    'reaches SQS at the first attempt after all connections were reset',
    'aws-requests.ts',
    'request.body instanceof Readable ? send() : retryOnFreshConnection(send, options?.abortSignal)',
    'request.body instanceof Readable ? send() : send()',
  ),
  bug(
    'a streamed upload is sent again',
    'does not send an upload twice',
    'aws-requests.ts',
    'request.body instanceof Readable ? send() : ',
    '',
  ),
] as const satisfies readonly (SeededBug & { detectedBy: ScenarioName })[];

/** Keep-alive agents over real connections, which are dropped while they are idle. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo, Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { GetSecretValueCommand } from '@aws-sdk/client-secrets-manager';
import { SendMessageCommand } from '@aws-sdk/client-sqs';
import { RequestFilteringHttpsAgent } from 'request-filtering-agent';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { createGuardedHttpGet } from '../functions/archive/download.ts';
import { type Agents, createAgents, dropStaleSockets } from '../functions/connections.ts';
import { createHttpGet, type HttpGet, readBody } from '../functions/http.ts';
import { calls } from '../functions/limits.ts';
import { createSqsClient } from '../functions/queue/sqs-client.ts';
import { createSecretsClient } from '../functions/telnyx/secret.ts';
import { startDroppingProxy } from './dropping-proxy.ts';
import { makeCertificates } from './soak/tls-proxy.ts';

const never = new AbortController().signal;
const aws = { region: 'us-east-1', credentials: { accessKeyId: 'a', secretAccessKey: 'b' } };

function manualClock() {
  let now = 0;
  return {
    monotonic: () => now,
    advance: (ms: number) => {
      now += ms;
    },
  };
}

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}

/** A server behind a proxy that drops connections. */
async function startServer(answer: RequestListener, gather = 0) {
  const port = await listen(createServer(answer));
  return startDroppingProxy(`http://127.0.0.1:${port}`, gather);
}

function getter(agents: Agents, origin: string) {
  onTestFinished(() => {
    agents.http?.destroy();
    agents.https.destroy();
  });
  return bodyGetter(createHttpGet(agents, '1.2.3'), origin);
}

function bodyGetter(httpGet: HttpGet, origin: string) {
  return async (signal = never) => {
    const { body } = await httpGet(new URL(origin), { headers: {}, signal });
    return String(await readBody(body, 1_000));
  };
}

/** Calls `call` `count` times at once. */
function many<Result>(count: number, call: () => Promise<Result>): Promise<Result[]> {
  return Promise.all(Array.from({ length: count }, () => call()));
}

describe('an idle connection', () => {
  it('is reused within the time limit, and never after a longer pause', async () => {
    const proxy = await startServer((_request, response) => response.end('yes'));
    const clock = manualClock();
    const get = getter(createAgents(undefined, clock.monotonic), proxy.origin);

    await get();
    clock.advance(calls.socketIdleMs);
    await get();
    expect(proxy.seen.connections).toBe(1);

    clock.advance(calls.socketIdleMs + 1);
    await get();
    expect(proxy.seen.connections).toBe(2);
    await expect.poll(proxy.openConnections).toBe(1);
  });

  it('is reused as long as its last use, not its opening, is within the time limit', async () => {
    const proxy = await startServer((_request, response) => response.end('yes'));
    const clock = manualClock();
    const get = getter(createAgents(undefined, clock.monotonic), proxy.origin);

    for (let call = 0; call < 5; call += 1) {
      await get();
      clock.advance(calls.socketIdleMs - 1);
    }

    expect(proxy.seen.connections).toBe(1);
  });

  it('is closed after a pause even if the next request goes to another origin', async () => {
    const one = await startServer((_request, response) => response.end('yes'), 3);
    const other = await startServer((_request, response) => response.end('yes'));
    const clock = manualClock();
    const agents = createAgents(undefined, clock.monotonic);
    await many(3, getter(agents, one.origin));

    clock.advance(calls.socketIdleMs + 1);
    await getter(agents, other.origin)();

    await expect.poll(one.openConnections).toBe(0);
  });
});

describe('a request that fails on a reused connection', () => {
  it('is repeated at once on a fresh connection, and all other idle connections are closed', async () => {
    const proxy = await startServer((_request, response) => response.end('yes'), 10);
    const get = getter(createAgents(), proxy.origin);
    await many(10, get);

    proxy.drop('reset');

    expect(await get()).toBe('yes');
    expect(proxy.seen).toEqual({ connections: 11, usedAfterDrop: 1 });
    await expect.poll(proxy.openConnections).toBe(1);
  });

  it('is repeated on a fresh connection even if all connections of the pool fail at the same time', async () => {
    const proxy = await startServer((_request, response) => response.end('yes'), 5);
    const get = getter(createAgents(5), proxy.origin);
    await many(5, get);

    proxy.drop('reset');

    expect(await many(12, get)).toEqual(Array(12).fill('yes'));
    expect(proxy.seen.usedAfterDrop).toBeLessThanOrEqual(5);
  });

  it('is not repeated more than once', async () => {
    let requests = 0;
    const proxy = await startServer((_request, response) => {
      requests += 1;
      if (requests === 1) response.end('yes');
      else response.socket?.resetAndDestroy();
    });
    const get = getter(createAgents(), proxy.origin);
    await get();

    await expect(get()).rejects.toHaveProperty('code', 'ECONNRESET');

    expect(requests).toBe(3);
  });

  it('is not repeated after its signal has aborted, but all other idle connections are closed', async () => {
    const proxy = await startServer((_request, response) => response.end('yes'), 10);
    const get = getter(createAgents(), proxy.origin);
    await many(10, get);
    proxy.drop('silence');
    const deadline = new AbortController();

    const response = get(deadline.signal);
    await expect.poll(() => proxy.seen.usedAfterDrop).toBe(1);
    deadline.abort();

    await expect(response).rejects.toHaveProperty('name', 'AbortError');
    await expect.poll(proxy.openConnections).toBe(0);
    expect(proxy.seen.connections).toBe(10);
    expect(await get()).toBe('yes');
  });
});

it('does not repeat a request that fails on a fresh connection', async () => {
  let requests = 0;
  const proxy = await startServer((_request, response) => {
    requests += 1;
    response.socket?.resetAndDestroy();
  });

  await expect(getter(createAgents(), proxy.origin)()).rejects.toHaveProperty('code', 'ECONNRESET');

  expect(requests).toBe(1);
});

describe('connections over TLS', () => {
  const folder = mkdtempSync(join(tmpdir(), 'connections-test-'));
  const certificates = makeCertificates(folder);
  const read = (path: string | undefined) =>
    readFileSync(path ?? expect.unreachable('openssl is not installed'));
  const key = read(certificates?.trusted.key);
  const cert = String(read(certificates?.trusted.certificate));
  rmSync(folder, { recursive: true });
  beforeAll(() => setDefaultCACertificates([cert]));
  afterAll(() => setDefaultCACertificates(getCACertificates('bundled')));

  it.each<[string, (origin: string, monotonic: () => number) => HttpGet]>([
    ['Telnyx', (_origin, monotonic) => createHttpGet(createAgents(undefined, monotonic), '1.2.3')],
    [
      'the storage',
      (origin, monotonic) => createGuardedHttpGet({ hosts: [], trustedOrigin: origin }, '1.2.3', monotonic),
    ],
  ])('to %s are dropped and replaced in the same way', async (_service, create) => {
    const server = createHttpsServer({ key, cert }, (_request, response) => response.end('yes'));
    const proxy = await startDroppingProxy(`http://127.0.0.1:${await listen(server)}`, 5);
    const clock = manualClock();
    const origin = proxy.origin.replace('http:', 'https:');
    const get = bodyGetter(create(origin, clock.monotonic), origin);
    await many(5, get);

    proxy.drop('reset');
    expect(await get()).toBe('yes');
    expect(proxy.seen).toEqual({ connections: 6, usedAfterDrop: 1 });

    proxy.drop('silence');
    clock.advance(calls.socketIdleMs + 1);
    expect(await get()).toBe('yes');
    expect(proxy.seen).toEqual({ connections: 7, usedAfterDrop: 1 });
  });

  it('are not opened to a private address by the agent that checks addresses', async () => {
    const server = createHttpsServer({ key, cert }, (_request, response) => response.end('yes'));
    const proxy = await startDroppingProxy(`http://127.0.0.1:${await listen(server)}`);
    const agents = { https: dropStaleSockets(new RequestFilteringHttpsAgent({ keepAlive: true })) };
    const { port } = new URL(proxy.origin);

    for (const host of ['127.0.0.1', 'localhost', '[::1]', '2130706433']) {
      await expect(getter(agents, `https://${host}:${port}`)()).rejects.toThrow('is not allowed');
    }

    expect(proxy.seen.connections).toBe(0);
  });
});

describe('a client of the AWS SDK', () => {
  const sqs = (origin: string, monotonic?: () => number) => {
    const client = createSqsClient({ ...aws, endpoint: origin, maxAttempts: 1 }, monotonic);
    onTestFinished(() => client.destroy());
    return () => client.send(new SendMessageCommand({ QueueUrl: `${origin}/0/q`, MessageBody: 'x' }));
  };
  const secrets = (origin: string, monotonic?: () => number) => {
    const client = createSecretsClient({ ...aws, endpoint: origin, maxAttempts: 1 }, monotonic);
    onTestFinished(() => client.destroy());
    return () => client.send(new GetSecretValueCommand({ SecretId: 'key' }));
  };
  const respond: RequestListener = (request, response) => {
    request.resume().on('end', () => {
      response.setHeader('content-type', 'application/x-amz-json-1.0');
      response.end(
        '{"MessageId":"1","MD5OfMessageBody":"9dd4e461268c8034f5c8564e155c67a6","SecretString":"s"}',
      );
    });
  };

  it.each([
    ['SQS', sqs],
    ['Secrets Manager', secrets],
  ])(
    'for %s gets a response after a single dropped connection, without its own retries',
    async (_name, client) => {
      const proxy = await startServer(respond, 10);
      const send = client(proxy.origin);
      await many(10, send);

      proxy.drop('reset');

      expect(await send()).toMatchObject({ $metadata: { attempts: 1 } });
      expect(proxy.seen).toEqual({ connections: 11, usedAfterDrop: 1 });
    },
  );

  it.each([
    ['SQS', sqs],
    ['Secrets Manager', secrets],
  ])('for %s reuses no connection after a pause', async (_name, client) => {
    const proxy = await startServer(respond, 10);
    const clock = manualClock();
    const send = client(proxy.origin, clock.monotonic);
    await many(10, send);

    proxy.drop('silence');
    clock.advance(calls.socketIdleMs + 1);

    expect(await send()).toMatchObject({ $metadata: { attempts: 1 } });
    expect(proxy.seen).toEqual({ connections: 11, usedAfterDrop: 0 });
  });

  it('for Secrets Manager fails after its timeout if there is no response', async () => {
    const proxy = await startServer(() => undefined);
    const send = secrets(proxy.origin);
    const startedAt = performance.now();

    await expect(send()).rejects.toHaveProperty('name', 'TimeoutError');

    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(calls.secretMs - 1);
  });
});

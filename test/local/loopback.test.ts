import { request as httpRequest, type RequestOptions } from 'node:http';
import { text } from 'node:stream/consumers';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { systemTime } from '../../functions/time.ts';
import { openIdentityPort } from '../../local/identity-port.ts';
import { openMetricsPort } from '../../local/lambda/metrics-port.ts';
import { openWebhookPort } from '../../local/lambda/webhook-port.ts';
import { isLoopbackHost, openLoopbackServer } from '../../local/loopback.ts';
import { startQueues } from '../../local/queues.ts';
import { startWorld as startS3World } from './s3/fixture.ts';
import { startWorld as startTelnyxWorld } from './telnyx/world.ts';

interface Closable {
  close(): Promise<void>;
}

/** Closes the server after the test. */
async function closed<Server extends Closable>(starting: Promise<Server>): Promise<Server> {
  const server = await starting;
  onTestFinished(() => server.close());
  return server;
}

/** URL of each local port. */
const ports = {
  metrics: async () => (await closed(openMetricsPort())).url,
  identity: async () => `http://127.0.0.1:${(await closed(openIdentityPort())).identity.port}/x`,
  queues: async () => (await closed(startQueues())).endpoint,
  s3: async () => (await startS3World()).server.endpoint,
  telnyx: async () => `${(await startTelnyxWorld()).standIn.url}/documents`,
  webhook: async () =>
    (
      await closed(
        openWebhookPort({ handler: async () => ({ statusCode: 200 }), timeoutMs: 1_000, time: systemTime }),
      )
    ).url,
};
type PortName = keyof typeof ports;
const names = Object.keys(ports) as PortName[];

interface Received {
  status: number | undefined;
  body: string;
  nosniff: boolean;
}

function send(url: string, options: RequestOptions): Promise<Received> {
  return new Promise((resolve, reject) => {
    const call = httpRequest(url, options, async (response) => {
      resolve({
        status: response.statusCode,
        body: await text(response),
        nosniff: response.headers['x-content-type-options'] === 'nosniff',
      });
    });
    call.on('error', reject);
    call.end(options.method === 'POST' ? 'Action=Publish' : undefined);
  });
}

const refusedPage = /Requests of web pages/;
const refusedHost = /The Host header must be 127\.0\.0\.1 or localhost/;

describe.each(names)('the port %s', (name) => {
  it.each(['http://evil.example', 'null', 'http://localhost:3000'])(
    'returns 403 for a form post of a web page of %s',
    async (origin) => {
      const url = await ports[name]();

      const headers = { origin, 'content-type': 'application/x-www-form-urlencoded' };
      const received = await send(url, { method: 'POST', headers });

      expect(received).toMatchObject({ status: 403, nosniff: true });
      expect(received.body).toMatch(refusedPage);
    },
  );

  it(`returns ${name === 'webhook' ? 'no ' : ''}403 for the name of a web site, as in DNS rebinding or behind a tunnel`, async () => {
    const url = await ports[name]();

    const received = await send(url, { headers: { host: `evil.example:${new URL(url).port}` } });

    if (name === 'webhook') expect(received.status).toBe(200);
    else {
      expect(received.status).toBe(403);
      expect(received.body).toMatch(refusedHost);
    }
  });

  it.each(['127.0.0.1', 'localhost'])('does not refuse %s with the port of a proxy', async (host) => {
    const url = await ports[name]();

    const received = await send(url, { headers: { host: `${host}:8443` } });

    expect(received.nosniff).toBe(true);
    expect(received.body).not.toMatch(refusedPage);
    expect(received.body).not.toMatch(refusedHost);
  });
});

describe('openLoopbackServer', () => {
  it('calls its listener only for requests that are not refused', async () => {
    const seen: (string | undefined)[] = [];
    const { origin } = await closed(
      openLoopbackServer(({ url }, response) => {
        seen.push(url);
        response.end('served');
      }),
    );

    await send(`${origin}/page`, { headers: { origin: 'http://evil.example' } });
    await send(`${origin}/rebound`, { headers: { host: 'evil.example' } });
    const { body } = await send(`${origin}/own`, {});

    expect(body).toBe('served');
    expect(seen).toEqual(['/own']);
  });
});

describe('isLoopbackHost', () => {
  it.each(['127.0.0.1', '127.0.0.1:80', 'localhost:1', 'LOCALHOST', '[::1]:65535'])('accepts %s', (host) => {
    expect(isLoopbackHost(host)).toBe(true);
  });

  it.each([
    '',
    'evil.example',
    'localhost.evil.example',
    'evil.localhost',
    '127.0.0.1.evil.example',
    '127.0.0.1:80@evil.example',
    'evil.example#127.0.0.1',
    'localhost:',
    'localhost\n',
    '0.0.0.0',
  ])('refuses %j', (host) => {
    expect(isLoopbackHost(host)).toBe(false);
  });

  it('accepts no domain name but localhost', () => {
    fc.assert(
      fc.property(fc.domain(), (domain) => {
        expect(isLoopbackHost(domain)).toBe(false);
      }),
    );
  });
});

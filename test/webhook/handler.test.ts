import { createHash, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer, type RequestListener, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Message, PurgeQueueCommand, ReceiveMessageCommand } from '@aws-sdk/client-sqs';
import type { APIGatewayProxyEventV2 } from 'aws-lambda';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { createLog } from '../../functions/log.ts';
import type { QueueMessage } from '../../functions/queue/messages.ts';
import { createSender } from '../../functions/queue/send.ts';
import { createSqsClient } from '../../functions/queue/sqs-client.ts';
import { systemTime } from '../../functions/time.ts';
import {
  createWebhookHandler,
  maxBodyBytes,
  type WebhookDependencies,
} from '../../functions/webhook/handler.ts';
import { readPublicKeys } from '../../functions/webhook/verify.ts';
import { openWebhookPort } from '../../local/lambda/webhook-port.ts';
import { startQueues } from '../../local/queues.ts';
import { createSigningKey, signedHeaders } from '../../local/telnyx/signing.ts';
import { acceleratedTime } from '../archive/world.ts';
import { startDroppingProxy } from '../dropping-proxy.ts';
import { propertyRuns } from '../fuzz-runs.ts';
import type { Drop } from '../soak/dropping-tcp-proxy.ts';

const event = readFileSync(new URL('../../events/number-order-complete.json', import.meta.url));
const key = createSigningKey();
const slowdown = 2.5;
const nowSeconds = () => systemTime.now() / 1_000;
/** Slower than the machine's clock, so that a busy machine does what it should before a deadline. */
const slowTime = acceleratedTime(1 / slowdown);

/** The handler behind a real port. Records the messages that it sends, unless another sender is given. */
async function openPort(overrides: Partial<WebhookDependencies> = {}) {
  const sent: { queueUrl: string; message: QueueMessage }[] = [];
  const lines: string[] = [];
  const handler = createWebhookHandler({
    publicKeys: readPublicKeys([key.publicKey]),
    documentsQueueUrl: 'documents',
    discoveryQueueUrl: 'discovery',
    send: async (queueUrl, messages) => {
      for (const message of messages) sent.push({ queueUrl, message });
    },
    log: createLog({ name: 'test', write: (line) => lines.push(line), now: systemTime.now }),
    time: slowTime,
    ...overrides,
  });
  const port = await openWebhookPort({ handler, timeoutMs: 3_000, time: slowTime });
  onTestFinished(() => port.close());
  const post = (
    body: Buffer,
    headers: Record<string, string> = signedHeaders(body, nowSeconds(), key),
    method = 'POST',
  ) =>
    new Promise<{ status: number; body: string; allow: string | undefined }>((resolve, reject) => {
      const call = request(port.url, { method, headers }, (response) => {
        let text = '';
        response.on('data', (chunk: Buffer) => {
          text += chunk;
        });
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, body: text, allow: response.headers.allow }),
        );
      });
      call.on('error', reject);
      call.end(body);
    });
  const counted = () =>
    lines
      .map((line) => JSON.parse(line))
      .filter((line) => '_aws' in line)
      .map(({ _aws, ...values }) => values);
  return { handler, post, sent, lines, counted };
}

describe('the webhook', () => {
  it('queues the documents of a genuine event and returns 200', async () => {
    const { post, sent, counted } = await openPort();

    const answer = await post(event);

    expect(answer).toMatchObject({ status: 200, body: '{"ok":true}' });
    expect(sent.map(({ queueUrl, message }) => [queueUrl, message.kind])).toEqual([
      ['documents', 'document'],
      ['documents', 'document'],
      ['discovery', 'number-order'],
    ]);
    expect(counted()).toEqual([{ WebhooksAccepted: 1 }]);
  });

  it('queues 1,000 documents of an event with more, and counts the event as partly ignored', async () => {
    const { post, sent, counted } = await openPort();
    const document_ids = Array.from({ length: 1_001 }, () => randomUUID());
    const body = Buffer.from(JSON.stringify({ data: { event_type: 'x', payload: { document_ids } } }));

    expect(await post(body)).toMatchObject({ status: 200 });

    expect(sent).toHaveLength(1_000);
    expect(counted()).toEqual([
      { WebhooksIgnored: 1, Reason: 'too-many-documents' },
      { WebhooksAccepted: 1 },
    ]);
  });

  it.each([
    ['porting-order-status-changed.json', 'porting-order'],
    ['portout-status-changed.json', 'port-out'],
  ])('queues the order of %s for discovery and returns 200', async (file, kind) => {
    const { post, sent, counted } = await openPort();

    const answer = await post(readFileSync(new URL(`../../events/${file}`, import.meta.url)));

    expect(answer.status).toBe(200);
    expect(sent.map(({ queueUrl, message }) => [queueUrl, message.kind])).toContainEqual(['discovery', kind]);
    expect(counted()).toEqual([{ WebhooksAccepted: 1 }]);
  });

  it.each([
    ['documents', 'number-order-complete.json'],
    ['discovery', 'porting-order-status-changed.json'],
  ])('returns 503 when the %s queue rejects the messages of %s', async (refusing, file) => {
    const { post, counted } = await openPort({
      send: async (queueUrl, messages) => {
        if (queueUrl === refusing && messages.length > 0) throw new Error('refused');
      },
    });

    const answer = await post(readFileSync(new URL(`../../events/${file}`, import.meta.url)));

    expect(answer.status).toBe(503);
    expect(counted()).toEqual([{ WebhooksDeferred: 1 }]);
  });

  it('verifies an event that is delivered as text or in base64', async () => {
    const { handler, sent } = await openPort();
    const headers = signedHeaders(event, nowSeconds(), key);
    const requestContext = { http: { method: 'POST' } };
    const plain = { headers, requestContext, body: event.toString('utf8'), isBase64Encoded: false };
    const encoded = { headers, requestContext, body: event.toString('base64'), isBase64Encoded: true };
    const mislabelled = { ...encoded, isBase64Encoded: false };

    const statuses = [];
    for (const delivery of [plain, encoded, mislabelled]) {
      statuses.push((await handler(delivery as Parameters<typeof handler>[0])).statusCode);
    }

    expect(statuses).toEqual([200, 200, 401]);
    expect(sent).toHaveLength(6);
  });

  it('has at most two parameters, since Lambda would otherwise wait for a callback', async () => {
    const { handler } = await openPort();

    expect(handler.length).toBeLessThanOrEqual(2);
  });

  it('returns the same response for every unverified request, and reports the reason only in a metric', async () => {
    const { post, sent, lines, counted } = await openPort();
    const headers = signedHeaders(event, nowSeconds(), key);
    const { 'telnyx-signature-ed25519': _signature, ...unsigned } = headers;
    const signature = headers['telnyx-signature-ed25519'] ?? '';

    const answers = [
      await post(event, unsigned),
      await post(event, { ...headers, 'telnyx-signature-ed25519': `${signature},${signature}` }),
      await post(event, signedHeaders(event, nowSeconds() - 301, key)),
      await post(event, signedHeaders(event, nowSeconds() + 305, key)),
      await post(event, signedHeaders(event, nowSeconds(), createSigningKey())),
      await post(Buffer.from('{}'), headers),
    ];

    expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1);
    expect(answers[0]).toMatchObject({ status: 401 });
    expect(sent).toEqual([]);
    expect(counted().map(({ Reason }) => Reason)).toEqual([
      'signature-missing',
      'signature-malformed',
      'timestamp-outside-window',
      'timestamp-outside-window',
      'signature-wrong',
      'signature-wrong',
    ]);
    expect(lines.join()).not.toContain(signature.slice(0, 20));
  });

  it('returns 405, 415, 413 or 400 for a request that is not a valid webhook', async () => {
    const { post, sent } = await openPort();
    const headers = signedHeaders(event, nowSeconds(), key);
    const huge = Buffer.alloc(maxBodyBytes + 1, 0x20);
    const notUtf8 = Buffer.from([0x7b, 0xff, 0x7d]);

    expect(await post(event, headers, 'PUT')).toMatchObject({ status: 405, allow: 'POST' });
    expect(
      await post(event, { ...headers, 'content-type': 'application/x-www-form-urlencoded' }),
    ).toMatchObject({
      status: 415,
    });
    expect(
      await post(event, { ...headers, 'content-type': 'application/json; charset=utf-8' }),
    ).toMatchObject({
      status: 200,
    });
    expect(await post(huge)).toMatchObject({ status: 413 });
    expect(await post(notUtf8)).toMatchObject({ status: 400 });
    expect(await post(notUtf8, headers)).toMatchObject({ status: 401 });
    expect(sent).toHaveLength(3);
  });

  it('returns 503 when no public key is configured', async () => {
    const { post } = await openPort({ publicKeys: [] });

    expect(await post(event)).toMatchObject({ status: 503 });
  });

  it('returns 200 for a genuine event that names nothing to archive, and counts it', async () => {
    const { post, sent, counted } = await openPort();

    expect(await post(Buffer.from('{"data":{"event_type":"call.initiated","payload":{}}}'))).toMatchObject({
      status: 200,
    });
    expect(await post(Buffer.from('{"data":{"event_type":"portout.x","payload":{"id":"x"}}}'))).toMatchObject(
      { status: 200 },
    );
    expect(
      await post(Buffer.from('{"__proto__":{"data":1},"data":{"event_type":"constructor"}}')),
    ).toMatchObject({ status: 200 });

    expect(sent).toEqual([]);
    expect(counted().map(({ Reason }) => Reason)).toEqual(['unknown-type', 'names-nothing', 'unknown-type']);
  });

  it('returns 200 or 400 for any signed body', async () => {
    const { handler } = await openPort();
    const requestContext = { http: { method: 'POST' } };

    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.json().map((text) => Buffer.from(text)),
          fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
          fc
            .constantFrom('1e999', '-0', '"\\ud800"', '{"data":{"data":{}}}')
            .map((text) => Buffer.from(text)),
        ),
        async (body) => {
          const delivery = {
            headers: signedHeaders(body, nowSeconds(), key),
            requestContext,
            body: body.toString('base64'),
            isBase64Encoded: true,
          };
          const { statusCode } = await handler(delivery as Parameters<typeof handler>[0]);
          expect([200, 400]).toContain(statusCode);
        },
      ),
      { numRuns: propertyRuns(2_000) },
    );
  });
});

describe('the webhook in front of SQS', () => {
  async function startSqs() {
    const queues = await startQueues();
    const client = queues.createClient();
    onTestFinished(async () => {
      client.destroy();
      await queues.close();
    });
    const { documents, discovery } = queues.lanes;
    const port = await openPort({
      send: createSender(client),
      documentsQueueUrl: documents.queueUrl,
      discoveryQueueUrl: discovery.queueUrl,
    });
    const received = async (): Promise<Message[]> => {
      const { Messages } = await client.send(
        new ReceiveMessageCommand({ QueueUrl: documents.queueUrl, MaxNumberOfMessages: 10 }),
      );
      return Messages ?? [];
    };
    return { ...port, queues, client, received };
  }

  it('has queued every message by the time it responds', async () => {
    const { post, received, client, queues } = await startSqs();
    for (let round = 0; round < 20; round += 1) {
      expect(await post(event)).toMatchObject({ status: 200 });
      expect(await received()).toHaveLength(2);
      await client.send(new PurgeQueueCommand({ QueueUrl: queues.lanes.documents.queueUrl }));
    }
  });

  it('returns 503 while SQS is down, and 200 for the next delivery once it is back', async () => {
    const { post, queues, counted } = await startSqs();
    const portOfSqs = Number(new URL(queues.endpoint).port);
    await queues.close();

    const startedAt = slowTime.monotonic();
    expect(await post(event)).toMatchObject({ status: 503 });
    expect(slowTime.monotonic() - startedAt).toBeLessThan(1_500);
    expect(counted()).toContainEqual({ WebhooksDeferred: 1 });

    const again = await startQueues({ port: portOfSqs, credentials: queues.credentials });
    onTestFinished(() => again.close());
    await vi.waitFor(async () => expect(await post(event)).toMatchObject({ status: 200 }));
  });

  it.each<[string, Drop, number]>([
    ['resets them at the next write', 'reset', 0],
    ['has stopped responding on them during a pause', 'silence', 3_600_000],
  ])(
    'returns 200 for the first delivery when every idle connection is dead: SQS %s',
    async (_how, drop, pauseMs) => {
      const { queues, received } = await startSqs();
      const proxy = await startDroppingProxy(queues.endpoint, 10);
      let paused = 0;
      const client = createSqsClient(
        {
          endpoint: proxy.origin,
          region: 'us-east-1',
          credentials: queues.credentials,
        },
        () => systemTime.monotonic() + paused,
      );
      onTestFinished(() => client.destroy());
      const { documents, discovery } = queues.lanes;
      const { post } = await openPort({
        send: createSender(client),
        documentsQueueUrl: documents.queueUrl,
        discoveryQueueUrl: discovery.queueUrl,
      });
      const answers = await Promise.all(Array.from({ length: 10 }, () => post(event)));
      expect(answers.map(({ status }) => status)).toEqual(Array(10).fill(200));
      await client.send(new PurgeQueueCommand({ QueueUrl: documents.queueUrl }));

      proxy.drop(drop);
      paused = pauseMs;
      const startedAt = slowTime.monotonic();

      expect(await post(event)).toMatchObject({ status: 200 });
      expect(slowTime.monotonic() - startedAt).toBeLessThan(1_000);
      expect(await received()).toHaveLength(2);
      expect(proxy.seen.usedAfterDrop).toBe(drop === 'reset' ? 1 : 0);
    },
  );

  /** Starts the webhook with another server in place of SQS. */
  async function startWithFakeSqs(listener: RequestListener) {
    const server = createServer(listener).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const client = createSqsClient({
      endpoint,
      region: 'us-east-1',
      credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
    });
    onTestFinished(() => {
      client.destroy();
      server.closeAllConnections();
      server.close();
    });
    return openPort({ send: createSender(client), documentsQueueUrl: `${endpoint}/0/documents` });
  }

  it.each<[string, RequestListener]>([
    ['never responds', () => undefined],
    ['starts a response and never ends it', (_request, response) => response.writeHead(200).write('{')],
    [
      'fails after a second every time',
      (_request, response) => {
        setTimeout(() => response.writeHead(500).end('{}'), 1_000 * slowdown);
      },
    ],
    [
      'requests a delay of 30 s',
      (_request, response) =>
        response.writeHead(503, { 'retry-after': '30', 'x-amz-retry-after': '30000' }).end('{}'),
    ],
    ['closes the connection', (_request, response) => response.socket?.destroy()],
    ['returns 200 without the accepted messages', (_request, response) => response.writeHead(200).end('{}')],
  ])('returns 503 within 1.5 s, before Telnyx stops waiting, when SQS %s', async (_what, listener) => {
    const { post, counted } = await startWithFakeSqs(listener);

    const startedAt = slowTime.monotonic();
    expect(await post(event)).toMatchObject({ status: 503 });

    expect(slowTime.monotonic() - startedAt).toBeLessThan(1_500);
    expect(counted()).toEqual([{ WebhooksDeferred: 1 }]);
  });

  /** SendMessageBatch of SQS: responds after `ms` milliseconds, and rejects the entries for which `fails` is true. */
  function sqs(ms: number, fails: (position: number) => boolean): RequestListener {
    return (incoming, response) => {
      let text = '';
      incoming.on('data', (chunk: Buffer) => {
        text += chunk;
      });
      incoming.on('end', () => {
        const entries: { Id: string; MessageBody: string }[] = JSON.parse(text).Entries;
        const answer = {
          Successful: entries
            .filter((_entry, position) => !fails(position))
            .map(({ Id, MessageBody }) => ({
              Id,
              MessageId: randomUUID(),
              MD5OfMessageBody: createHash('md5').update(MessageBody).digest('hex'),
            })),
          Failed: entries
            .filter((_entry, position) => fails(position))
            .map(({ Id }) => ({ Id, Code: 'InternalError', SenderFault: false })),
        };
        setTimeout(() => response.writeHead(200).end(JSON.stringify(answer)), ms * slowdown);
      });
    };
  }

  it('returns 503 when SQS returns 200 but rejects one of two messages every time', async () => {
    const { post } = await startWithFakeSqs(sqs(0, (position) => position === 0));

    expect(await post(event)).toMatchObject({ status: 503 });
  });

  it('returns 200 in time for an order of 1,000 documents', async () => {
    const { post } = await startWithFakeSqs(sqs(20, () => false));
    const document_ids = Array.from({ length: 1_000 }, () => randomUUID());
    const order = Buffer.from(JSON.stringify({ data: { event_type: 'x', payload: { document_ids } } }));

    expect(await post(order)).toMatchObject({ status: 200 });
  });
});

describe('the webhook function', () => {
  it('starts from its environment variables and refuses a request without content type and body', async () => {
    const environment = {
      AWS_REGION: 'us-east-1',
      ARCHIVER_NAME: 'test',
      DOCUMENTS_QUEUE_URL: 'http://127.0.0.1:1/000000000000/documents',
      DISCOVERY_QUEUE_URL: 'http://127.0.0.1:1/000000000000/discovery',
      TELNYX_PUBLIC_KEYS: key.publicKey,
    };
    for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value);
    const write = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
    onTestFinished(() => {
      vi.unstubAllEnvs();
      write.mockRestore();
    });
    const bare = (headers: Record<string, string>) =>
      ({ requestContext: { http: { method: 'POST' } }, headers }) as unknown as APIGatewayProxyEventV2;

    const { handler } = await import('../../functions/webhook/lambda.ts');

    expect(await handler(bare({}))).toMatchObject({ statusCode: 415 });
    expect(await handler(bare({ 'content-type': 'application/json' }))).toMatchObject({ statusCode: 401 });
  });
});

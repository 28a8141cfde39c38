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
import { startDroppingProxy } from '../dropping-proxy.ts';
import { propertyRuns } from '../fuzz-runs.ts';
import type { Drop } from '../soak/dropping-front.ts';

const event = readFileSync(new URL('../../events/number-order-complete.json', import.meta.url));
const key = createSigningKey();
const nowSeconds = () => systemTime.now() / 1_000;

/** The handler behind a real port; what it sends is remembered, unless another sender is given. */
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
    time: systemTime,
    ...overrides,
  });
  const port = await openWebhookPort({ handler, timeoutMs: 3_000, time: systemTime });
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
  it('queues what a genuine event names and only then answers 200', async () => {
    const { post, sent, counted } = await openPort();

    const answer = await post(event);

    expect(answer).toMatchObject({ status: 200, body: '{"ok":true}' });
    expect(sent.map(({ queueUrl, message }) => [queueUrl, message.kind])).toEqual([
      ['documents', 'document'],
      ['documents', 'document'],
    ]);
    expect(counted()).toEqual([{ WebhooksAccepted: 1 }]);
  });

  it('queues a thousand of too many documents, and counts that it did not act upon all of the event', async () => {
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
  ])('queues the order that %s names for discovery before it answers 200', async (file, kind) => {
    const { post, sent, counted } = await openPort();

    const answer = await post(readFileSync(new URL(`../../events/${file}`, import.meta.url)));

    expect(answer.status).toBe(200);
    expect(sent.map(({ queueUrl, message }) => [queueUrl, message.kind])).toContainEqual(['discovery', kind]);
    expect(counted()).toEqual([{ WebhooksAccepted: 1 }]);
  });

  it.each([
    ['documents', 'number-order-complete.json'],
    ['discovery', 'porting-order-status-changed.json'],
  ])('answers 503 when the %s queue does not take what %s names', async (refusing, file) => {
    const { post, counted } = await openPort({
      send: async (queueUrl, messages) => {
        if (queueUrl === refusing && messages.length > 0) throw new Error('refused');
      },
    });

    const answer = await post(readFileSync(new URL(`../../events/${file}`, import.meta.url)));

    expect(answer.status).toBe(503);
    expect(counted()).toEqual([{ WebhooksDeferred: 1 }]);
  });

  it('verifies the same event whether it is delivered as text or in base64', async () => {
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
    expect(sent).toHaveLength(4);
  });

  it('takes at most two parameters, as Lambda would otherwise wait for a callback', async () => {
    const { handler } = await openPort();

    expect(handler.length).toBeLessThanOrEqual(2);
  });

  it('gives the same answer to every refusal, and says the reason only in a metric', async () => {
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

  it('refuses what is no webhook at all with the status that says so', async () => {
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
    expect(sent).toHaveLength(2);
  });

  it('never verifies without a key: it is not ready then', async () => {
    const { post } = await openPort({ publicKeys: [] });

    expect(await post(event)).toMatchObject({ status: 503 });
  });

  it('accepts genuine events that it has no use for, and counts them', async () => {
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

  it('never crashes, whatever genuine JSON or bytes it gets', async () => {
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

  it('has every message in the queue by the time it answers', async () => {
    const { post, received, client, queues } = await startSqs();
    for (let round = 0; round < 20; round += 1) {
      expect(await post(event)).toMatchObject({ status: 200 });
      expect(await received()).toHaveLength(2);
      await client.send(new PurgeQueueCommand({ QueueUrl: queues.lanes.documents.queueUrl }));
    }
  });

  it('answers 503 when SQS is gone, and 200 to the next attempt once it is back', async () => {
    const { post, queues, counted } = await startSqs();
    const portOfSqs = Number(new URL(queues.endpoint).port);
    await queues.close();

    const began = systemTime.monotonic();
    expect(await post(event)).toMatchObject({ status: 503 });
    expect(systemTime.monotonic() - began).toBeLessThan(1_500);
    expect(counted()).toContainEqual({ WebhooksDeferred: 1 });

    const again = await startQueues({ port: portOfSqs });
    onTestFinished(() => again.close());
    await vi.waitFor(async () => expect(await post(event)).toMatchObject({ status: 200 }));
  });

  it.each<[string, Drop, number]>([
    ['resets them at the next write', 'reset', 0],
    ['has let them fall silent during a pause', 'silence', 3_600_000],
  ])(
    'answers 200 at the first try when every idle connection is dead: SQS %s',
    async (_how, drop, pauseMs) => {
      const { queues, received } = await startSqs();
      const proxy = await startDroppingProxy(queues.endpoint, 10);
      let paused = 0;
      const client = createSqsClient(
        {
          endpoint: proxy.origin,
          region: 'us-east-1',
          credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
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
      const began = systemTime.monotonic();

      expect(await post(event)).toMatchObject({ status: 200 });
      expect(systemTime.monotonic() - began).toBeLessThan(1_000);
      expect(await received()).toHaveLength(2);
      expect(proxy.seen.usedAfterDrop).toBe(drop === 'reset' ? 1 : 0);
    },
  );

  /** Something that stands where SQS should be. */
  async function startInPlaceOfSqs(listener: RequestListener) {
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
    ['takes the request and never answers', () => undefined],
    ['begins its answer and never ends it', (_request, response) => response.writeHead(200).write('{')],
    [
      'fails after a second, and would again',
      (_request, response) => {
        setTimeout(() => response.writeHead(500).end('{}'), 1_000);
      },
    ],
    [
      'asks to be left alone for half a minute',
      (_request, response) =>
        response.writeHead(503, { 'retry-after': '30', 'x-amz-retry-after': '30000' }).end('{}'),
    ],
    ['breaks the connection', (_request, response) => response.socket?.destroy()],
    ['says 200, but not which messages it took', (_request, response) => response.writeHead(200).end('{}')],
  ])('answers 503 within 1.5 s, as Telnyx waits two, when SQS %s', async (_what, listener) => {
    const { post, counted } = await startInPlaceOfSqs(listener);

    const began = systemTime.monotonic();
    expect(await post(event)).toMatchObject({ status: 503 });

    expect(systemTime.monotonic() - began).toBeLessThan(1_500);
    expect(counted()).toEqual([{ WebhooksDeferred: 1 }]);
  });

  /** SQS as far as SendMessageBatch: answers after `ms`, and fails the entries that `fails` says. */
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
        setTimeout(() => response.writeHead(200).end(JSON.stringify(answer)), ms);
      });
    };
  }

  it('answers 503 when SQS says 200 but keeps failing one of two messages', async () => {
    const { post } = await startInPlaceOfSqs(sqs(0, (position) => position === 0));

    expect(await post(event)).toMatchObject({ status: 503 });
  });

  it('has time for an order of a thousand documents', async () => {
    const { post } = await startInPlaceOfSqs(sqs(20, () => false));
    const document_ids = Array.from({ length: 1_000 }, () => randomUUID());
    const order = Buffer.from(JSON.stringify({ data: { event_type: 'x', payload: { document_ids } } }));

    expect(await post(order)).toMatchObject({ status: 200 });
  });
});

describe('the webhook function', () => {
  it('starts as a Lambda function does, and refuses a request without type and body', async () => {
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

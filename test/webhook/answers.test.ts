/** Status, headers, metrics and log lines of single requests, with no port and no queue between. */
import type { APIGatewayProxyEventV2 } from 'aws-lambda';
import { describe, expect, it } from 'vitest';
import { createLog } from '../../functions/log.ts';
import { systemTime } from '../../functions/time.ts';
import {
  createWebhookHandler,
  maxBodyBytes,
  type WebhookDependencies,
} from '../../functions/webhook/handler.ts';
import { readWebhookSettings } from '../../functions/webhook/settings.ts';
import { readPublicKeys } from '../../functions/webhook/verify.ts';
import { createSigningKey, signedHeaders } from '../../local/telnyx/signing.ts';

const key = createSigningKey();
const documentId = '6e0c8a55-2d0b-4bb0-9d6a-0a6c1e5d7f01';
const event = JSON.stringify({
  data: {
    id: 'e1',
    event_type: 'document.uploaded',
    occurred_at: '2026-11-24T00:00:00Z',
    payload: { document_id: documentId },
  },
});

async function ask(
  request: { body?: string; method?: string; headers?: Record<string, string | undefined> } = {},
  overrides: Partial<WebhookDependencies> = {},
) {
  const lines: Record<string, unknown>[] = [];
  const sent: [queueUrl: string, messages: number][] = [];
  const handler = createWebhookHandler({
    publicKeys: readPublicKeys([key.publicKey]),
    documentsQueueUrl: 'documents',
    discoveryQueueUrl: 'discovery',
    send: async (queueUrl, messages) => {
      sent.push([queueUrl, messages.length]);
    },
    log: createLog({ name: 'test', write: (line) => lines.push(JSON.parse(line)), now: systemTime.now }),
    time: systemTime,
    ...overrides,
  });
  const bytes = Buffer.from(request.body ?? '');
  const answer = await handler({
    headers: { ...signedHeaders(bytes, systemTime.now() / 1_000, key), ...request.headers },
    requestContext: { http: { method: request.method ?? 'POST' } },
    ...(request.body !== undefined && { body: request.body }),
    isBase64Encoded: false,
  } as unknown as APIGatewayProxyEventV2);
  return {
    answer,
    sent,
    logged: lines.filter((line) => !('_aws' in line)).map(({ time, ...line }) => line),
    counted: lines.filter((line) => '_aws' in line).map(({ _aws, ...metrics }) => metrics),
  };
}

const json = { 'content-type': 'application/json' };

describe('the answer to a webhook request', () => {
  it.each([
    ['another method', { method: 'GET' }, 405, 'method'],
    ['another content type', { headers: { 'content-type': 'text/plain' } }, 415, 'content-type'],
    ['a body that is too large', { body: ' '.repeat(maxBodyBytes + 1) }, 413, 'too-large'],
    ['a signed body that is not JSON', { body: '{' }, 400, 'unreadable'],
    ['a signed request without a body', {}, 400, 'unreadable'],
    ['a missing timestamp', { headers: { 'telnyx-timestamp': undefined } }, 401, 'signature-missing'],
  ])('refuses %s and counts the reason', async (_what, request, status, Reason) => {
    const { answer, sent, counted } = await ask({ ...(status !== 400 && { body: event }), ...request });

    expect(answer).toEqual({
      statusCode: status,
      headers: status === 405 ? { ...json, allow: 'POST' } : json,
      body: '{"ok":false}',
    });
    expect(counted).toEqual([{ WebhooksRefused: 1, Reason }]);
    expect(sent).toEqual([]);
  });

  it('is 503 with a count of its own while no public key is set', async () => {
    const { answer, counted } = await ask({ body: event }, { publicKeys: [] });

    expect(answer).toEqual({ statusCode: 503, headers: json, body: '{"ok":false}' });
    expect(counted).toEqual([{ WebhooksRefused: 1, Reason: 'no-public-key' }]);
  });

  it('is 200 for a body of exactly the maximum size', async () => {
    const { answer } = await ask({ body: event + ' '.repeat(maxBodyBytes - event.length) });

    expect(answer).toEqual({ statusCode: 200, headers: json, body: '{"ok":true}' });
  });

  it.each([
    ['application/json', 200],
    ['APPLICATION/JSON', 200],
    ['application/json;charset=utf-8', 200],
    ['application/json  ; charset=utf-8', 200],
    ['application/json\t', 200],
    ['application/jsonp', 415],
    ['application/json charset', 415],
    ['text/html application/json', 415],
    ['', 415],
    [undefined, 415],
  ])('to the content type %j is %i', async (contentType, status) => {
    const { answer } = await ask({ body: event, headers: { 'content-type': contentType } });

    expect(answer.statusCode).toBe(status);
  });
});

describe('the log of a webhook request', () => {
  it('says which event was queued, in how many messages', async () => {
    const { sent, logged, counted } = await ask({ body: event });

    expect(sent).toEqual([
      ['documents', 1],
      ['discovery', 0],
    ]);
    expect(logged).toEqual([
      {
        level: 'INFO',
        message: 'Event queued',
        eventId: 'e1',
        eventType: 'document.uploaded',
        queued: 1,
        outcome: 'accepted',
      },
    ]);
    expect(counted).toEqual([{ WebhooksAccepted: 1 }]);
  });

  it('counts the messages of documents and orders together', async () => {
    const body = JSON.stringify({
      event_type: 'porting_order.status_changed',
      payload: { id: documentId, document_id: documentId },
    });

    const { sent, logged } = await ask({ body });

    expect(sent).toEqual([
      ['documents', 1],
      ['discovery', 1],
    ]);
    expect(logged).toMatchObject([{ message: 'Event queued', queued: 2 }]);
  });

  it('says why nothing was queued, and asks nothing of SQS then', async () => {
    const { answer, sent, logged, counted } = await ask({
      body: '{"data":{"event_type":"call.initiated","payload":{}}}',
    });

    expect(answer.statusCode).toBe(200);
    expect(sent).toEqual([]);
    expect(logged).toEqual([
      {
        level: 'INFO',
        message: expect.stringMatching(/^Event ignored/),
        eventType: 'call.initiated',
        queued: 0,
        outcome: 'ignored',
        reason: 'unknown-type',
      },
    ]);
    expect(counted).toEqual([{ WebhooksIgnored: 1, Reason: 'unknown-type' }]);
  });

  it('says what SQS failed with, and which event Telnyx has to send again', async () => {
    const { answer, logged, counted } = await ask(
      { body: event },
      { send: () => Promise.reject(Object.assign(new Error('refused'), { code: 'ECONNRESET' })) },
    );

    expect(answer.statusCode).toBe(503);
    expect(logged).toEqual([
      {
        level: 'ERROR',
        message: 'Could not queue the event',
        eventId: 'e1',
        eventType: 'document.uploaded',
        queued: 1,
        outcome: 'deferred',
        cause: 'Error ECONNRESET',
      },
    ]);
    expect(counted).toEqual([{ WebhooksDeferred: 1 }]);
  });

  it('says that an event was not queued when the time for SQS is over', async () => {
    const { answer, logged } = await ask(
      { body: event },
      {
        time: { ...systemTime, after: (_ms, callback) => systemTime.after(0, callback) },
        send: (_queueUrl, _messages, signal) =>
          new Promise((_resolve, reject) => {
            signal.addEventListener('abort', () => reject(signal.reason));
          }),
      },
    );

    expect(answer.statusCode).toBe(503);
    expect(logged).toMatchObject([{ message: 'Could not queue the event', cause: 'Error' }]);
  });
});

it('The webhook settings have no public key where the environment has none', () => {
  const environment = {
    ARCHIVER_NAME: 'test',
    DOCUMENTS_QUEUE_URL: 'https://sqs.us-east-1.amazonaws.com/1/documents',
    DISCOVERY_QUEUE_URL: 'https://sqs.us-east-1.amazonaws.com/1/discovery',
  };

  expect(readWebhookSettings(environment).publicKeys).toEqual([]);
  expect(readWebhookSettings({ ...environment, TELNYX_PUBLIC_KEYS: key.publicKey }).publicKeys).toHaveLength(
    1,
  );
});

import { readFileSync } from 'node:fs';
import { expect, it, onTestFinished } from 'vitest';
import { createLog } from '../../functions/log.ts';
import { systemTime } from '../../functions/time.ts';
import {
  createWebhookHandler,
  maxBodyBytes,
  type WebhookDependencies,
} from '../../functions/webhook/handler.ts';
import { readPublicKeys } from '../../functions/webhook/verify.ts';
import { openWebhookPort } from '../../local/lambda/webhook-port.ts';
import type { StartEventOf } from '../../local/start-lines.ts';
import { createSigningKey, signedHeaders } from '../../local/telnyx/signing.ts';
import { readWebhookLine } from '../../local/webhook-log.ts';

const key = createSigningKey();
const order = readFileSync(new URL('../../events/number-order-complete.json', import.meta.url));
const unknown = Buffer.from('{"data":{"event_type":"call.hangup","payload":{}}}');
const tooMany = Buffer.from(
  JSON.stringify({
    data: {
      event_type: 'document.many',
      payload: {
        document_ids: Array.from(
          { length: 2_000 },
          (_, n) => `5a3b1e00-0000-4000-8000-${String(n).padStart(12, '0')}`,
        ),
      },
    },
  }),
);
const now = () => Date.now() / 1_000;
const fails = () => Promise.reject(new Error('SQS is down.'));

interface Request {
  body: Buffer;
  headers?: Record<string, string>;
  method?: string;
  overrides?: Partial<WebhookDependencies>;
}

/** Sends a request to the webhook; returns its response's status and what was read from its logs. */
async function send({
  body,
  headers = signedHeaders(body, now(), key),
  method = 'POST',
  overrides,
}: Request) {
  const events: StartEventOf<'webhook'>[] = [];
  const write = (line: string) => {
    const event = readWebhookLine(line);
    if (event) events.push(event);
  };
  const handler = createWebhookHandler({
    publicKeys: readPublicKeys([key.publicKey]),
    documentsQueueUrl: 'documents',
    discoveryQueueUrl: 'discovery',
    send: async () => undefined,
    log: createLog({ name: 'test', write, now: Date.now }),
    time: systemTime,
    ...overrides,
  });
  const port = await openWebhookPort({ handler, timeoutMs: 3_000, time: systemTime });
  onTestFinished(() => port.close());
  const { status } = await fetch(port.url, { method, headers, body });
  return { status, events };
}

it.each<[string, Request, string]>([
  ['a changed body', { body: unknown, headers: signedHeaders(order, now(), key) }, 'signature-wrong'],
  ['no signature', { body: order, headers: { 'content-type': 'application/json' } }, 'signature-missing'],
  [
    'an old timestamp',
    { body: order, headers: signedHeaders(order, now() - 400, key) },
    'timestamp-outside-window',
  ],
  ['another method', { body: order, method: 'PUT' }, 'method'],
  ['another content type', { body: order, headers: { 'content-type': 'text/plain' } }, 'content-type'],
  ['a body that is not JSON', { body: Buffer.from('{') }, 'unreadable'],
  ['a body that is too large', { body: Buffer.alloc(maxBodyBytes + 1, 0x20) }, 'too-large'],
  ['no public key', { body: order, overrides: { publicKeys: [] } }, 'no-public-key'],
])('shows a request with %s with its status and reason', async (_what, request, reason) => {
  const { status, events } = await send(request);

  expect(status).toBeGreaterThanOrEqual(400);
  expect(events).toEqual([{ type: 'webhook', outcome: 'refused', status, reason }]);
});

it('shows an accepted event with its type and how many messages it led to', async () => {
  const { status, events } = await send({ body: order });

  expect(status).toBe(200);
  const { data } = JSON.parse(order.toString());
  expect(events).toEqual([
    {
      type: 'webhook',
      outcome: 'accepted',
      status: 200,
      eventType: 'number_order.complete',
      eventId: data.id,
      queued: 3,
    },
  ]);
});

it('shows an ignored event with its reason', async () => {
  const { events } = await send({ body: unknown });

  expect(events).toEqual([
    {
      type: 'webhook',
      outcome: 'ignored',
      status: 200,
      reason: 'unknown-type',
      eventType: 'call.hangup',
      queued: 0,
    },
  ]);
});

it('shows an event that could not be queued', async () => {
  const { status, events } = await send({ body: order, overrides: { send: fails } });

  expect(status).toBe(503);
  expect(events).toMatchObject([{ outcome: 'deferred', status: 503, eventType: 'number_order.complete' }]);
});

it('shows an event that is used in part in two lines, of which the second has the status', async () => {
  const { status, events } = await send({ body: tooMany });

  expect(status).toBe(200);
  expect(events).toMatchObject([
    { outcome: 'ignored', reason: 'too-many-documents' },
    { outcome: 'accepted', status: 200 },
  ]);
  expect(events[0]).not.toHaveProperty('status');
});

it('leaves out lines about queue messages, which have an outcome too', () => {
  const line = { lane: 'documents', outcome: 'archived', documentId: 'a' };

  expect(readWebhookLine(JSON.stringify(line))).toBeUndefined();
});

import type { KeyObject } from 'node:crypto';
import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2 } from 'aws-lambda';
import { nameOf } from '../errors.ts';
import { calls } from '../limits.ts';
import type { Log } from '../log.ts';
import type { SendMessages } from '../queue/send.ts';
import { type Time, withDeadline } from '../time.ts';
import { type ParsedEvent, parseEvent } from './events.ts';
import { type SignatureRefusal, verify } from './verify.ts';

export interface WebhookDependencies {
  publicKeys: readonly KeyObject[];
  documentsQueueUrl: string;
  discoveryQueueUrl: string;
  send: SendMessages;
  log: Log;
  time: Time;
}

/** An order of a thousand numbers takes about 600 kB. */
export const maxBodyBytes = 1024 ** 2;

/** HTTP status of a refused request by reason, the dimension of `WebhooksRefused`. */
export const refusalStatus = {
  method: 405,
  'content-type': 415,
  'too-large': 413,
  'no-public-key': 503,
  'signature-missing': 401,
  'signature-malformed': 401,
  'timestamp-malformed': 401,
  'timestamp-outside-window': 401,
  'signature-wrong': 401,
  unreadable: 400,
} as const satisfies Record<SignatureRefusal, 401> & Record<string, number>;

export type RefusalReason = keyof typeof refusalStatus;

/**
 * What became of a genuine event: the `outcome` field of its log lines. An event that is used in part has a line with
 * `ignored` before the one with `accepted` or `deferred`.
 */
export type WebhookOutcome = 'accepted' | 'ignored' | 'deferred';

/** Creates the webhook's handler. It verifies a Telnyx event, queues its messages, and only then returns 200. */
export function createWebhookHandler(dependencies: WebhookDependencies) {
  const { publicKeys, log, time } = dependencies;
  const refuse = (reason: RefusalReason, headers = {}) => {
    log.count('WebhooksRefused', 1, { Reason: reason });
    return respond(refusalStatus[reason], headers);
  };

  return async (event: APIGatewayProxyEventV2): Promise<APIGatewayProxyStructuredResultV2> => {
    if (event.requestContext.http.method !== 'POST') return refuse('method', { allow: 'POST' });
    if (!isJson(event.headers['content-type'])) return refuse('content-type');
    // Stryker disable next-line StringLiteral: the default encoding is UTF-8.
    const rawBody = Buffer.from(event.body ?? '', event.isBase64Encoded ? 'base64' : 'utf8');
    if (rawBody.length > maxBodyBytes) return refuse('too-large');
    if (publicKeys.length === 0) return refuse('no-public-key');

    const signature = event.headers['telnyx-signature-ed25519'];
    const timestamp = event.headers['telnyx-timestamp'];
    const verdict = verify({ rawBody, signature, timestamp }, publicKeys, time.now());
    if (!verdict.genuine) return refuse(verdict.reason);
    if (!('payload' in verdict)) return refuse('unreadable');

    const parsed = parseEvent(verdict.payload, new Date(time.now()).toISOString());
    return respond(await queueMessages(parsed, dependencies));
  };
}

/** Queues the messages of an event. Resolves with the HTTP status to return. */
async function queueMessages(parsed: ParsedEvent, dependencies: WebhookDependencies): Promise<number> {
  const { documentsQueueUrl, discoveryQueueUrl, send, log, time } = dependencies;
  const { documents, discovery, ignored } = parsed;
  const fields = {
    eventId: parsed.origin?.id,
    eventType: parsed.type,
    queued: documents.length + discovery.length,
  };
  if (ignored !== undefined) {
    log.info('Event ignored in whole or in part', {
      ...fields,
      outcome: 'ignored' satisfies WebhookOutcome,
      reason: ignored,
    });
    log.count('WebhooksIgnored', 1, { Reason: ignored });
    if (fields.queued === 0) return 200;
  }
  // Stryker disable next-line StringLiteral: only the class of the error is logged.
  const timedOut = () => new Error('SQS did not respond in time. Telnyx waits two seconds.');
  try {
    await withDeadline(time, calls.webhookMs, new AbortController().signal, timedOut, async (signal) => {
      await send(documentsQueueUrl, documents, signal);
      await send(discoveryQueueUrl, discovery, signal);
    });
  } catch (error) {
    // Telnyx sends the event again. Messages that were queued already do no harm when queued twice.
    log.error('Could not queue the event', {
      ...fields,
      outcome: 'deferred' satisfies WebhookOutcome,
      cause: nameOf(error),
    });
    log.count('WebhooksDeferred');
    return 503;
  }
  log.info('Event queued', { ...fields, outcome: 'accepted' satisfies WebhookOutcome });
  log.count('WebhooksAccepted');
  return 200;
}

/** The body is always the same, so that a response does not reveal why a request was refused. */
function respond(
  statusCode: number,
  headers: Record<string, string> = {},
): APIGatewayProxyStructuredResultV2 {
  return {
    statusCode,
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ ok: statusCode === 200 }),
  };
}

function isJson(contentType: string | undefined): boolean {
  // Stryker disable next-line StringLiteral: neither text is a JSON content type.
  return /^application\/json\s*(;|$)/i.test(contentType ?? '');
}

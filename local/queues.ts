/**
 * Local queues: fauxqs implements the SQS protocol, and the SDK's client connects to it. fauxqs checks no credentials and
 * also serves SNS, which accepts form posts and could send messages to the queues. So it opens no port: the server in
 * front of it passes on only signed requests to SQS.
 */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  type ChangeMessageVisibilityBatchCommandInput,
  CreateQueueCommand,
  type ReceiveMessageCommandInput,
  type ReceiveMessageCommandOutput,
  type SQSClient,
} from '@aws-sdk/client-sqs';
import { buildApp } from 'fauxqs';
import { maxReceives, queues, timeouts, visibilityPerTimeout } from '../functions/limits.ts';
import type { Lane } from '../functions/queue/batch.ts';
import type { LaneName } from '../functions/queue/lanes.ts';
import { createSqsClient } from '../functions/queue/sqs-client.ts';
import { systemTime } from '../functions/time.ts';
import { openLoopbackServer, readRequestBody } from './loopback.ts';
import { createCredentials } from './s3/archive-bucket.ts';
import { parseRequest } from './s3/request.ts';
import { S3Error } from './s3/s3-error.ts';
import { type Credentials, verifySignature } from './s3/signature.ts';

const region = 'us-east-1';
const account = '000000000000';
/** Above SQS's maximum of 1 MiB per request, in JSON. */
const maxRequestBytes = 8 * 1024 ** 2;

export interface LocalLane extends Lane {
  name: LaneName;
  queueArn: string;
}

export interface LocalQueues {
  /** `http://127.0.0.1:<port>` */
  endpoint: string;
  /** All other requests are refused. */
  credentials: Credentials;
  lanes: Record<LaneName, LocalLane>;
  /**
   * Creates a client with the timeouts of the functions.
   *
   * @param origin of a proxy in front of the queues. @default the queues themselves
   * @param monotonic clock in milliseconds, to measure how long a connection was idle
   */
  createClient(origin?: string, monotonic?: () => number): SQSClient;
  close(): Promise<void>;
}

export interface QueuesOptions {
  /** @default any free port */
  port?: number;
  /** @default random ones */
  credentials?: Credentials;
}

/** Starts SQS and creates every lane and its dead-letter queue with the attributes of a deployment. */
export async function startQueues({
  port = 0,
  credentials = createCredentials(),
}: QueuesOptions = {}): Promise<LocalQueues> {
  const fauxqs = buildApp({ logger: false, defaultRegion: region });
  const server = await openLoopbackServer(
    (request, response) => {
      passOn(request, response, fauxqs, credentials).catch(() => response.destroy());
    },
    { port },
  );
  const endpoint = server.origin;
  const createClient = (origin = endpoint, monotonic = systemTime.monotonic) =>
    // A copy, because the SDK adds a property.
    createSqsClient({ endpoint: origin, region, credentials: { ...credentials } }, monotonic);
  const client = createClient();
  const lane = async (name: LaneName, timeoutMs: number): Promise<LocalLane> => {
    const deadLetters = `${name}-dead-letters`;
    await createQueue(client, deadLetters, { MessageRetentionPeriod: seconds(queues.deadLetterRetentionMs) });
    await createQueue(client, name, {
      MessageRetentionPeriod: seconds(queues.retentionMs),
      VisibilityTimeout: seconds(visibilityPerTimeout * timeoutMs),
      RedrivePolicy: JSON.stringify({
        deadLetterTargetArn: arnOf(deadLetters),
        maxReceiveCount: maxReceives(timeoutMs),
      }),
    });
    // The host in the queue URLs of fauxqs does not resolve everywhere; only the path matters.
    const queueUrl = (queue: string) => `${endpoint}/${account}/${queue}`;
    return {
      name,
      live: name === 'documents' || name === 'discovery',
      queueArn: arnOf(name),
      queueUrl: queueUrl(name),
      deadLetterQueueUrl: queueUrl(deadLetters),
    };
  };
  const lanes = {
    documents: await lane('documents', timeouts.archiveMs),
    backfill: await lane('backfill', timeouts.archiveMs),
    discovery: await lane('discovery', timeouts.discoverMs),
    spans: await lane('spans', timeouts.discoverMs),
    audit: await lane('audit', timeouts.auditMs),
  };
  client.destroy();
  const close = async () => {
    await server.close();
    await fauxqs.close();
  };
  return { endpoint, credentials, lanes, createClient, close };
}

type Fauxqs = ReturnType<typeof buildApp>;

/** Passes a signed request to SQS on to fauxqs, and its response back. */
async function passOn(
  request: IncomingMessage,
  response: ServerResponse,
  fauxqs: Fauxqs,
  credentials: Credentials,
): Promise<void> {
  const body = await readRequestBody(request, maxRequestBytes);
  const refusal = refusalOf(request, body, credentials);
  if (body === undefined || refusal) {
    response.writeHead(refusal?.status ?? 413, { 'content-type': contentType });
    response.end(JSON.stringify({ __type: refusal?.code, message: refusal?.message }));
    return;
  }
  const { host } = request.headers;
  const call = (target: string, payload: Buffer) =>
    fauxqs.inject({
      method: 'POST',
      url: '/',
      headers: { host, 'content-type': contentType, 'x-amz-target': target },
      payload,
    });
  const target = String(request.headers['x-amz-target']);
  const answer = await call(target, body);
  if (request.socket.destroyed) {
    if (target !== `${targetPrefix}ReceiveMessage`) return;
    const visibleAgain = undelivered(body, answer.payload);
    if (visibleAgain) await call(`${targetPrefix}ChangeMessageVisibilityBatch`, visibleAgain);
    return;
  }
  response.writeHead(answer.statusCode, {
    'content-type': answer.headers['content-type'] ?? contentType,
    'x-amzn-requestid': randomUUID(),
    ...(answer.headers['x-amzn-query-error'] && {
      'x-amzn-query-error': answer.headers['x-amzn-query-error'],
    }),
  });
  response.end(answer.rawPayload);
}

const contentType = 'application/x-amz-json-1.0';
const targetPrefix = 'AmazonSQS.';

function refusalOf(
  request: IncomingMessage,
  body: Buffer | undefined,
  credentials: Credentials,
): S3Error | undefined {
  if (body === undefined) return new S3Error(413, 'RequestEntityTooLarge', 'The request is too large.');
  const isSqs =
    request.method === 'POST' &&
    request.headers['content-type'] === contentType &&
    String(request.headers['x-amz-target']).startsWith(targetPrefix);
  if (!isSqs)
    return new S3Error(400, 'InvalidAction', 'Only requests of the JSON protocol of SQS are served.');
  try {
    verifySignature(parseRequest(request), [credentials], systemTime.now(), body);
    return undefined;
  } catch (error) {
    if (error instanceof S3Error) return error;
    throw error;
  }
}

/**
 * fauxqs continues a long poll after its client has disconnected. The next message would be lost to that poll and stay
 * invisible for the whole visibility timeout. This returns the request that makes it visible again at once.
 */
function undelivered(request: Buffer, payload: string): Buffer | undefined {
  const { QueueUrl }: ReceiveMessageCommandInput = JSON.parse(request.toString());
  const { Messages = [] }: ReceiveMessageCommandOutput = JSON.parse(payload);
  if (Messages.length === 0) return undefined;
  const visibleAgain: ChangeMessageVisibilityBatchCommandInput = {
    QueueUrl,
    Entries: Messages.map(({ ReceiptHandle }, index) => ({
      Id: String(index),
      ReceiptHandle,
      VisibilityTimeout: 0,
    })),
  };
  return Buffer.from(JSON.stringify(visibleAgain));
}

function createQueue(client: SQSClient, name: string, attributes: Record<string, string>) {
  return client.send(new CreateQueueCommand({ QueueName: name, Attributes: attributes }));
}

function arnOf(queue: string): string {
  return `arn:aws:sqs:${region}:${account}:${queue}`;
}

function seconds(ms: number): string {
  return String(Math.round(ms / 1_000));
}

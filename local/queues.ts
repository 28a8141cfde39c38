/** Local queues: fauxqs implements the SQS protocol, and the SDK's client connects to it. */

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

const region = 'us-east-1';
const account = '000000000000';

export interface LocalLane extends Lane {
  name: LaneName;
  queueArn: string;
}

export interface LocalQueues {
  /** `http://127.0.0.1:<port>` */
  endpoint: string;
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

/** Starts SQS and creates every lane and its dead-letter queue with the attributes of a deployment. */
export async function startQueues({ port = 0 }: { port?: number } = {}): Promise<LocalQueues> {
  const server = buildApp({ logger: false, defaultRegion: region });
  returnUndeliveredMessages(server);
  const endpoint = await server.listen({ port, host: '127.0.0.1' });
  const createClient = (origin = endpoint, monotonic = systemTime.monotonic) =>
    createSqsClient(
      { endpoint: origin, region, credentials: { accessKeyId: 'local', secretAccessKey: 'local' } },
      monotonic,
    );
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
  };
  client.destroy();
  return { endpoint, lanes, createClient, close: () => server.close() };
}

/**
 * fauxqs continues a long poll after its client has disconnected. The next message would be lost to that poll and stay
 * invisible for the whole visibility timeout, so this makes it visible again at once.
 */
function returnUndeliveredMessages(server: ReturnType<typeof buildApp>): void {
  server.addHook('onSend', async (request, _reply, payload) => {
    const isReceive = request.headers['x-amz-target'] === 'AmazonSQS.ReceiveMessage';
    if (!isReceive || !request.raw.socket.destroyed || typeof payload !== 'string') return;
    const { QueueUrl } = request.body as ReceiveMessageCommandInput;
    const { Messages = [] } = JSON.parse(payload) as ReceiveMessageCommandOutput;
    if (Messages.length === 0) return;
    const visibleAgain: ChangeMessageVisibilityBatchCommandInput = {
      QueueUrl,
      Entries: Messages.map(({ ReceiptHandle }, index) => ({
        Id: String(index),
        ReceiptHandle,
        VisibilityTimeout: 0,
      })),
    };
    await server.inject({
      method: 'POST',
      url: '/',
      headers: {
        'content-type': 'application/x-amz-json-1.0',
        'x-amz-target': 'AmazonSQS.ChangeMessageVisibilityBatch',
      },
      payload: JSON.stringify(visibleAgain),
    });
  });
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

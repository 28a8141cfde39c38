/** The queues of the stack on this machine: fauxqs speaks the SQS protocol, the SDK's client talks to it. */

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
   * A client with the timeouts that the functions have.
   *
   * @param origin of what stands before the queues. @default the queues themselves
   * @param monotonic milliseconds; tells how long a connection was idle
   */
  createClient(origin?: string, monotonic?: () => number): SQSClient;
  close(): Promise<void>;
}

/** Starts SQS, with every lane and its dead-letter queue as they are deployed. */
export async function startQueues({ port = 0 }: { port?: number } = {}): Promise<LocalQueues> {
  const server = buildApp({ logger: false, defaultRegion: region });
  returnWhatNobodyTook(server);
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
    // fauxqs names a host in its queue URLs that does not resolve everywhere: the path is what counts.
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
 * fauxqs goes on with a long poll whose receiver has gone. The next message would then be in the hands of nobody, and
 * invisible for the queue's whole visibility timeout: it is made visible again at once.
 */
function returnWhatNobodyTook(server: ReturnType<typeof buildApp>): void {
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

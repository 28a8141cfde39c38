import { once } from 'node:events';
import { connect } from 'node:net';
import { networkInterfaces } from 'node:os';
import {
  GetQueueAttributesCommand,
  ReceiveMessageCommand,
  SendMessageCommand,
  type SQSClient,
} from '@aws-sdk/client-sqs';
import { describe, expect, it, onTestFinished } from 'vitest';
import { queues as limits, timeouts } from '../../functions/limits.ts';
import { queueDepth } from '../../functions/queue/queue-depth.ts';
import { queueUrl } from '../../functions/settings.ts';
import { type LocalQueues, startQueues } from '../../local/queues.ts';

async function startTestQueues(): Promise<{ queues: LocalQueues; sqs: SQSClient }> {
  const queues = await startQueues();
  const sqs = queues.createClient();
  onTestFinished(async () => {
    sqs.destroy();
    await queues.close();
  });
  return { queues, sqs };
}

/** Addresses of this machine on which a server bound to 127.0.0.1 does not listen. */
function otherAddresses(): string[] {
  const external = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ family, internal }) => family === 'IPv4' && !internal)
    .map(({ address }) => address);
  // Only on Linux, all of 127.0.0.0/8 is local.
  return process.platform === 'linux' ? [...external, '127.0.0.2'] : external;
}

describe('the local queues', () => {
  it('listen only on 127.0.0.1', async () => {
    const { queues } = await startTestQueues();
    const port = Number(new URL(queues.endpoint).port);

    const attempts = otherAddresses().map(async (host) => {
      const socket = connect({ host, port });
      onTestFinished(() => {
        socket.destroy();
      });
      await once(socket, 'connect');
      return host;
    });
    const reached = await Promise.allSettled(attempts);

    expect(new URL(queues.endpoint).hostname).toBe('127.0.0.1');
    expect(reached.filter(({ status }) => status === 'fulfilled')).toEqual([]);
  });

  it.each(['documents', 'backfill', 'discovery', 'spans'] as const)(
    'have the lane %s with the attributes of a deployment',
    async (name) => {
      const { queues, sqs } = await startTestQueues();
      const lane = queues.lanes[name];
      const attributesOf = async (url: string) =>
        (await sqs.send(new GetQueueAttributesCommand({ QueueUrl: url, AttributeNames: ['All'] })))
          .Attributes;

      const live = await attributesOf(lane.queueUrl);
      const dead = await attributesOf(lane.deadLetterQueueUrl);

      const isDiscovery = name === 'discovery' || name === 'spans';
      const timeoutMs = isDiscovery ? timeouts.discoverMs : timeouts.archiveMs;
      expect(live).toMatchObject({
        QueueArn: lane.queueArn,
        VisibilityTimeout: String((6 * timeoutMs) / 1_000),
        MessageRetentionPeriod: String(limits.retentionMs / 1_000),
      });
      expect(JSON.parse(live?.RedrivePolicy ?? '')).toEqual({
        deadLetterTargetArn: dead?.QueueArn,
        maxReceiveCount: isDiscovery ? 432 : 1_000,
      });
      expect(dead?.MessageRetentionPeriod).toBe(String(limits.deadLetterRetentionMs / 1_000));
      expect(dead?.RedrivePolicy).toBeUndefined();
    },
  );

  it('have URLs that the functions accept as settings', async () => {
    const { queues } = await startTestQueues();

    for (const lane of Object.values(queues.lanes)) {
      expect(queueUrl(lane.queueUrl)).toBe(lane.queueUrl);
      expect(queueUrl(lane.deadLetterQueueUrl)).toBe(lane.deadLetterQueueUrl);
    }
  });

  it('are reached at the endpoint, independent of the host in a queue URL', async () => {
    const { queues, sqs } = await startTestQueues();

    await sqs.send(
      new SendMessageCommand({
        QueueUrl: 'https://sqs.us-east-1.example.invalid/000000000000/documents',
        MessageBody: 'here',
      }),
    );

    expect(await queueDepth(sqs, queues.lanes.documents.queueUrl)).toBe(1);
  });

  it('move a message to the dead-letter queue after the maximum receive count', async () => {
    const { queues, sqs } = await startTestQueues();
    const { queueUrl: url, deadLetterQueueUrl } = queues.lanes.documents;
    await sqs.send(new SendMessageCommand({ QueueUrl: url, MessageBody: 'kills the function' }));

    let received = 0;
    while ((await queueDepth(sqs, url)) > 0) {
      const command = new ReceiveMessageCommand({ QueueUrl: url, VisibilityTimeout: 0 });
      const { Messages = [] } = await sqs.send(command);
      received += Messages.length;
    }

    expect(received).toBe(1_000);
    expect(await queueDepth(sqs, deadLetterQueueUrl)).toBe(1);
  });

  it('lose no message to a client that disconnects during its long poll', async () => {
    const { queues, sqs } = await startTestQueues();
    const { queueUrl: url } = queues.lanes.documents;
    const client = await openLongPoll(queues.endpoint, url);

    client.destroy();
    await sqs.send(new SendMessageCommand({ QueueUrl: url, MessageBody: 'for the next receiver' }));
    const { Messages } = await sqs.send(new ReceiveMessageCommand({ QueueUrl: url, WaitTimeSeconds: 10 }), {
      requestTimeout: 0,
    });

    expect(Messages?.map(({ Body }) => Body)).toEqual(['for the next receiver']);
  });

  it('count visible, in-flight and delayed messages', async () => {
    const { queues, sqs } = await startTestQueues();
    const { queueUrl: url } = queues.lanes.documents;
    await sqs.send(new SendMessageCommand({ QueueUrl: url, MessageBody: 'being worked on' }));
    await sqs.send(new ReceiveMessageCommand({ QueueUrl: url }));
    await sqs.send(new SendMessageCommand({ QueueUrl: url, MessageBody: 'delayed', DelaySeconds: 900 }));
    await sqs.send(new SendMessageCommand({ QueueUrl: url, MessageBody: 'to be received' }));

    const depth = await queueDepth(sqs, url);

    expect(depth).toBe(3);
  });
});

/** Opens a socket with a pending long poll. */
async function openLongPoll(endpoint: string, url: string) {
  const { hostname, port } = new URL(endpoint);
  const socket = connect({ host: hostname, port: Number(port) });
  const request = (target: string, body: object) => {
    const payload = JSON.stringify(body);
    return [
      'POST / HTTP/1.1',
      `host: ${hostname}:${port}`,
      'content-type: application/x-amz-json-1.0',
      `x-amz-target: AmazonSQS.${target}`,
      `content-length: ${Buffer.byteLength(payload)}`,
      '',
      payload,
    ].join('\r\n');
  };
  // Responses come in order: after the first one, the second request, sent in the same packet, is being processed.
  socket.write(
    request('GetQueueAttributes', { QueueUrl: url }) +
      request('ReceiveMessage', { QueueUrl: url, WaitTimeSeconds: 20 }),
  );
  await once(socket, 'data');
  return socket;
}

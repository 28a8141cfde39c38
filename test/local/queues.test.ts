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

async function startWorld(): Promise<{ queues: LocalQueues; sqs: SQSClient }> {
  const queues = await startQueues();
  const sqs = queues.createClient();
  onTestFinished(async () => {
    sqs.destroy();
    await queues.close();
  });
  return { queues, sqs };
}

/** Addresses of this machine that a server bound to 127.0.0.1 does not answer on. */
function otherAddresses(): string[] {
  const external = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ family, internal }) => family === 'IPv4' && !internal)
    .map(({ address }) => address);
  // All of 127.0.0.0/8 is this machine on Linux, but only there.
  return process.platform === 'linux' ? [...external, '127.0.0.2'] : external;
}

describe('the local queues', () => {
  it('listen on 127.0.0.1 and nowhere else', async () => {
    const { queues } = await startWorld();
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
    'have %s as it is deployed',
    async (name) => {
      const { queues, sqs } = await startWorld();
      const lane = queues.lanes[name];
      const attributesOf = async (url: string) =>
        (await sqs.send(new GetQueueAttributesCommand({ QueueUrl: url, AttributeNames: ['All'] })))
          .Attributes;

      const live = await attributesOf(lane.queueUrl);
      const dead = await attributesOf(lane.deadLetterQueueUrl);

      const looksUp = name === 'discovery' || name === 'spans';
      const timeoutMs = looksUp ? timeouts.discoverMs : timeouts.archiveMs;
      expect(live).toMatchObject({
        QueueArn: lane.queueArn,
        VisibilityTimeout: String((6 * timeoutMs) / 1_000),
        MessageRetentionPeriod: String(limits.retentionMs / 1_000),
      });
      expect(JSON.parse(live?.RedrivePolicy ?? '')).toEqual({
        deadLetterTargetArn: dead?.QueueArn,
        maxReceiveCount: looksUp ? 432 : 1_000,
      });
      expect(dead?.MessageRetentionPeriod).toBe(String(limits.deadLetterRetentionMs / 1_000));
      expect(dead?.RedrivePolicy).toBeUndefined();
    },
  );

  it('have URLs that the functions take as settings', async () => {
    const { queues } = await startWorld();

    for (const lane of Object.values(queues.lanes)) {
      expect(queueUrl(lane.queueUrl)).toBe(lane.queueUrl);
      expect(queueUrl(lane.deadLetterQueueUrl)).toBe(lane.deadLetterQueueUrl);
    }
  });

  it('are reached by their clients at the endpoint, whatever host a queue URL names', async () => {
    const { queues, sqs } = await startWorld();

    await sqs.send(
      new SendMessageCommand({
        QueueUrl: 'https://sqs.us-east-1.example.invalid/000000000000/documents',
        MessageBody: 'here',
      }),
    );

    expect(await queueDepth(sqs, queues.lanes.documents.queueUrl)).toBe(1);
  });

  it('make a dead letter of what has been received too often', async () => {
    const { queues, sqs } = await startWorld();
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

  it('lose nothing to a receiver that has gone in the middle of its long poll', async () => {
    const { queues, sqs } = await startWorld();
    const { queueUrl: url } = queues.lanes.documents;
    const gone = await openLongPoll(queues.endpoint, url);

    gone.destroy();
    await sqs.send(new SendMessageCommand({ QueueUrl: url, MessageBody: 'for the living' }));
    const { Messages } = await sqs.send(new ReceiveMessageCommand({ QueueUrl: url, WaitTimeSeconds: 10 }), {
      requestTimeout: 0,
    });

    expect(Messages?.map(({ Body }) => Body)).toEqual(['for the living']);
  });

  it('count messages in whatever state they are', async () => {
    const { queues, sqs } = await startWorld();
    const { queueUrl: url } = queues.lanes.documents;
    await sqs.send(new SendMessageCommand({ QueueUrl: url, MessageBody: 'being worked on' }));
    await sqs.send(new ReceiveMessageCommand({ QueueUrl: url }));
    await sqs.send(new SendMessageCommand({ QueueUrl: url, MessageBody: 'delayed', DelaySeconds: 900 }));
    await sqs.send(new SendMessageCommand({ QueueUrl: url, MessageBody: 'to be received' }));

    const depth = await queueDepth(sqs, url);

    expect(depth).toBe(3);
  });
});

/** A socket on which SQS has got a ReceiveMessage that waits, as it answers requests in the order they come. */
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
  // Once the first request is answered, the second one, sent in the same packet, is being worked on.
  socket.write(
    request('GetQueueAttributes', { QueueUrl: url }) +
      request('ReceiveMessage', { QueueUrl: url, WaitTimeSeconds: 20 }),
  );
  await once(socket, 'data');
  return socket;
}

import { once } from 'node:events';
import { connect } from 'node:net';
import { networkInterfaces } from 'node:os';
import {
  GetQueueAttributesCommand,
  ReceiveMessageCommand,
  SendMessageCommand,
  SQSClient,
} from '@aws-sdk/client-sqs';
import { describe, expect, it, onTestFinished } from 'vitest';
import { queues as limits, timeouts } from '../../functions/limits.ts';
import { queueDepth } from '../../functions/queue/queue-depth.ts';
import { queueUrl } from '../../functions/settings.ts';
import { type LocalQueues, startQueues } from '../../local/queues.ts';
import { createCredentials } from '../../local/s3/archive-bucket.ts';

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
    const client = await openLongPoll(queues, url);

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

/** A request as the SDK signs it. */
interface SignedRequest {
  path: string;
  headers: Record<string, string>;
  body: string;
}

/** Signs the command as the client does, and sends nothing. */
async function signedRequest(
  { endpoint, credentials }: LocalQueues,
  command: GetQueueAttributesCommand | ReceiveMessageCommand | SendMessageCommand,
): Promise<SignedRequest> {
  const captured: SignedRequest[] = [];
  const client = new SQSClient({
    endpoint,
    region: 'us-east-1',
    credentials,
    maxAttempts: 1,
    requestHandler: {
      handle: async (request: SignedRequest) => {
        captured.push(request);
        throw new Error('Only the request is needed.');
      },
    },
  });
  await expect(client.send(command as SendMessageCommand)).rejects.toThrow('Only the request is needed.');
  client.destroy();
  const [request] = captured;
  if (!request) throw new Error('No request was signed.');
  return request;
}

/** Opens a socket with a pending long poll. */
async function openLongPoll(queues: LocalQueues, QueueUrl: string) {
  const { hostname, port } = new URL(queues.endpoint);
  const socket = connect({ host: hostname, port: Number(port) });
  const asText = ({ path, headers, body }: SignedRequest) =>
    [
      `POST ${path} HTTP/1.1`,
      ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
      '',
      body,
    ].join('\r\n');
  // Responses come in order: after the first one, the second request, sent in the same packet, is being processed.
  const first = await signedRequest(queues, new GetQueueAttributesCommand({ QueueUrl }));
  const poll = await signedRequest(queues, new ReceiveMessageCommand({ QueueUrl, WaitTimeSeconds: 20 }));
  socket.write(asText(first) + asText(poll));
  const [response] = await once(socket, 'data');
  expect(String(response)).toMatch(/^HTTP\/1\.1 200 /);
  return socket;
}

describe('the port of the queues', () => {
  async function startPort() {
    const { queues, sqs } = await startTestQueues();
    const { queueUrl } = queues.lanes.documents;
    const depth = () => queueDepth(sqs, queueUrl);
    const signed = () =>
      signedRequest(queues, new SendMessageCommand({ QueueUrl: queueUrl, MessageBody: 'hello' }));
    const post = async (headers: Record<string, string>, body: string, path = '/') => {
      const response = await fetch(`${queues.endpoint}${path}`, { method: 'POST', headers, body });
      return { status: response.status, body: await response.text() };
    };
    return { queues, queueUrl, depth, signed, post };
  }

  it('accepts a request signed with its credentials', async () => {
    const { signed, post, depth } = await startPort();
    const { headers, body } = await signed();

    expect(await post(headers, body)).toMatchObject({ status: 200 });
    expect(await depth()).toBe(1);
  });

  it('returns 403 for a request without a signature', async () => {
    const { signed, post, depth } = await startPort();
    const { headers, body } = await signed();
    const { authorization: _, ...unsigned } = headers;

    expect(await post(unsigned, body)).toMatchObject({ status: 403 });
    expect(await depth()).toBe(0);
  });

  it('returns 403 for a request with another body than the signed one', async () => {
    const { signed, post, depth } = await startPort();
    const { headers, body } = await signed();

    const received = await post(headers, body.replace('hello', 'other'));

    expect(received.status).toBe(403);
    expect(JSON.parse(received.body)).toMatchObject({ __type: 'SignatureDoesNotMatch' });
    expect(await depth()).toBe(0);
  });

  it.each([
    ['other credentials', () => createCredentials(), 'InvalidAccessKeyId'],
    [
      'another secret for the same access key',
      ({ accessKeyId }: LocalQueues['credentials']) => ({ ...createCredentials(), accessKeyId }),
      'SignatureDoesNotMatch',
    ],
  ])('refuses a client with %s', async (_what, credentialsFor, name) => {
    const { queues, queueUrl, depth } = await startPort();
    const client = new SQSClient({
      endpoint: queues.endpoint,
      region: 'us-east-1',
      credentials: credentialsFor(queues.credentials),
      maxAttempts: 1,
    });
    onTestFinished(() => client.destroy());

    const sent = client.send(new SendMessageCommand({ QueueUrl: queueUrl, MessageBody: 'hello' }));

    await expect(sent).rejects.toMatchObject({ name, $metadata: { httpStatusCode: 403 } });
    expect(await depth()).toBe(0);
  });

  it('does not serve SNS, to which any program could subscribe a queue', async () => {
    const { post, depth } = await startPort();
    const form = { 'content-type': 'application/x-www-form-urlencoded' };

    for (const body of ['Action=CreateTopic&Name=t', 'Action=GetCallerIdentity']) {
      expect(await post(form, body)).toMatchObject({ status: 400 });
    }
    expect(await depth()).toBe(0);
  });

  it.each(['/_fauxqs/queues', '/health', '/bucket'])('does not serve GET %s', async (path) => {
    const { queues } = await startPort();

    expect((await fetch(`${queues.endpoint}${path}`)).status).toBe(400);
  });

  it('returns 413 for a request of more than 8 MiB', async () => {
    const { signed, post } = await startPort();
    const { headers } = await signed();

    const { 'content-length': _, ...others } = headers;

    expect(await post(others, 'x'.repeat(8 * 1024 ** 2 + 1))).toMatchObject({ status: 413 });
  });

  it('has other credentials at each start', async () => {
    const { queues: first } = await startPort();
    const { queues: second } = await startPort();

    expect(second.credentials.accessKeyId).not.toBe(first.credentials.accessKeyId);
    expect(second.credentials.secretAccessKey).not.toBe(first.credentials.secretAccessKey);
    expect(second.credentials.secretAccessKey).toMatch(/^[\w-]{40}$/);
  });
});

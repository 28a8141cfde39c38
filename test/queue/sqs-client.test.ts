import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { SendMessageCommand } from '@aws-sdk/client-sqs';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { calls } from '../../functions/limits.ts';
import { createSqsClient } from '../../functions/queue/sqs-client.ts';
import { startQueues } from '../../local/queues.ts';

/** Sets the environment variables with which Lambda, or the local stack, starts a function. */
function stubEnvironment(endpoint: string, credentials = { accessKeyId: 'local', secretAccessKey: 'local' }) {
  const variables = {
    AWS_ENDPOINT_URL_SQS: endpoint,
    AWS_REGION: 'us-east-1',
    AWS_ACCESS_KEY_ID: credentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
  };
  for (const [name, value] of Object.entries(variables)) vi.stubEnv(name, value);
  onTestFinished(() => {
    vi.unstubAllEnvs();
  });
}

function createClient() {
  const client = createSqsClient();
  onTestFinished(() => client.destroy());
  return client;
}

const unresolvable = 'http://sqs.us-east-1.invalid:1/000000000000/documents';

describe('the SQS client', () => {
  it('sends requests to the endpoint from the environment, not to the host of the queue URL', async () => {
    const queues = await startQueues();
    onTestFinished(queues.close);
    stubEnvironment(queues.endpoint, queues.credentials);

    const { MessageId } = await createClient().send(
      new SendMessageCommand({ QueueUrl: unresolvable, MessageBody: 'x' }),
    );

    expect(MessageId).toEqual(expect.any(String));
  });

  it('reuses its connection and times out when SQS does not respond', async () => {
    let requests = 0;
    let connections = 0;
    const server = createServer((request, response) => {
      requests += 1;
      if (requests > 3) return;
      request.resume().on('end', () => {
        response.setHeader('content-type', 'application/x-amz-json-1.0');
        response.end('{"MessageId":"1","MD5OfMessageBody":"9dd4e461268c8034f5c8564e155c67a6"}');
      });
    });
    server.on('connection', () => {
      connections += 1;
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
    stubEnvironment(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    const client = createClient();
    const send = () => client.send(new SendMessageCommand({ QueueUrl: unresolvable, MessageBody: 'x' }));

    for (let call = 0; call < 3; call += 1) await send();
    expect(connections).toBe(1);

    const startedAt = performance.now();
    await expect(send()).rejects.toMatchObject({ name: 'TimeoutError' });
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(calls.queueMs - 1);
  });
});

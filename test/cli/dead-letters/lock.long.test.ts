/** Locks of dead letters: released however a process ends, and known to it however slow SQS is. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { CreateQueueCommand, GetQueueAttributesCommand, SendMessageBatchCommand } from '@aws-sdk/client-sqs';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { readDeadLetters } from '../../../cli/dead-letters/lock.ts';
import { laneNames } from '../../../functions/queue/lanes.ts';
import { queueDepth } from '../../../functions/queue/queue-depth.ts';
import { startQueues } from '../../../local/queues.ts';
import { startWorld } from '../queues-world.ts';
import { type SqsProxyOptions, startSqsProxy } from '../sqs-proxy.ts';

const entry = fileURLToPath(new URL('../../../cli/archiver.ts', import.meta.url));
const letters = 30;
/** The first batch, which is sent before the redrive waits because of `--rate 1`. */
const sent = 10;

/** A module for `--import`. */
const throwsOnSigusr2 = `data:text/javascript,process.on('SIGUSR2', () => { throw new Error('Unexpected.'); })`;

/** CloudFormation with a stack that has no outputs. @returns its URL */
async function startCloudFormation(): Promise<string> {
  const server = createServer((_request, response) => {
    response.setHeader('content-type', 'text/xml');
    response.end(
      '<DescribeStacksResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/"><DescribeStacksResult><Stacks><member><StackName>x</StackName></member></Stacks></DescribeStacksResult></DescribeStacksResponse>',
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Starts a redrive on the queues of a deployed archiver. */
async function startRedrive(release: Partial<SqsProxyOptions> = {}) {
  const queues = await startQueues();
  const sqs = queues.createClient();
  for (const lane of laneNames) {
    for (const suffix of ['', '-dead-letters']) {
      await sqs.send(new CreateQueueCommand({ QueueName: `telnyx-archiver-${lane}${suffix}` }));
    }
  }
  const urlOf = (name: string) => queues.lanes.discovery.queueUrl.replace(/[^/]*$/, name);
  const QueueUrl = urlOf('telnyx-archiver-discovery-dead-letters');
  for (let n = 0; n < letters; n += 10) {
    const Entries = Array.from({ length: 10 }, (_, m) => ({
      Id: String(m),
      MessageBody: `not a message ${n + m}`,
    }));
    await sqs.send(new SendMessageBatchCommand({ QueueUrl, Entries }));
  }
  const proxy = await startSqsProxy(queues, {
    operation: 'ChangeMessageVisibilityBatch',
    ...release,
  });
  const cloudFormation = await startCloudFormation();
  const redrive = spawn(
    process.execPath,
    ['--import', throwsOnSigusr2, entry, 'redrive', '--yes', '--rate', '1'],
    {
      env: {
        PATH: process.env.PATH,
        HOME: '/nowhere',
        AWS_REGION: 'us-east-1',
        AWS_ACCESS_KEY_ID: 'local',
        AWS_SECRET_ACCESS_KEY: 'local',
        AWS_ENDPOINT_URL_SQS: proxy,
        AWS_ENDPOINT_URL_CLOUDFORMATION: cloudFormation,
      },
    },
  );
  onTestFinished(async () => {
    redrive.kill('SIGKILL');
    sqs.destroy();
    await queues.close();
  });
  // Unread output could fill the pipe.
  redrive.stdout.resume();
  redrive.stderr.resume();
  const count = async (name: 'ApproximateNumberOfMessages' | 'ApproximateNumberOfMessagesNotVisible') => {
    const { Attributes } = await sqs.send(
      new GetQueueAttributesCommand({ QueueUrl, AttributeNames: [name] }),
    );
    return Number(Attributes?.[name]);
  };
  const locked = () => count('ApproximateNumberOfMessagesNotVisible');
  return {
    redrive,
    locked,
    visible: () => count('ApproximateNumberOfMessages'),
    untilFirstBatchIsSent: () =>
      vi.waitFor(
        async () => {
          expect(await queueDepth(sqs, urlOf('telnyx-archiver-discovery'))).toBe(sent);
          expect(await locked()).toBe(letters - sent);
        },
        { timeout: 30_000, interval: 50 },
      ),
  };
}

async function exitCodeOf(redrive: ChildProcess): Promise<number | null> {
  const [exitCode] = await once(redrive, 'exit');
  return exitCode;
}

describe('a redrive releases what it has locked', () => {
  it.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('on %s, and exits with 130', async (signal) => {
    const { redrive, locked, visible, untilFirstBatchIsSent } = await startRedrive();
    await untilFirstBatchIsSent();

    redrive.kill(signal);

    expect(await exitCodeOf(redrive)).toBe(130);
    expect([await locked(), await visible()]).toEqual([0, letters - sent]);
  });

  it('on a second Ctrl-C while it is releasing', async () => {
    const releasing = Promise.withResolvers<void>();
    const { redrive, locked, visible, untilFirstBatchIsSent } = await startRedrive({
      delayMs: 500,
      onRequest: () => releasing.resolve(),
    });
    await untilFirstBatchIsSent();

    redrive.kill('SIGINT');
    await releasing.promise;
    redrive.kill('SIGINT');

    expect(await exitCodeOf(redrive)).toBe(130);
    expect([await locked(), await visible()]).toEqual([0, letters - sent]);
  });

  it('after an error that no part of it catches, and exits with 2', async () => {
    const { redrive, locked, visible, untilFirstBatchIsSent } = await startRedrive();
    await untilFirstBatchIsSent();

    redrive.kill('SIGUSR2');

    expect(await exitCodeOf(redrive)).toBe(2);
    expect([await locked(), await visible()]).toEqual([0, letters - sent]);
  });

  it('when the reader of its output closes the pipe', async () => {
    const { redrive, locked, visible } = await startRedrive();

    redrive.stdout.destroy();

    expect(await exitCodeOf(redrive)).not.toBe(0);
    expect(await locked()).toBe(0);
    expect(await visible()).toBeGreaterThanOrEqual(letters - sent);
  });

  it('when the reader of its messages closes the pipe', async () => {
    const { redrive, locked, visible, untilFirstBatchIsSent } = await startRedrive();
    await untilFirstBatchIsSent();

    redrive.stderr.destroy();

    expect(await exitCodeOf(redrive)).not.toBe(0);
    expect([await locked(), await visible()]).toEqual([0, letters - sent]);
  });
});

it('reads the dead letters although each response takes longer than the functions wait for one', async () => {
  const { run, addDeadLetter, proxySqs, visibleDeadLetters } = await startWorld();
  for (const digit of ['1', '2', '3']) await addDeadLetter(`5a3b1e00-0000-4000-8000-00000000000${digit}`);
  await proxySqs({ operation: 'ReceiveMessage', delayMs: 1_600 });
  let read: unknown[] = [];

  await run(async ({ target, signal }) => {
    ({ letters: read } = await readDeadLetters(await target.queues(), {
      signal,
      lanes: ['documents'],
    }));
    return 0;
  });

  expect(read).toHaveLength(3);
  expect(await visibleDeadLetters('documents')).toBe(3);
});

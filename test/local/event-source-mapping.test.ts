import { ChangeMessageVisibilityCommand, SendMessageCommand, type SQSClient } from '@aws-sdk/client-sqs';
import type { SQSEvent } from 'aws-lambda';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { systemTime } from '../../functions/time.ts';
import { failedIds, pollQueue } from '../../local/event-source-mapping.ts';
import type { LambdaHandler } from '../../local/lambda.ts';
import { type LocalQueues, queueDepth, startQueues } from '../../local/queues.ts';

const ids = ['a', 'b', 'c'];

describe('an answer with batch item failures', () => {
  it.each<[string, unknown, string[]]>([
    ['an empty list', { batchItemFailures: [] }, []],
    ['no list', {}, []],
    ['a null list', { batchItemFailures: null }, []],
    ['null', null, []],
    ['nothing', undefined, []],
    ['a misspelt list, which AWS takes for success', { batchItemFailure: [{ itemIdentifier: 'a' }] }, []],
    ['some of the ids', { batchItemFailures: [{ itemIdentifier: 'b' }] }, ['b']],
    ['an empty id', { batchItemFailures: [{ itemIdentifier: '' }] }, ids],
    ['a null id', { batchItemFailures: [{ itemIdentifier: null }] }, ids],
    ['a misspelt id', { batchItemFailures: [{ itemIdentifer: 'a' }] }, ids],
    ['an id of another batch', { batchItemFailures: [{ itemIdentifier: 'z' }] }, ids],
    ['an item that is no object', { batchItemFailures: ['a'] }, ids],
    ['a list that is none', { batchItemFailures: 'a' }, ids],
  ])('that is %s is read as AWS reads it', (_shape, answer, failed) => {
    expect([...failedIds(answer, ids)]).toEqual(failed);
  });

  it('never reports an id that is not of the batch', () => {
    fc.assert(
      fc.property(fc.anything(), (answer) => {
        for (const id of failedIds(answer, ids)) expect(ids).toContain(id);
      }),
    );
  });
});

interface World {
  queues: LocalQueues;
  sqs: SQSClient;
  send(body: string): Promise<unknown>;
  map(
    handler: LambdaHandler<SQSEvent>,
    options?: { maximumConcurrency?: number; timeoutMs?: number },
  ): ReturnType<typeof pollQueue>;
  errors: unknown[];
  depth(): Promise<number>;
}

async function startWorld(): Promise<World> {
  const queues = await startQueues();
  const sqs = queues.createClient();
  onTestFinished(async () => {
    sqs.destroy();
    await queues.close();
  });
  const { queueUrl, queueArn } = queues.lanes.documents;
  const errors: unknown[] = [];
  return {
    queues,
    sqs,
    errors,
    send: (body) => sqs.send(new SendMessageCommand({ QueueUrl: queueUrl, MessageBody: body })),
    depth: () => queueDepth(sqs, queueUrl),
    map: (handler, { maximumConcurrency = 1, timeoutMs = 10_000 } = {}) => {
      const client = queues.createClient();
      const mapping = pollQueue({
        sqs: client,
        queueUrl,
        queueArn,
        handler,
        functionName: 'archive',
        timeoutMs,
        maximumConcurrency,
        time: systemTime,
        onError: (error) => errors.push(error),
      });
      onTestFinished(async () => {
        await mapping.stop();
        client.destroy();
      });
      return mapping;
    },
  };
}

const untilEmpty = (world: World) =>
  vi.waitFor(async () => expect(await world.depth()).toBe(0), { timeout: 30_000, interval: 50 });

describe('an event source mapping', () => {
  it('hands over records as Lambda does and deletes them after success', async () => {
    const world = await startWorld();
    const seen: SQSEvent[] = [];
    await world.send('hello');

    world.map(async (event) => {
      seen.push(event);
      return { batchItemFailures: [] };
    });
    await untilEmpty(world);

    expect(seen[0]?.Records[0]).toMatchObject({
      body: 'hello',
      eventSource: 'aws:sqs',
      eventSourceARN: 'arn:aws:sqs:us-east-1:000000000000:documents',
      awsRegion: 'us-east-1',
      attributes: { ApproximateReceiveCount: '1', SentTimestamp: expect.stringMatching(/^\d{13}$/) },
      messageAttributes: {},
    });
  });

  it('brings back only what was reported as failed, with its visibility and a higher receive count', async () => {
    const world = await startWorld();
    const receives: string[] = [];
    for (const body of ['good', 'bad']) await world.send(body);

    world.map(async ({ Records }) => {
      const failures = [];
      for (const { body, attributes, messageId, receiptHandle } of Records) {
        receives.push(`${body} ${attributes.ApproximateReceiveCount}`);
        if (body !== 'bad' || attributes.ApproximateReceiveCount === '3') continue;
        await world.sqs.send(
          new ChangeMessageVisibilityCommand({
            QueueUrl: world.queues.lanes.documents.queueUrl,
            ReceiptHandle: receiptHandle,
            VisibilityTimeout: 0,
          }),
        );
        failures.push({ itemIdentifier: messageId });
      }
      return { batchItemFailures: failures };
    });
    await untilEmpty(world);

    expect(receives.sort()).toEqual(['bad 1', 'bad 2', 'bad 3', 'good 1']);
  });

  it.each<[string, LambdaHandler<SQSEvent>, number]>([
    ['throws', () => Promise.reject(new Error('broken')), 10_000],
    ['outlives its time limit', () => new Promise(() => undefined), 100],
    ['gives an answer that is no JSON', async () => ({ batchItemFailures: [], size: 1n }), 10_000],
  ])('keeps the whole batch when the function %s', async (_how, handler, timeoutMs) => {
    const world = await startWorld();
    await world.send('kept');

    world.map(handler, { timeoutMs });
    await vi.waitFor(() => expect(world.errors).toHaveLength(1), { timeout: 10_000 });

    expect(await world.depth()).toBe(1);
  });

  it('reaches its maximum concurrency and never exceeds it', async () => {
    const world = await startWorld();
    let now = 0;
    let most = 0;
    let reached: (() => void) | undefined;
    const three = new Promise<void>((resolve) => {
      reached = resolve;
    });

    world.map(
      async () => {
        now += 1;
        most = Math.max(most, now);
        if (now === 3) reached?.();
        await three;
        await new Promise(setImmediate);
        now -= 1;
        return { batchItemFailures: [] };
      },
      { maximumConcurrency: 3 },
    );
    for (let i = 0; i < 40; i += 1) await world.send(String(i));
    await untilEmpty(world);

    expect(most).toBe(3);
  });

  it('stops at once in the middle of a long poll', async () => {
    const world = await startWorld();
    const mapping = world.map(async () => null, { maximumConcurrency: 5 });
    await new Promise(setImmediate);
    const began = systemTime.monotonic();

    await mapping.stop();

    expect(systemTime.monotonic() - began).toBeLessThan(5_000);
  });

  it('goes on when SQS was away for a while', async () => {
    const first = await startQueues();
    const port = Number(new URL(first.endpoint).port);
    const client = first.createClient();
    const seen: string[] = [];
    const errors: unknown[] = [];
    const mapping = pollQueue({
      sqs: client,
      ...first.lanes.documents,
      handler: async ({ Records }) => {
        for (const { body } of Records) seen.push(body);
      },
      functionName: 'archive',
      timeoutMs: 1_000,
      maximumConcurrency: 1,
      time: systemTime,
      onError: (error) => errors.push(error),
    });
    await first.close();
    await vi.waitFor(() => expect(errors.length).toBeGreaterThan(0), { timeout: 10_000 });

    const second = await startQueues({ port });
    onTestFinished(async () => {
      await mapping.stop();
      client.destroy();
      await second.close();
    });
    await client.send(
      new SendMessageCommand({ QueueUrl: second.lanes.documents.queueUrl, MessageBody: 'after' }),
    );

    await vi.waitFor(() => expect(seen).toEqual(['after']), { timeout: 20_000 });
  });
});

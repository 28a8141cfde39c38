import {
  ChangeMessageVisibilityCommand,
  ReceiveMessageCommand,
  SendMessageBatchCommand,
  SendMessageCommand,
  type SQSClient,
} from '@aws-sdk/client-sqs';
import type { SQSEvent } from 'aws-lambda';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { queueDepth } from '../../../functions/queue/queue-depth.ts';
import { createSqsClient } from '../../../functions/queue/sqs-client.ts';
import { systemTime } from '../../../functions/time.ts';
import { type EventSourceMapping, failedIds, pollQueue } from '../../../local/lambda/event-source-mapping.ts';
import type { LambdaHandler } from '../../../local/lambda/invoke.ts';
import { type LocalQueues, startQueues } from '../../../local/queues.ts';

type Shape = (ids: readonly string[]) => unknown;
const none = () => [];
const all = (ids: readonly string[]) => [...ids];

/** Responses of a function to a batch, and the messages that AWS then treats as failed. */
const shapes: [string, Shape, (ids: readonly string[]) => (string | undefined)[]][] = [
  ['an empty list', () => ({ batchItemFailures: [] }), none],
  ['no list', () => ({}), none],
  ['a null list', () => ({ batchItemFailures: null }), none],
  ['null', () => null, none],
  ['undefined', () => undefined, none],
  ['a misspelt list name', ([id]) => ({ batchItemFailure: [{ itemIdentifier: id }] }), none],
  ['one of the IDs', ([, id]) => ({ batchItemFailures: [{ itemIdentifier: id }] }), ([, id]) => [id]],
  ['all of the IDs', (ids) => ({ batchItemFailures: ids.map((id) => ({ itemIdentifier: id })) }), all],
  [
    'the same ID twice',
    ([id]) => ({ batchItemFailures: [{ itemIdentifier: id }, { itemIdentifier: id }] }),
    ([id]) => [id],
  ],
  ['an empty ID', () => ({ batchItemFailures: [{ itemIdentifier: '' }] }), all],
  ['a null ID', () => ({ batchItemFailures: [{ itemIdentifier: null }] }), all],
  ['a misspelt ID name', ([id]) => ({ batchItemFailures: [{ itemIdentifer: id }] }), all],
  [
    'an ID of another batch after a valid one',
    ([id]) => ({ batchItemFailures: [{ itemIdentifier: id }, { itemIdentifier: 'z' }] }),
    all,
  ],
  ['an item that is not an object', ([id]) => ({ batchItemFailures: [id] }), all],
  ['a null item', () => ({ batchItemFailures: [null] }), all],
  ['a list that is a string', ([id]) => ({ batchItemFailures: id }), all],
  ['a string', () => 'OK', all],
  ['a list of IDs', (ids) => ids, all],
];

interface World {
  queues: LocalQueues;
  sqs: SQSClient;
  send(body: string): Promise<unknown>;
  connect(
    handler: LambdaHandler<SQSEvent>,
    options?: { maximumConcurrency?: number; timeoutMs?: number; client?: SQSClient },
  ): EventSourceMapping;
  errors: unknown[];
  messageCount(): Promise<number>;
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
    messageCount: () => queueDepth(sqs, queueUrl),
    connect: (
      handler,
      { maximumConcurrency = 1, timeoutMs = 10_000, client = queues.createClient() } = {},
    ) => {
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
  vi.waitFor(async () => expect(await world.messageCount()).toBe(0), { timeout: 30_000, interval: 50 });

/** Resolves once `count` long polls have been sent. */
function untilPolling(client: SQSClient, count = 1): Promise<void> {
  const sent = vi.spyOn(client, 'send');
  return vi.waitFor(() => {
    const polls = sent.mock.calls.filter(([command]) => command instanceof ReceiveMessageCommand);
    expect(polls.length).toBeGreaterThanOrEqual(count);
  });
}

describe('failedIds', () => {
  it.each(shapes)(
    'keeps the messages in the queue that AWS would keep, for a response with %s',
    async (_shape, shape, failed) => {
      const world = await startWorld();
      await world.sqs.send(
        new SendMessageBatchCommand({
          QueueUrl: world.queues.lanes.documents.queueUrl,
          Entries: ['a', 'b', 'c'].map((name) => ({ Id: name, MessageBody: name })),
        }),
      );
      const batch = Promise.withResolvers<string[]>();

      const mapping = world.connect(async ({ Records }) => {
        const ids = Records.map(({ messageId }) => messageId);
        batch.resolve(ids);
        return shape(ids);
      });
      const ids = await batch.promise;
      await mapping.stop();

      expect(ids).toHaveLength(3);
      expect(await world.messageCount()).toBe(failed(ids).length);
      expect([...failedIds(shape(ids), ids)]).toEqual(failed(ids));
      expect(world.errors).toEqual([]);
    },
  );

  it('contains every listed message, and only messages of the batch', () => {
    const ids = ['a', 'b', 'c'];
    const item = fc.record({ itemIdentifier: fc.oneof(fc.constantFrom(...ids), fc.anything()) });

    fc.assert(
      fc.property(fc.array(fc.oneof(item, fc.anything())), (items) => {
        const failed = failedIds({ batchItemFailures: items }, ids);

        const named = items.flatMap((one) => ids.filter((id) => Object(one).itemIdentifier === id));
        for (const id of named) expect(failed).toContain(id);
        for (const id of failed) expect(ids).toContain(id);
      }),
    );
  });

  it('does not throw for any response', () => {
    fc.assert(fc.property(fc.anything(), (response) => failedIds(response, ['a']).size <= 1));
  });
});

describe('an event source mapping', () => {
  it('passes records as Lambda does and deletes them after success', async () => {
    const world = await startWorld();
    const seen: SQSEvent[] = [];
    await world.send('hello');

    world.connect(async (event) => {
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

  it('passes message attributes as Lambda does', async () => {
    const world = await startWorld();
    const seen: SQSEvent[] = [];
    await world.sqs.send(
      new SendMessageCommand({
        QueueUrl: world.queues.lanes.documents.queueUrl,
        MessageBody: 'hello',
        MessageAttributes: {
          code: { DataType: 'String', StringValue: 'Gone' },
          attempts: { DataType: 'Number', StringValue: '7' },
          digest: { DataType: 'Binary', BinaryValue: Uint8Array.of(0, 255) },
        },
      }),
    );

    world.connect(async (event) => {
      seen.push(event);
    });
    await untilEmpty(world);

    const lists = { stringListValues: [], binaryListValues: [] };
    expect(seen[0]?.Records[0]).toMatchObject({
      md5OfBody: '5d41402abc4b2a76b9719d911017c592',
      md5OfMessageAttributes: expect.stringMatching(/^[0-9a-f]{32}$/),
      messageAttributes: {
        code: { dataType: 'String', stringValue: 'Gone', ...lists },
        attempts: { dataType: 'Number', stringValue: '7', ...lists },
        digest: { dataType: 'Binary', binaryValue: 'AP8=', ...lists },
      },
    });
  });

  it('redelivers only failed messages, with a higher receive count', async () => {
    const world = await startWorld();
    const receives: string[] = [];
    for (const body of ['good', 'bad']) await world.send(body);

    world.connect(async ({ Records }) => {
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

  it('redelivers a failed message after the visibility timeout that the function has set', async () => {
    const world = await startWorld();
    const receivedAt: number[] = [];
    let changedAt = 0;
    await world.send('later');

    world.connect(async ({ Records }) => {
      receivedAt.push(systemTime.monotonic());
      if (receivedAt.length > 1) return null;
      for (const { receiptHandle } of Records) {
        changedAt = systemTime.monotonic();
        await world.sqs.send(
          new ChangeMessageVisibilityCommand({
            QueueUrl: world.queues.lanes.documents.queueUrl,
            ReceiptHandle: receiptHandle,
            VisibilityTimeout: 1,
          }),
        );
      }
      throw new Error('not now');
    });
    await untilEmpty(world);

    expect(receivedAt).toHaveLength(2);
    // The wall clock of SQS and the monotonic clock may differ by a millisecond.
    expect((receivedAt[1] ?? 0) - changedAt).toBeGreaterThanOrEqual(999);
  });

  it('reports messages that SQS did not delete', async () => {
    const world = await startWorld();
    const client = world.queues.createClient();
    client.middlewareStack.add(
      (next) => async (args) => {
        const result = await next(args);
        const refused = { Id: '0', Code: 'InternalError', SenderFault: false };
        if (args.input instanceof Object && 'Entries' in args.input) {
          Object.assign(result.output, { Failed: [refused] });
        }
        return result;
      },
      { step: 'initialize' },
    );
    await world.send('not deleted');

    world.connect(async () => null, { client });
    await vi.waitFor(() => expect(world.errors).toHaveLength(1), { timeout: 10_000 });

    expect(String(world.errors[0])).toContain('SQS did not delete 1 messages');
  });

  it('does not apply the request timeout of its client to long polls', async () => {
    const world = await startWorld();
    const client = createSqsClient({
      endpoint: world.queues.endpoint,
      region: 'us-east-1',
      credentials: world.queues.credentials,
      requestHandler: { requestTimeout: 200, throwOnRequestTimeout: true },
    });
    const seen: string[] = [];
    await world.sqs.send(
      new SendMessageCommand({
        QueueUrl: world.queues.lanes.documents.queueUrl,
        MessageBody: 'a second later',
        DelaySeconds: 1,
      }),
    );

    world.connect(async ({ Records }) => void seen.push(...Records.map(({ body }) => body)), { client });
    await untilEmpty(world);

    expect(seen).toEqual(['a second later']);
    expect(world.errors).toEqual([]);
  });

  it.each<[string, LambdaHandler<SQSEvent>, number]>([
    ['throws', () => Promise.reject(new Error('broken')), 10_000],
    ['exceeds its timeout', () => new Promise(() => undefined), 100],
    ['returns a value that is not JSON', async () => ({ batchItemFailures: [], size: 1n }), 10_000],
  ])('keeps the whole batch in the queue when the function %s', async (_how, handler, timeoutMs) => {
    const world = await startWorld();
    await world.send('kept');

    world.connect(handler, { timeoutMs });
    await vi.waitFor(() => expect(world.errors).toHaveLength(1), { timeout: 10_000 });

    expect(await world.messageCount()).toBe(1);
  });

  it('runs at most the maximum of concurrent invocations and leaves further messages in the queue', async () => {
    const world = await startWorld();
    const { queueUrl } = world.queues.lanes.documents;
    await Promise.all(Array.from({ length: 40 }, (_, index) => world.send(String(index))));
    const end = Promise.withResolvers<void>();
    const batches: number[] = [];
    let running = 0;
    let most = 0;

    const mapping = world.connect(
      async ({ Records }) => {
        batches.push(Records.length);
        running += 1;
        most = Math.max(most, running);
        await end.promise;
        running -= 1;
      },
      { maximumConcurrency: 3 },
    );
    await vi.waitFor(() => expect(batches).toEqual([10, 10, 10]));
    // An extra poller would have received these ten messages before.
    const { Messages = [] } = await world.sqs.send(
      new ReceiveMessageCommand({ QueueUrl: queueUrl, MaxNumberOfMessages: 10, VisibilityTimeout: 0 }),
    );
    const runningAtOnce = mapping.running;
    end.resolve();
    await untilEmpty(world);

    expect(Messages).toHaveLength(10);
    expect(runningAtOnce).toBe(3);
    expect(most).toBe(3);
    expect(batches.reduce((sum, size) => sum + size)).toBe(40);
  });

  it('stops without waiting for long polls, which take 20 s', async () => {
    const world = await startWorld();
    const client = world.queues.createClient();
    const polling = untilPolling(client, 5);
    const mapping = world.connect(async () => null, { maximumConcurrency: 5, client });
    await polling;
    const startedAt = systemTime.monotonic();

    await mapping.stop();

    expect(systemTime.monotonic() - startedAt).toBeLessThan(10_000);
    expect(world.errors).toEqual([]);
  });

  it('waits for the running invocation when it stops, and starts no other', async () => {
    const world = await startWorld();
    const begun = Promise.withResolvers<void>();
    const end = Promise.withResolvers<void>();
    const seen: string[] = [];
    await world.send('running');
    const mapping = world.connect(async ({ Records }) => {
      seen.push(...Records.map(({ body }) => body));
      begun.resolve();
      await end.promise;
    });
    await begun.promise;

    const stopped = mapping.stop();
    await world.send('not received');
    expect(mapping.running).toBe(1);
    end.resolve();
    await stopped;

    expect(seen).toEqual(['running']);
    expect(mapping.running).toBe(0);
    expect(await world.messageCount()).toBe(1);
  });

  it('leaves unfinished and later messages to the next mapping', async () => {
    const world = await startWorld();
    const client = world.queues.createClient();
    const polling = untilPolling(client, 3);
    const first = world.connect(
      async ({ Records }) => {
        for (const { receiptHandle } of Records) {
          await world.sqs.send(
            new ChangeMessageVisibilityCommand({
              QueueUrl: world.queues.lanes.documents.queueUrl,
              ReceiptHandle: receiptHandle,
              VisibilityTimeout: 1,
            }),
          );
        }
        return new Promise(() => undefined);
      },
      { maximumConcurrency: 3, timeoutMs: 500, client },
    );
    await polling;
    await world.send('not finished');
    await vi.waitFor(() => expect(first.running).toBe(1));

    await first.stop();
    await world.send('afterwards');
    const seen: string[] = [];
    world.connect(async ({ Records }) => void seen.push(...Records.map(({ body }) => body)));
    await untilEmpty(world);

    expect(seen.sort()).toEqual(['afterwards', 'not finished']);
  });

  it('continues after SQS was unavailable', async () => {
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

    const second = await startQueues({ port, credentials: first.credentials });
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

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

/** What a function may answer about a batch, and which of its messages AWS then takes for failed. */
const shapes: [string, Shape, (ids: readonly string[]) => (string | undefined)[]][] = [
  ['an empty list', () => ({ batchItemFailures: [] }), none],
  ['no list', () => ({}), none],
  ['a null list', () => ({ batchItemFailures: null }), none],
  ['null', () => null, none],
  ['nothing', () => undefined, none],
  ['a misspelt list', ([id]) => ({ batchItemFailure: [{ itemIdentifier: id }] }), none],
  ['one of the ids', ([, id]) => ({ batchItemFailures: [{ itemIdentifier: id }] }), ([, id]) => [id]],
  ['all of the ids', (ids) => ({ batchItemFailures: ids.map((id) => ({ itemIdentifier: id })) }), all],
  [
    'the same id twice',
    ([id]) => ({ batchItemFailures: [{ itemIdentifier: id }, { itemIdentifier: id }] }),
    ([id]) => [id],
  ],
  ['an empty id', () => ({ batchItemFailures: [{ itemIdentifier: '' }] }), all],
  ['a null id', () => ({ batchItemFailures: [{ itemIdentifier: null }] }), all],
  ['a misspelt id', ([id]) => ({ batchItemFailures: [{ itemIdentifer: id }] }), all],
  [
    'an id of another batch beside a good one',
    ([id]) => ({ batchItemFailures: [{ itemIdentifier: id }, { itemIdentifier: 'z' }] }),
    all,
  ],
  ['an item that is no object', ([id]) => ({ batchItemFailures: [id] }), all],
  ['a null item', () => ({ batchItemFailures: [null] }), all],
  ['a list that is none', ([id]) => ({ batchItemFailures: id }), all],
  ['a text', () => 'OK', all],
  ['a list of ids', (ids) => ids, all],
];

interface World {
  queues: LocalQueues;
  sqs: SQSClient;
  send(body: string): Promise<unknown>;
  map(
    handler: LambdaHandler<SQSEvent>,
    options?: { maximumConcurrency?: number; timeoutMs?: number; client?: SQSClient },
  ): EventSourceMapping;
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
    map: (handler, { maximumConcurrency = 1, timeoutMs = 10_000, client = queues.createClient() } = {}) => {
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

/** Resolves once `count` long polls are under way. */
function untilPolling(client: SQSClient, count = 1): Promise<void> {
  const sent = vi.spyOn(client, 'send');
  return vi.waitFor(() => {
    const polls = sent.mock.calls.filter(([command]) => command instanceof ReceiveMessageCommand);
    expect(polls.length).toBeGreaterThanOrEqual(count);
  });
}

describe('an answer about a batch', () => {
  it.each(shapes)('that is %s keeps in the queue what AWS would keep', async (_shape, shape, failed) => {
    const world = await startWorld();
    await world.sqs.send(
      new SendMessageBatchCommand({
        QueueUrl: world.queues.lanes.documents.queueUrl,
        Entries: ['a', 'b', 'c'].map((name) => ({ Id: name, MessageBody: name })),
      }),
    );
    const batch = Promise.withResolvers<string[]>();

    const mapping = world.map(async ({ Records }) => {
      const ids = Records.map(({ messageId }) => messageId);
      batch.resolve(ids);
      return shape(ids);
    });
    const ids = await batch.promise;
    await mapping.stop();

    expect(ids).toHaveLength(3);
    expect(await world.depth()).toBe(failed(ids).length);
    expect([...failedIds(shape(ids), ids)]).toEqual(failed(ids));
    expect(world.errors).toEqual([]);
  });

  it('never acknowledges a message that it names, and fails none that is not of the batch', () => {
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

  it('of any kind at all is read without an error', () => {
    fc.assert(fc.property(fc.anything(), (answer) => failedIds(answer, ['a']).size <= 1));
  });
});

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

  it('hands over message attributes as Lambda does', async () => {
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

    world.map(async (event) => {
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

  it('leaves a failed message invisible for as long as the function has asked for', async () => {
    const world = await startWorld();
    const receivedAt: number[] = [];
    let askedAt = 0;
    await world.send('later');

    world.map(async ({ Records }) => {
      receivedAt.push(systemTime.monotonic());
      if (receivedAt.length > 1) return null;
      for (const { receiptHandle } of Records) {
        askedAt = systemTime.monotonic();
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
    // The wall clock that SQS goes by and the monotonic one may round apart by a millisecond.
    expect((receivedAt[1] ?? 0) - askedAt).toBeGreaterThanOrEqual(999);
  });

  it('reports what SQS does not delete', async () => {
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
    await world.send('deleted, says nobody');

    world.map(async () => null, { client });
    await vi.waitFor(() => expect(world.errors).toHaveLength(1), { timeout: 10_000 });

    expect(String(world.errors[0])).toContain('SQS did not delete 1 messages');
  });

  it('waits in a long poll for longer than its client waits for other answers', async () => {
    const world = await startWorld();
    const client = createSqsClient({
      endpoint: world.queues.endpoint,
      region: 'us-east-1',
      credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
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

    world.map(async ({ Records }) => void seen.push(...Records.map(({ body }) => body)), { client });
    await untilEmpty(world);

    expect(seen).toEqual(['a second later']);
    expect(world.errors).toEqual([]);
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

  it('runs as many invocations at once as it may, and leaves further messages in the queue', async () => {
    const world = await startWorld();
    const { queueUrl } = world.queues.lanes.documents;
    await Promise.all(Array.from({ length: 40 }, (_, index) => world.send(String(index))));
    const end = Promise.withResolvers<void>();
    const batches: number[] = [];
    let running = 0;
    let most = 0;

    const mapping = world.map(
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
    // A poller too many would have asked for these ten before.
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

  it('stops at once in the middle of its long polls', async () => {
    const world = await startWorld();
    const client = world.queues.createClient();
    const polling = untilPolling(client, 5);
    const mapping = world.map(async () => null, { maximumConcurrency: 5, client });
    await polling;
    const began = systemTime.monotonic();

    await mapping.stop();

    expect(systemTime.monotonic() - began).toBeLessThan(1_000);
    expect(world.errors).toEqual([]);
  });

  it('lets the invocation under way end when it stops, and begins no other', async () => {
    const world = await startWorld();
    const begun = Promise.withResolvers<void>();
    const end = Promise.withResolvers<void>();
    const seen: string[] = [];
    await world.send('under way');
    const mapping = world.map(async ({ Records }) => {
      seen.push(...Records.map(({ body }) => body));
      begun.resolve();
      await end.promise;
    });
    await begun.promise;

    const stopped = mapping.stop();
    await world.send('left for the next');
    expect(mapping.running).toBe(1);
    end.resolve();
    await stopped;

    expect(seen).toEqual(['under way']);
    expect(mapping.running).toBe(0);
    expect(await world.depth()).toBe(1);
  });

  it('leaves to the next mapping what it has not finished, and what comes after it', async () => {
    const world = await startWorld();
    const client = world.queues.createClient();
    const polling = untilPolling(client, 3);
    const first = world.map(
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
    world.map(async ({ Records }) => void seen.push(...Records.map(({ body }) => body)));
    await untilEmpty(world);

    expect(seen.sort()).toEqual(['afterwards', 'not finished']);
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

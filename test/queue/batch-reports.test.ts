/** What one receive writes to the log and sends to SQS, field by field. */
import { ChangeMessageVisibilityCommand, type SendMessageCommand, type SQSClient } from '@aws-sdk/client-sqs';
import { describe, expect, it } from 'vitest';
import { ArchiverError } from '../../functions/errors.ts';
import { calls, concurrency, receives, retryTimings, waitingAfterMs } from '../../functions/limits.ts';
import { createLog } from '../../functions/log.ts';
import { type BatchDependencies, consumeBatch, type Job, type Receive } from '../../functions/queue/batch.ts';
import { systemTime } from '../../functions/time.ts';
import { type RecordFacts, sqsEvent, sqsRecord } from '../fakes/sqs-records.ts';

const sentAt = Date.parse('2026-11-24T12:00:00Z');
const never = new AbortController().signal;

/** Receives one record whose work ends so. Its clock grows by 2.6 ms with each look at it. */
async function receive(
  work: () => Promise<object>,
  facts: RecordFacts = {},
  send: (command: unknown, options: { abortSignal: AbortSignal }) => Promise<unknown> = async () => ({}),
  overrides: Partial<BatchDependencies> = {},
) {
  const lines: Record<string, unknown>[] = [];
  const commands: unknown[] = [];
  let looks = 0;
  const job: Job<string> = {
    parse: ({ body }) => body,
    describe: (body) => ({ documentId: `document-${body}` }),
    work: async () => ({ ...(await work()) }),
  };
  const response = await consumeBatch(sqsEvent(sqsRecord(0, { sentAt, ...facts })), never, job, {
    lanes: ['documents', 'backfill'].map((name) => ({
      name,
      live: name === 'documents',
      queueUrl: `http://sqs/1/${name}`,
      deadLetterQueueUrl: `http://sqs/1/${name}-dead`,
    })),
    sqs: {
      send: async (command: unknown, options: { abortSignal: AbortSignal }) => {
        commands.push(command);
        return await send(command, options);
      },
    } as unknown as SQSClient,
    timings: retryTimings,
    log: createLog({ name: 'test', write: (line) => lines.push(JSON.parse(line)), now: () => sentAt }),
    time: { ...systemTime, now: () => sentAt, monotonic: () => 1_000 + 2.6 * looks++ },
    random: () => 0.5,
    ...overrides,
  });
  return {
    failures: response.batchItemFailures.map(({ itemIdentifier }) => itemIdentifier),
    commands,
    logged: lines.filter((line) => !('_aws' in line)).map(({ time, ...line }) => line),
    counted: lines.filter((line) => '_aws' in line).map(({ _aws, ...metrics }) => metrics),
  };
}

const about = { documentId: 'document-0', messageId: 'message-0', lane: 'documents', receives: 1 };
const failing = (error: unknown) => () => Promise.reject(error);

describe('one receive', () => {
  it('logs what was done, with what the work reports and how long it took', async () => {
    const { failures, commands, logged, counted } = await receive(async () => ({ bytes: 7 }));

    expect(failures).toEqual([]);
    expect(commands).toEqual([]);
    expect(logged).toEqual([{ level: 'INFO', message: 'Done', ...about, bytes: 7, outcome: 'done', ms: 3 }]);
    expect(counted).toEqual([]);
  });

  it('logs the outcome that the work reports instead of done', async () => {
    const { logged } = await receive(async () => ({ outcome: 'archived' }));

    expect(logged).toMatchObject([{ outcome: 'archived' }]);
  });

  it('logs why there is nothing to do, and counts no failure', async () => {
    const { failures, logged, counted } = await receive(
      failing(new ArchiverError('OrderGone', 'It is gone.')),
    );

    expect(failures).toEqual([]);
    expect(logged).toEqual([
      {
        level: 'INFO',
        message: 'Nothing to do',
        ...about,
        code: 'OrderGone',
        reason: 'It is gone.',
        outcome: 'nothing-to-do',
      },
    ]);
    expect(counted).toEqual([]);
  });

  it('returns a message to its own queue, with the wait in whole seconds, and logs both', async () => {
    const error = new ArchiverError('TelnyxUnavailable', '503.', {
      cause: Object.assign(new Error('x'), { code: 'ECONNRESET' }),
      retryAfterMs: 7_000.4,
    });

    const { failures, commands, logged, counted } = await receive(failing(error), { queue: 'backfill' });

    expect(failures).toEqual(['message-0']);
    expect(commands).toHaveLength(1);
    expect(commands[0]).toBeInstanceOf(ChangeMessageVisibilityCommand);
    const { input } = commands[0] as ChangeMessageVisibilityCommand;
    expect(input).toEqual({
      QueueUrl: 'http://sqs/1/backfill',
      ReceiptHandle: 'handle-0',
      // Never earlier than asked for.
      VisibilityTimeout: 8,
    });
    expect(logged).toEqual([
      {
        level: 'WARN',
        message: 'Message returns to the queue',
        ...about,
        lane: 'backfill',
        code: 'TelnyxUnavailable',
        reason: '503.',
        cause: 'Error ECONNRESET',
        outcome: 'waiting',
        retryInMs: 7_000,
      },
    ]);
    expect(counted).toEqual([{ ReceivesFailed: 1, Code: 'TelnyxUnavailable' }]);
  });

  it('logs that the visibility was not changed, and why', async () => {
    const { failures, logged } = await receive(
      failing(new ArchiverError('TelnyxUnavailable', '503.')),
      {},
      () => Promise.reject(new TypeError('away')),
    );

    expect(failures).toEqual(['message-0']);
    expect(logged[1]).toEqual({
      level: 'WARN',
      message: 'Visibility timeout not changed',
      messageId: 'message-0',
      lane: 'documents',
      cause: 'TypeError',
    });
  });

  it('sends a dead letter with body, code, reason, receives and first receive, then counts it', async () => {
    const { failures, commands, logged, counted } = await receive(
      failing(new ArchiverError('DocumentInfected', 'Malware.')),
      { receives: 4 },
    );

    expect(failures).toEqual([]);
    expect((commands[0] as SendMessageCommand).input).toMatchObject({
      QueueUrl: 'http://sqs/1/documents-dead',
      MessageBody: '0',
      MessageAttributes: {
        code: { StringValue: 'DocumentInfected' },
        reason: { StringValue: 'Malware.' },
        attempts: { StringValue: '4' },
        firstSeenAt: { StringValue: '2026-11-24T12:00:00.000Z' },
      },
    });
    expect(logged).toEqual([
      {
        level: 'ERROR',
        message: 'Dead letter sent',
        ...about,
        receives: 4,
        code: 'DocumentInfected',
        reason: 'Malware.',
        outcome: 'dead-lettered',
      },
    ]);
    expect(counted).toEqual([
      { ReceivesFailed: 1, Code: 'DocumentInfected' },
      { DeadLetters: 1, Code: 'DocumentInfected', Lane: 'documents' },
    ]);
  });

  it('logs that a dead letter was not sent, counts none and reports the record as failed', async () => {
    const { failures, logged, counted } = await receive(
      failing(new ArchiverError('DocumentInfected', 'Malware.')),
      {},
      () => Promise.reject(new Error('away')),
    );

    expect(failures).toEqual(['message-0']);
    expect(logged).toEqual([
      {
        level: 'ERROR',
        message: 'Dead letter not sent; message returns to the queue',
        ...about,
        code: 'DocumentInfected',
        reason: 'Malware.',
        outcome: 'waiting',
        cause: 'ArchiverError QueueUnavailable',
      },
    ]);
    expect(counted).toEqual([{ ReceivesFailed: 1, Code: 'DocumentInfected' }]);
  });

  it.each([
    [1, 1],
    [10, undefined],
  ])(
    'adds the time that the work took to the age: %i ms before the limit it counts %s waiting message',
    async (beforeLimitMs, waiting) => {
      const now = sentAt + waitingAfterMs - beforeLimitMs;
      let looks = 0;
      const time = { ...systemTime, now: () => now, monotonic: () => 1_000 + 2.6 * looks++ };

      const { counted } = await receive(
        failing(new ArchiverError('TelnyxUnavailable', '503.')),
        { receives: 2 },
        undefined,
        { time },
      );

      expect(counted.find((metrics) => 'MessagesWaiting' in metrics)?.MessagesWaiting).toBe(waiting);
    },
  );

  it('gives each call of SQS its own time limit', async () => {
    const limits: number[] = [];
    const time = {
      ...systemTime,
      after: (ms: number, callback: () => void) => {
        limits.push(ms);
        return systemTime.after(0, callback);
      },
    };
    const reasons: unknown[] = [];

    const { failures } = await receive(
      failing(new Error('x')),
      {},
      (_command, { abortSignal }) =>
        new Promise((_resolve, reject) => {
          abortSignal.addEventListener('abort', () => {
            reasons.push(abortSignal.reason);
            reject(abortSignal.reason);
          });
        }),
      { time },
    );

    expect(failures).toEqual(['message-0']);
    expect(limits).toEqual([calls.queueMs]);
    expect(reasons).toEqual([new Error('SQS did not answer in time.')]);
  });
});

describe('an event', () => {
  const dependencies = {
    lanes: [{ name: 'd', live: true, queueUrl: 'http://sqs/1/documents', deadLetterQueueUrl: 'dead' }],
    sqs: { send: async () => ({}) } as unknown as SQSClient,
    timings: retryTimings,
    log: createLog({ name: 'test', write: () => undefined, now: () => 0 }),
    time: systemTime,
    random: () => 0.5,
  };
  const working = (work: (body: string, receive: Receive) => Promise<void>): Job<string> => ({
    parse: ({ body }) => body,
    describe: () => ({}),
    work: async (body, receive) => {
      await work(body, receive);
      return {};
    },
  });

  it.each([undefined, null, {}, { Records: 'x' }])('that is %j is refused by name', async (event) => {
    const refused = consumeBatch(
      event as never,
      never,
      working(async () => undefined),
      dependencies,
    );

    await expect(refused).rejects.toThrow('Expected an event from an SQS event source mapping.');
  });

  it('from an unknown queue is refused with the name of the queue, and no record is worked on', async () => {
    let worked = 0;

    const refused = consumeBatch(
      sqsEvent(sqsRecord(0), sqsRecord(1, { queue: 'other' })),
      never,
      working(async () => {
        worked += 1;
      }),
      dependencies,
    );

    await expect(refused).rejects.toThrow('No lane is configured for the queue other.');
    expect(worked).toBe(0);
  });

  it('has all its records worked on side by side, and each is told its count of receives and its signal', async () => {
    const everyoneHere = Promise.withResolvers<void>();
    const seen: Receive[] = [];
    const records = Array.from({ length: concurrency.batchSize }, (_, position) =>
      sqsRecord(position, { receives: 1 + (position % (receives.isolateFrom - 1)) }),
    );

    await consumeBatch(
      sqsEvent(...records),
      never,
      working(async (_body, receive) => {
        seen.push(receive);
        if (seen.length === records.length) everyoneHere.resolve();
        await everyoneHere.promise;
      }),
      dependencies,
    );

    expect(seen.map((receive) => receive.receives)).toEqual(
      records.map(({ attributes }) => Number(attributes.ApproximateReceiveCount)),
    );
    expect(new Set(seen.map(({ signal }) => signal))).toEqual(new Set([never]));
  });

  it.each([
    ['the first of them', [receives.isolateFrom, receives.isolateFrom, receives.isolateFrom]],
    ['a record before them', [1, receives.isolateFrom, receives.isolateFrom]],
  ])(
    'has all waiting suspects returned at once, not one after the other, when the time ends during %s',
    async (_which, counts) => {
      const invocation = new AbortController();
      const records = counts.map((count, position) => sqsRecord(position, { receives: count }));
      const suspects = counts.filter((count) => count === receives.isolateFrom).length;
      const allUnderWay = Promise.withResolvers<void>();
      let underWay = 0;
      const sqs = {
        send: async ({ input }: ChangeMessageVisibilityCommand) => {
          const position = Number(input.ReceiptHandle?.replace('handle-', ''));
          if ((counts[position] ?? 0) < receives.isolateFrom) return;
          underWay += 1;
          if (underWay === suspects) allUnderWay.resolve();
          const stopWaiting = setTimeout(
            () => allUnderWay.reject(new Error(`Only ${underWay} at once.`)),
            500,
          );
          await allUnderWay.promise;
          clearTimeout(stopWaiting);
        },
      } as unknown as SQSClient;
      const lines: string[] = [];

      await consumeBatch(
        sqsEvent(...records),
        invocation.signal,
        working(async () => {
          invocation.abort(new ArchiverError('OutOfTime', 'over'));
          invocation.signal.throwIfAborted();
        }),
        {
          ...dependencies,
          sqs,
          log: createLog({ name: 'test', write: (line) => lines.push(line), now: () => 0 }),
        },
      );

      expect(underWay).toBe(suspects);
      expect(lines.filter((line) => line.includes('Visibility timeout not changed'))).toEqual([]);
    },
  );

  it('leaves no listener at the signal of its invocation', async () => {
    const { signal } = new AbortController();
    const listeners = new Set<unknown>();
    const counting = new Proxy(signal, {
      get: (target, name) => {
        if (name === 'addEventListener') return (type: string) => listeners.add(type);
        if (name === 'removeEventListener') return (type: string) => listeners.delete(type);
        const value = Reflect.get(target, name, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });

    await consumeBatch(
      sqsEvent(sqsRecord(0), sqsRecord(1, { receives: receives.isolateFrom })),
      counting,
      working(async () => undefined),
      dependencies,
    );

    expect([...listeners]).toEqual([]);
  });
});

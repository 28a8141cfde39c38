import { ChangeMessageVisibilityCommand, SendMessageCommand, type SQSClient } from '@aws-sdk/client-sqs';
import type { SQSEvent } from 'aws-lambda';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ArchiverError, errorCodes, retryPolicies } from '../../functions/errors.ts';
import { receives, retryTimings, waitingAfterMs } from '../../functions/limits.ts';
import { createLog } from '../../functions/log.ts';
import { consumeBatch, instantOf, type Job, type Receive } from '../../functions/queue/batch.ts';
import { systemTime } from '../../functions/time.ts';
import { sqsEvent, sqsRecord } from '../fakes/sqs-records.ts';
import { propertyRuns } from '../fuzz-runs.ts';

function createWorld(sqsFails: (command: unknown) => boolean = () => false) {
  const commands: unknown[] = [];
  const sqs = {
    send: async (command: unknown) => {
      if (sqsFails(command)) throw new Error('SQS is unavailable');
      commands.push(command);
      return {};
    },
  } as unknown as Pick<SQSClient, 'send'>;
  return {
    commands,
    dependencies: {
      lanes: [
        {
          name: 'documents',
          live: true,
          queueUrl: 'http://sqs/1/documents',
          deadLetterQueueUrl: 'http://sqs/1/dead',
        },
      ],
      sqs,
      timings: retryTimings,
      log: createLog({ name: 'test', write: () => undefined, now: () => 0 }),
      time: systemTime,
      random: () => 0.5,
    },
  };
}

const job = (work: (body: string, signal: AbortSignal) => Promise<unknown>): Job<string> => ({
  parse: ({ body }) => body,
  describe: () => ({}),
  work: async (body, { signal }) => {
    await work(body, signal);
    return {};
  },
});

const never = new AbortController().signal;
const failuresOf = async (
  event: SQSEvent,
  work: (body: string, signal: AbortSignal) => Promise<unknown>,
  signal = never,
  { dependencies } = createWorld(),
) => {
  const response = await consumeBatch(event, signal, job(work), dependencies);
  return response.batchItemFailures.map(({ itemIdentifier }) => itemIdentifier);
};

describe('consumeBatch', () => {
  it('reports each failed record exactly once, whatever the work throws', async () => {
    const thrown = fc.constantFrom<() => unknown>(
      () => undefined,
      () => 'a text',
      () => Object.freeze({ code: 1 }),
      () =>
        new Proxy(
          {},
          {
            get: () => {
              throw new Error('trap');
            },
          },
        ),
      () => ({
        get name() {
          throw new Error('getter');
        },
      }),
      () => new Error('plain'),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(fc.option(thrown), { maxLength: 10 }), async (outcomes) => {
        const event = sqsEvent(...outcomes.map((_, index) => sqsRecord(index)));

        const failures = await failuresOf(event, async (body) => {
          const outcome = outcomes[Number(body)];
          if (outcome) throw outcome();
        });

        expect(failures).toEqual(outcomes.flatMap((outcome, index) => (outcome ? `message-${index}` : [])));
      }),
      { numRuns: propertyRuns(300) },
    );
  });

  it('acknowledges a record only if its dead letter was sent', async () => {
    const gone = async () => {
      throw new ArchiverError('DocumentGone', 'gone');
    };
    const fails = createWorld((command) => command instanceof SendMessageCommand);

    expect(await failuresOf(sqsEvent(sqsRecord(0)), gone, never, fails)).toEqual(['message-0']);
    expect(await failuresOf(sqsEvent(sqsRecord(0)), gone)).toEqual([]);
  });

  it.each([
    ['done', undefined, false],
    ['nothing-to-do', new ArchiverError('OrderGone', 'Gone.'), false],
    ['waiting', new ArchiverError('TelnyxUnavailable', '503.'), false],
    ['dead-lettered', new ArchiverError('DocumentGone', 'Gone.'), false],
    ['waiting', new ArchiverError('DocumentGone', 'Gone.'), true],
  ])(
    'logs the outcome %s when the work ends with %s (sending the dead letter fails: %s)',
    async (outcome, error, sqsFails) => {
      const lines: string[] = [];
      const { dependencies } = createWorld((command) => sqsFails && command instanceof SendMessageCommand);
      const log = createLog({ name: 'test', write: (line) => lines.push(line), now: () => 0 });

      await consumeBatch(
        sqsEvent(sqsRecord(0)),
        never,
        job(async () => {
          if (error) throw error;
        }),
        { ...dependencies, log },
      );

      expect(lines.flatMap((line) => JSON.parse(line).outcome ?? [])).toEqual([outcome]);
    },
  );

  it('reports a failed record when its visibility timeout cannot be changed', async () => {
    const fails = createWorld((command) => command instanceof ChangeMessageVisibilityCommand);

    expect(
      await failuresOf(sqsEvent(sqsRecord(0)), () => Promise.reject(new Error('x')), never, fails),
    ).toEqual(['message-0']);
  });

  it('reports a failed record before the invocation ends when SQS does not respond', async () => {
    const { dependencies } = createWorld();
    const silent = {
      send: (_command: unknown, { abortSignal }: { abortSignal: AbortSignal }) =>
        new Promise((_resolve, reject) => {
          abortSignal.addEventListener('abort', () => reject(abortSignal.reason));
        }),
    } as unknown as Pick<SQSClient, 'send'>;
    const hundredfoldTime = {
      ...systemTime,
      after: (ms: number, callback: () => void) => systemTime.after(ms / 100, callback),
    };

    const failures = await failuresOf(sqsEvent(sqsRecord(0)), () => Promise.reject(new Error('x')), never, {
      commands: [],
      dependencies: { ...dependencies, sqs: silent, time: hundredfoldTime },
    });

    expect(failures).toEqual(['message-0']);
  });

  it('counts a record without a receive count as received once', async () => {
    const record = sqsRecord(0);
    record.attributes.ApproximateReceiveCount = '';
    const seen: number[] = [];

    const { dependencies } = createWorld();
    const counting = {
      ...job(async () => undefined),
      work: async (_: string, receive: Receive) => {
        seen.push(receive.receives);
        return {};
      },
    };
    await consumeBatch(sqsEvent(record), never, counting, dependencies);

    expect(seen).toEqual([1]);
  });

  it.each([
    ['no timestamps', 0, { SentTimestamp: '', ApproximateFirstReceiveTimestamp: '' }],
    ['only the sent timestamp', 4_000, { SentTimestamp: '1000', ApproximateFirstReceiveTimestamp: '' }],
  ])('gives a record with %s an age of %i ms', async (_present, ageMs, times) => {
    const record = sqsRecord(0, { receives: 2 });
    Object.assign(record.attributes, times);
    const seen: Receive[] = [];
    const { dependencies } = createWorld();

    await consumeBatch(
      sqsEvent(record),
      never,
      {
        ...job(async () => undefined),
        work: async (_: string, receive: Receive) => {
          seen.push(receive);
          return {};
        },
      },
      { ...dependencies, time: { ...systemTime, now: () => 5_000 } },
    );

    expect(seen).toMatchObject([{ receivedAt: 5_000, ageMs }]);
  });

  it('processes records from their third receive last and one at a time', async () => {
    const records = [
      sqsRecord(0, { receives: receives.isolateFrom }),
      sqsRecord(1, { receives: 9 }),
      sqsRecord(2),
      sqsRecord(3),
    ];
    const order: string[] = [];
    let running = 0;
    let maxRunning = 0;

    await failuresOf(sqsEvent(...records), async (body) => {
      running += 1;
      order.push(body);
      if (Number(body) < 2) maxRunning = Math.max(maxRunning, running);
      await new Promise(setImmediate);
      running -= 1;
    });

    expect(order).toEqual(['2', '3', '0', '1']);
    expect(maxRunning).toBe(1);
  });

  it('passes the lane and the time since the first receive to the work', async () => {
    const firstReceived = systemTime.now() - 600_000;
    const record = sqsRecord(0, { sentAt: firstReceived, receives: 2 });
    const seen: Receive[] = [];
    const { dependencies } = createWorld();

    await consumeBatch(
      sqsEvent(record),
      never,
      {
        ...job(async () => undefined),
        work: async (_: string, receive: Receive) => {
          seen.push(receive);
          return {};
        },
      },
      dependencies,
    );

    expect(seen[0]?.lane).toMatchObject({ name: 'documents', live: true });
    expect(seen[0]?.ageMs).toBeGreaterThanOrEqual(600_000);
    expect(seen[0]?.ageMs).toBeLessThan(660_000);
  });

  it('takes the time of a first receive from SQS when the container’s clock is wrong', async () => {
    const sentAt = Date.parse('2026-11-24T12:00:00Z');
    const { dependencies } = createWorld();
    const wrongClock = { ...systemTime, now: () => sentAt + 3_600_000 };
    const seen: Receive[] = [];

    await consumeBatch(
      sqsEvent(sqsRecord(0, { sentAt })),
      never,
      {
        ...job(async () => undefined),
        work: async (_: string, receive: Receive) => {
          seen.push(receive);
          return {};
        },
      },
      { ...dependencies, time: wrongClock },
    );

    expect(seen[0]).toMatchObject({ receivedAt: sentAt, ageMs: 0 });
  });

  it.each([
    [new ArchiverError('TelnyxUnavailable', 'down'), 'TelnyxUnavailable'],
    [new ArchiverError('ChecksumMismatch', 'not conclusive'), 'OutOfTime'],
    [new ArchiverError('RateLimitReserved', 'yields to live work'), undefined],
  ])(
    'counts a message older than ten minutes that fails with %s as waiting with the code %s',
    async (error, code) => {
      const { dependencies } = createWorld();
      const lines: string[] = [];
      const log = createLog({ name: 'test', write: (line) => lines.push(line), now: systemTime.now });
      const old = sqsRecord(0, { receives: 9, sentAt: systemTime.now() - 11 * 60_000 });

      await consumeBatch(
        sqsEvent(old),
        never,
        job(() => Promise.reject(error)),
        { ...dependencies, log },
      );

      const counted = lines.map((line) => JSON.parse(line)).find((line) => 'MessagesWaiting' in line);
      expect(counted?.Code).toBe(code);
    },
  );

  it('returns a message to the queue after a day of outage and 900 receives', async () => {
    const dayAgo = systemTime.now() - 86_400_000;
    const { commands, dependencies } = createWorld();
    const outage = () => Promise.reject(new ArchiverError('BucketUnavailable', 'S3 is unavailable'));

    const failures = await failuresOf(
      sqsEvent(sqsRecord(0, { receives: 900, sentAt: dayAgo })),
      outage,
      never,
      { commands, dependencies },
    );

    expect(failures).toEqual(['message-0']);
    expect(commands).toHaveLength(1);
    expect(commands[0]).toBeInstanceOf(ChangeMessageVisibilityCommand);
  });

  it('dead-letters a waiting message with its code nine days after it was sent', async () => {
    const nineDaysAgo = systemTime.now() - 9 * 86_400_000;
    const { commands, dependencies } = createWorld();
    const outage = () => Promise.reject(new ArchiverError('BucketUnavailable', 'S3 is unavailable'));

    const failures = await failuresOf(
      sqsEvent(sqsRecord(0, { sentAt: nineDaysAgo, receives: 400 })),
      outage,
      never,
      {
        commands,
        dependencies,
      },
    );

    expect(failures).toEqual([]);
    expect((commands[0] as SendMessageCommand).input.MessageAttributes?.code?.StringValue).toBe(
      'BucketUnavailable',
    );
  });

  it('counts messages as waiting from ten minutes after the first receive until they are dead-lettered', async () => {
    const now = Date.parse('2026-11-24T12:00:00Z');
    const codesCounted = async (ageMs: number) => {
      const counted: unknown[] = [];
      const { dependencies } = createWorld();
      const write = (line: string) => {
        const { MessagesWaiting, Code } = JSON.parse(line);
        if (MessagesWaiting === 1) counted.push(Code);
      };
      for (const code of errorCodes) {
        await consumeBatch(
          sqsEvent(sqsRecord(0, { receives: 2, sentAt: now - ageMs })),
          never,
          job(async () => {
            throw new ArchiverError(code, 'A failure.');
          }),
          {
            ...dependencies,
            time: { ...systemTime, now: () => now, monotonic: () => 0 },
            log: createLog({ name: 'test', write, now: () => now }),
          },
        );
      }
      return counted;
    };

    const waiting = errorCodes.flatMap((code) => {
      if (retryPolicies[code] === 'wait') return code;
      // A document fault that could not be proven conclusive in the time left.
      return retryPolicies[code] === 'retry' ? 'OutOfTime' : [];
    });

    expect(await codesCounted(waitingAfterMs - 1)).toEqual([]);
    expect(await codesCounted(waitingAfterMs)).toEqual(waiting);
    // Dead-lettered by then, which has a metric of its own.
    expect(await codesCounted(retryTimings.deadLetterAfterMs)).toEqual([]);
  });

  it('starts no record after the deadline and returns all of them to the queue', async () => {
    const expired = AbortSignal.abort(new ArchiverError('OutOfTime', 'over'));
    const { commands, dependencies } = createWorld();
    let started = 0;

    const failures = await failuresOf(
      sqsEvent(sqsRecord(0), sqsRecord(1, { receives: 5 })),
      async () => {
        started += 1;
      },
      expired,
      { commands, dependencies },
    );

    expect(started).toBe(0);
    expect(failures).toEqual(['message-0', 'message-1']);
    expect(commands.every((command) => command instanceof ChangeMessageVisibilityCommand)).toBe(true);
    expect(commands).toHaveLength(2);
  });

  it('returns isolated records that have not started to the queue when the deadline passes', async () => {
    const invocation = new AbortController();
    const { commands, dependencies } = createWorld();
    const records = [0, 1, 2].map((position) => sqsRecord(position, { receives: receives.isolateFrom }));
    let started = 0;

    const failures = await failuresOf(
      sqsEvent(...records),
      async () => {
        started += 1;
        invocation.abort(new ArchiverError('OutOfTime', 'over'));
        invocation.signal.throwIfAborted();
      },
      invocation.signal,
      { commands, dependencies },
    );

    expect(started).toBe(1);
    expect(failures).toEqual(['message-0', 'message-1', 'message-2']);
    expect(commands.filter((command) => command instanceof ChangeMessageVisibilityCommand)).toHaveLength(3);
  });

  it('rejects the whole batch if a record is from a queue without a lane', async () => {
    await expect(
      failuresOf(sqsEvent(sqsRecord(0, { queue: 'other' })), async () => undefined),
    ).rejects.toThrow('No lane is configured for the queue other.');
  });

  it('acknowledges a message with an error of policy acknowledge', async () => {
    const orderGone = () => Promise.reject(new ArchiverError('OrderGone', 'gone'));

    expect(await failuresOf(sqsEvent(sqsRecord(0)), orderGone)).toEqual([]);
  });
});

describe('instantOf', () => {
  it.each([
    ['1764000000123', '2025-11-24T16:00:00.123Z'],
    ['', '1970-01-01T00:00:00.000Z'],
    ['not a number', '1970-01-01T00:00:00.000Z'],
  ])('converts the SQS timestamp %j to %s', (milliseconds, instant) => {
    expect(instantOf(milliseconds)).toBe(instant);
  });
});

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

function world(sqsFails: (command: unknown) => boolean = () => false) {
  const commands: unknown[] = [];
  const sqs = {
    send: async (command: unknown) => {
      if (sqsFails(command)) throw new Error('SQS is away');
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
  { dependencies } = world(),
) => {
  const response = await consumeBatch(event, signal, job(work), dependencies);
  return response.batchItemFailures.map(({ itemIdentifier }) => itemIdentifier);
};

describe('a batch', () => {
  it('reports exactly the records that are not done, each once, whatever they throw', async () => {
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

  it('keeps a record whose dead letter is not taken, and acknowledges one whose is', async () => {
    const gone = async () => {
      throw new ArchiverError('DocumentGone', 'gone');
    };
    const fails = world((command) => command instanceof SendMessageCommand);

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
    'logs the outcome %s of a receive that ends with %s (SQS fails: %s)',
    async (outcome, error, sqsFails) => {
      const lines: string[] = [];
      const { dependencies } = world((command) => sqsFails && command instanceof SendMessageCommand);
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

  it('reports a failed record although its visibility cannot be changed', async () => {
    const fails = world((command) => command instanceof ChangeMessageVisibilityCommand);

    expect(
      await failuresOf(sqsEvent(sqsRecord(0)), () => Promise.reject(new Error('x')), never, fails),
    ).toEqual(['message-0']);
  });

  it('reports a failed record although SQS never answers, in time for the invocation to end', async () => {
    const { dependencies } = world();
    const silent = {
      send: (_command: unknown, { abortSignal }: { abortSignal: AbortSignal }) =>
        new Promise((_resolve, reject) => {
          abortSignal.addEventListener('abort', () => reject(abortSignal.reason));
        }),
    } as unknown as Pick<SQSClient, 'send'>;
    const hurried = {
      ...systemTime,
      after: (ms: number, callback: () => void) => systemTime.after(ms / 100, callback),
    };

    const failures = await failuresOf(sqsEvent(sqsRecord(0)), () => Promise.reject(new Error('x')), never, {
      commands: [],
      dependencies: { ...dependencies, sqs: silent, time: hurried },
    });

    expect(failures).toEqual(['message-0']);
  });

  it('takes a record that does not say how often it was received for new', async () => {
    const record = sqsRecord(0);
    record.attributes.ApproximateReceiveCount = '';
    const seen: number[] = [];

    const { dependencies } = world();
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
    [
      'never says when it was sent or first received',
      { SentTimestamp: '', ApproximateFirstReceiveTimestamp: '' },
      0,
    ],
    ['only says when it was sent', { SentTimestamp: '1000', ApproximateFirstReceiveTimestamp: '' }, 4_000],
  ])('takes a record that %s for as new as it can be', async (_what, times, ageMs) => {
    const record = sqsRecord(0, { receives: 2 });
    Object.assign(record.attributes, times);
    const seen: Receive[] = [];
    const { dependencies } = world();

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

  it('leaves suspects for last and works on them one by one', async () => {
    const suspects = [
      sqsRecord(0, { receives: receives.isolateFrom }),
      sqsRecord(1, { receives: 9 }),
      sqsRecord(2),
      sqsRecord(3),
    ];
    const order: string[] = [];
    let now = 0;
    let mostOfSuspects = 0;

    await failuresOf(sqsEvent(...suspects), async (body) => {
      now += 1;
      order.push(body);
      if (Number(body) < 2) mostOfSuspects = Math.max(mostOfSuspects, now);
      await new Promise(setImmediate);
      now -= 1;
    });

    expect(order).toEqual(['2', '3', '0', '1']);
    expect(mostOfSuspects).toBe(1);
  });

  it('tells the work how long ago the message was first received, and from which lane it is', async () => {
    const firstReceived = systemTime.now() - 600_000;
    const record = sqsRecord(0, { sentAt: firstReceived, receives: 2 });
    const seen: Receive[] = [];
    const { dependencies } = world();

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

  it('takes the time of a first receive from SQS, whatever the container’s clock says', async () => {
    const sentAt = Date.parse('2026-11-24T12:00:00Z');
    const { dependencies } = world();
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
    [new ArchiverError('ChecksumMismatch', 'not shown for want of time'), 'OutOfTime'],
    [new ArchiverError('RateLimitReserved', 'makes way for live work'), undefined],
  ])(
    'counts what waits for more than ten minutes by its code, but not what makes way: %s',
    async (error, code) => {
      const { dependencies } = world();
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

  it('lets a message wait through a day of outage, whatever its count of receives', async () => {
    const dayAgo = systemTime.now() - 86_400_000;
    const { commands, dependencies } = world();
    const outage = () => Promise.reject(new ArchiverError('BucketUnavailable', 'S3 is away'));

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

  it('makes a dead letter of what waits, with its code, before SQS would delete it', async () => {
    const nineDaysAgo = systemTime.now() - 9 * 86_400_000;
    const { commands, dependencies } = world();
    const outage = () => Promise.reject(new ArchiverError('BucketUnavailable', 'S3 is away'));

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

  it('counts as waiting what fails through somebody else ten minutes after the first receive or later', async () => {
    const now = Date.parse('2026-11-24T12:00:00Z');
    const codesCounted = async (ageMs: number) => {
      const counted: unknown[] = [];
      const { dependencies } = world();
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
      // Not shown to be the document's own fault for want of time.
      return retryPolicies[code] === 'retry' ? 'OutOfTime' : [];
    });

    expect(await codesCounted(waitingAfterMs - 1)).toEqual([]);
    expect(await codesCounted(waitingAfterMs)).toEqual(waiting);
    // Given up by then, which is counted as a dead letter.
    expect(await codesCounted(retryTimings.giveUpAfterMs)).toEqual([]);
  });

  it('begins nothing once the time is over, and puts everything back', async () => {
    const over = AbortSignal.abort(new ArchiverError('OutOfTime', 'over'));
    const { commands, dependencies } = world();
    let begun = 0;

    const failures = await failuresOf(
      sqsEvent(sqsRecord(0), sqsRecord(1, { receives: 5 })),
      async () => {
        begun += 1;
      },
      over,
      { commands, dependencies },
    );

    expect(begun).toBe(0);
    expect(failures).toEqual(['message-0', 'message-1']);
    expect(commands.every((command) => command instanceof ChangeMessageVisibilityCommand)).toBe(true);
    expect(commands).toHaveLength(2);
  });

  it('puts suspects that wait for their turn back as soon as the time is over', async () => {
    const invocation = new AbortController();
    const { commands, dependencies } = world();
    const records = [0, 1, 2].map((position) => sqsRecord(position, { receives: receives.isolateFrom }));
    let begun = 0;

    const failures = await failuresOf(
      sqsEvent(...records),
      async () => {
        begun += 1;
        invocation.abort(new ArchiverError('OutOfTime', 'over'));
        invocation.signal.throwIfAborted();
      },
      invocation.signal,
      { commands, dependencies },
    );

    expect(begun).toBe(1);
    expect(failures).toEqual(['message-0', 'message-1', 'message-2']);
    expect(commands.filter((command) => command instanceof ChangeMessageVisibilityCommand)).toHaveLength(3);
  });

  it('of a queue that the function has no settings for fails as a whole', async () => {
    await expect(
      failuresOf(sqsEvent(sqsRecord(0, { queue: 'other' })), async () => undefined),
    ).rejects.toThrow('no settings');
  });

  it('acknowledges what there is nothing to do for', async () => {
    const orderGone = () => Promise.reject(new ArchiverError('OrderGone', 'gone'));

    expect(await failuresOf(sqsEvent(sqsRecord(0)), orderGone)).toEqual([]);
  });
});

describe('an instant as SQS states it', () => {
  it.each([
    ['1764000000123', '2025-11-24T16:00:00.123Z'],
    ['', '1970-01-01T00:00:00.000Z'],
    ['what is this', '1970-01-01T00:00:00.000Z'],
  ])('%j is %s', (stated, instant) => {
    expect(instantOf(stated)).toBe(instant);
  });
});

/**
 * One invocation of an SQS event source mapping: every record is worked on, and ends acknowledged, as a dead
 * letter, or back in the queue. Only what is known to be done is acknowledged.
 */
import { ChangeMessageVisibilityCommand, type SQSClient } from '@aws-sdk/client-sqs';
import type { SQSBatchResponse, SQSEvent, SQSRecord } from 'aws-lambda';
import pLimit from 'p-limit';
import { type ArchiverError, asArchiverError, type ErrorCode, nameOf } from '../errors.ts';
import { calls, concurrency, type RetryTimings, receives, waitingAfterMs } from '../limits.ts';
import type { Log, LogFields } from '../log.ts';
import { type Random, type Time, withDeadline } from '../time.ts';
import { decide, type Timestamps } from './backoff.ts';
import { sendDeadLetter } from './dead-letter.ts';

/** A queue that a function reads, and where it sends what fails for good. */
export interface Lane {
  name: string;
  queueUrl: string;
  deadLetterQueueUrl: string;
  /** Whether what it carries is under the 30 minutes after which Telnyx may delete it. A low lane leaves it the way. */
  live: boolean;
}

export interface BatchDependencies {
  lanes: readonly Lane[];
  sqs: Pick<SQSClient, 'send'>;
  timings: RetryTimings;
  log: Log;
  time: Time;
  random: Random;
}

/** What SQS and Lambda say of the message that is worked on. */
export interface Receive {
  lane: Lane;
  /** How often SQS has delivered the message, this time included. */
  receives: number;
  /** Milliseconds since the Unix epoch. On a first receive SQS's own clock has it, which no container's clock can spoil. */
  receivedAt: number;
  /** Milliseconds since it was first received. */
  ageMs: number;
  signal: AbortSignal;
}

/**
 * How a receive ended: the `outcome` field of its log line. Tools read this field, never the text of the line.
 * `done` is a discovery message; a `waiting` message returns to its queue.
 */
export type ReceiveOutcome =
  | 'archived'
  | 'already-archived'
  | 'done'
  | 'nothing-to-do'
  | 'waiting'
  | 'dead-lettered';

export interface Job<Message> {
  /** @throws ArchiverError for a body that is no message */
  parse: (record: SQSRecord) => Message;
  /** What the log says the message is about. */
  describe: (message: Message) => LogFields;
  /** Resolves, with what the log should say, once the message need never be delivered again. */
  work: (message: Message, receive: Receive) => Promise<LogFields>;
}

/**
 * Works on all records side by side; those that have been received suspiciously often come last and one by one, so
 * that one which kills the function takes no unfinished neighbour with it.
 *
 * @returns the ids of all records that are not known to be done
 * @throws Error for an event that is not from one of the lanes, which fails the whole batch
 */
export async function consumeBatch<Message>(
  event: SQSEvent,
  signal: AbortSignal,
  job: Job<Message>,
  dependencies: BatchDependencies,
): Promise<SQSBatchResponse> {
  if (!Array.isArray(event?.Records))
    throw new Error('This function is for events of an SQS event source mapping.');
  const records = event.Records.map((record) => ({ record, lane: laneOf(record, dependencies.lanes) }));
  const done = new Set<string>();
  const settle = async ({ record, lane }: { record: SQSRecord; lane: Lane }) => {
    if (await isDone(record, lane, signal, job, dependencies)) done.add(record.messageId);
  };

  const atOnce = pLimit(concurrency.batchSize);
  await atOnce.map(
    records.filter(({ record }) => receivesOf(record) < receives.isolateFrom),
    settle,
  );
  const oneByOne = pLimit(1);
  // Once the time is over nothing is begun any more, only put back, and that best all at once.
  const onAbort = () => {
    oneByOne.concurrency = concurrency.batchSize;
  };
  signal.addEventListener('abort', onAbort, { once: true });
  await oneByOne.map(
    records.filter(({ record }) => receivesOf(record) >= receives.isolateFrom),
    settle,
  );
  signal.removeEventListener('abort', onAbort);

  return {
    batchItemFailures: event.Records.filter(({ messageId }) => !done.has(messageId)).map(({ messageId }) => ({
      itemIdentifier: messageId,
    })),
  };
}

async function isDone<Message>(
  record: SQSRecord,
  lane: Lane,
  signal: AbortSignal,
  job: Job<Message>,
  dependencies: BatchDependencies,
): Promise<boolean> {
  const { log, time } = dependencies;
  const started = time.monotonic();
  const received = receivesOf(record);
  const times = timesOf(record, time);
  const receive = {
    lane,
    receives: received,
    receivedAt: times.receivedAt,
    ageMs: times.receivedAt - times.firstReceivedAt,
    signal,
  };
  let about: LogFields = { messageId: record.messageId, lane: lane.name, receives: received };
  try {
    signal.throwIfAborted();
    const message = job.parse(record);
    about = { ...about, ...job.describe(message) };
    const result = await job.work(message, receive);
    log.info('Done', {
      ...about,
      outcome: 'done' satisfies ReceiveOutcome,
      ...result,
      ms: Math.round(time.monotonic() - started),
    });
    return true;
  } catch (thrown) {
    const error = asArchiverError(thrown);
    const now = times.receivedAt + time.monotonic() - started;
    return await settleFailure(record, lane, error, { ...times, now }, about, dependencies);
  }
}

/** Whether the message is done with all the same: nothing was to do, or it is safe among the dead letters. */
async function settleFailure(
  record: SQSRecord,
  lane: Lane,
  error: ArchiverError,
  timestamps: Timestamps,
  about: LogFields,
  dependencies: BatchDependencies,
): Promise<boolean> {
  const { log, random, timings } = dependencies;
  const fields = { ...about, code: error.code, reason: error.message, cause: causeOf(error) };
  const decision = decide(error, timestamps, lane.live, timings, random);
  if (decision.action === 'acknowledge') {
    log.info('Nothing to do', { ...fields, outcome: 'nothing-to-do' satisfies ReceiveOutcome });
    return true;
  }
  log.count('ReceivesFailed', 1, { Code: error.code });
  if (decision.action === 'return') {
    const ageMs = timestamps.now - timestamps.firstReceivedAt;
    if (error.retryPolicy !== 'yield' && ageMs >= waitingAfterMs) {
      // A document's own fault comes back at this age only if time did not suffice to show it.
      const code: ErrorCode = error.retryPolicy === 'wait' ? error.code : 'OutOfTime';
      log.count('MessagesWaiting', 1, { Code: code });
    }
    log.warn('Comes back later', {
      ...fields,
      outcome: 'waiting' satisfies ReceiveOutcome,
      retryInMs: Math.round(decision.afterMs),
    });
    await returnLater(record, lane, decision.afterMs, dependencies);
    return false;
  }
  try {
    await withinQueueTime(dependencies.time, (limited) =>
      sendDeadLetter(
        dependencies.sqs,
        lane.deadLetterQueueUrl,
        {
          body: record.body,
          code: error.code,
          reason: error.message,
          attempts: receivesOf(record),
          firstSeenAt: instantOf(record.attributes.ApproximateFirstReceiveTimestamp),
        },
        limited,
      ),
    );
  } catch (failure) {
    log.error('Could not become a dead letter; comes back', {
      ...fields,
      outcome: 'waiting' satisfies ReceiveOutcome,
      cause: nameOf(failure),
    });
    return false;
  }
  log.error('Dead letter', { ...fields, outcome: 'dead-lettered' satisfies ReceiveOutcome });
  log.count('DeadLetters', 1, { Code: error.code, Lane: lane.name });
  return true;
}

/** Without this the message comes back all the same, only later: after the queue's own visibility timeout. */
async function returnLater(
  record: SQSRecord,
  lane: Lane,
  afterMs: number,
  { sqs, log, time }: BatchDependencies,
): Promise<void> {
  const command = new ChangeMessageVisibilityCommand({
    QueueUrl: lane.queueUrl,
    ReceiptHandle: record.receiptHandle,
    VisibilityTimeout: Math.ceil(afterMs / 1_000),
  });
  try {
    await withinQueueTime(time, (abortSignal) => sqs.send(command, { abortSignal }));
  } catch (error) {
    log.warn('Visibility not changed', {
      messageId: record.messageId,
      lane: lane.name,
      cause: nameOf(error),
    });
  }
}

/** Settling goes on after the invocation's own signal has aborted: that is when it is needed most. */
function withinQueueTime<Result>(
  time: Time,
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const tooLate = () => new Error('SQS did not answer in time.');
  return withDeadline(time, calls.queueMs, new AbortController().signal, tooLate, work);
}

function laneOf(record: SQSRecord, lanes: readonly Lane[]): Lane {
  const queueName = record.eventSourceARN.split(':').at(-1);
  const lane = lanes.find(({ queueUrl }) => queueUrl.split('/').at(-1) === queueName);
  if (!lane) throw new Error(`This function has no settings for the queue ${queueName}.`);
  return lane;
}

function receivesOf(record: SQSRecord): number {
  return Number(record.attributes.ApproximateReceiveCount) || 1;
}

/** Milliseconds since the Unix epoch. A record without times that can be read is as new as can be. */
function timesOf(record: SQSRecord, time: Time) {
  const { SentTimestamp, ApproximateFirstReceiveTimestamp } = record.attributes;
  const sentAt = Number(SentTimestamp) || time.now();
  const firstReceivedAt = Number(ApproximateFirstReceiveTimestamp) || sentAt;
  const receivedAt = receivesOf(record) === 1 ? firstReceivedAt : Math.max(firstReceivedAt, time.now());
  return { sentAt, firstReceivedAt, receivedAt };
}

/** SQS states times in milliseconds since the epoch, as text. */
export function instantOf(milliseconds: string): string {
  return new Date(Number(milliseconds) || 0).toISOString();
}

function causeOf(error: ArchiverError): string | undefined {
  return error.cause === undefined ? undefined : nameOf(error.cause);
}

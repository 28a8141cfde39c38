/**
 * Processes one batch of an SQS event source mapping. Each record is acknowledged, sent to the dead-letter queue, or
 * returned to its queue. A record is acknowledged only if its work succeeded, there was nothing to do, or its dead
 * letter was sent.
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

/** A queue that a function reads, and its dead-letter queue. */
export interface Lane {
  name: string;
  queueUrl: string;
  deadLetterQueueUrl: string;
  /**
   * Whether the lane carries live work: documents that Telnyx may delete after 30 minutes. The other lanes are low
   * lanes, which leave half of Telnyx's rate limit to live work.
   */
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

/** One delivery of a message. */
export interface Receive {
  lane: Lane;
  /** SQS's receive count: deliveries of the message, including this one. */
  receives: number;
  /**
   * Milliseconds since the Unix epoch. The first receive is timed by SQS, so a wrong clock in the container does not
   * affect it.
   */
  receivedAt: number;
  /** Milliseconds since the first receive. */
  ageMs: number;
  signal: AbortSignal;
}

/**
 * How a receive ended: the `outcome` field of its log line. Tools read this field, never the text of the line.
 * `done` is a completed discovery message. A `waiting` message returns to its queue.
 */
export type ReceiveOutcome =
  | 'archived'
  | 'already-archived'
  | 'erased'
  | 'done'
  | 'nothing-to-do'
  | 'waiting'
  | 'dead-lettered';

export interface Job<Message> {
  /** @throws ArchiverError if the body is not a valid message */
  parse: (record: SQSRecord) => Message;
  /** Log fields that identify the message. */
  describe: (message: Message) => LogFields;
  /** Resolves with log fields of the result once the message is complete and need not be delivered again. */
  work: (message: Message, receive: Receive) => Promise<LogFields>;
}

/**
 * Processes records in parallel. A record received `receives.isolateFrom` times or more may crash the function: these
 * are processed last and one at a time, so that a crash does not interrupt other records.
 *
 * @returns the ids of all records that are not acknowledged
 * @throws Error if a record is not from one of the lanes, which fails the whole batch
 */
export async function consumeBatch<Message>(
  event: SQSEvent,
  signal: AbortSignal,
  job: Job<Message>,
  dependencies: BatchDependencies,
): Promise<SQSBatchResponse> {
  if (!Array.isArray(event?.Records)) throw new Error('Expected an event from an SQS event source mapping.');
  const records = event.Records.map((record) => ({ record, lane: laneOf(record, dependencies.lanes) }));
  const acknowledged = new Set<string>();
  const processAndMark = async ({ record, lane }: { record: SQSRecord; lane: Lane }) => {
    if (await processRecord(record, lane, signal, job, dependencies)) acknowledged.add(record.messageId);
  };

  const inParallel = pLimit(concurrency.batchSize);
  await inParallel.map(
    records.filter(({ record }) => receiveCountOf(record) < receives.isolateFrom),
    processAndMark,
  );
  // The deadline may have passed during the records above.
  const oneAtATime = pLimit(signal.aborted ? concurrency.batchSize : 1);
  // After the deadline no work is started; the remaining records are returned to the queue in parallel.
  const onAbort = () => {
    oneAtATime.concurrency = concurrency.batchSize;
  };
  // Stryker disable next-line ObjectLiteral,BooleanLiteral: a signal aborts only once.
  signal.addEventListener('abort', onAbort, { once: true });
  await oneAtATime.map(
    records.filter(({ record }) => receiveCountOf(record) >= receives.isolateFrom),
    processAndMark,
  );
  signal.removeEventListener('abort', onAbort);

  return {
    batchItemFailures: event.Records.filter(({ messageId }) => !acknowledged.has(messageId)).map(
      ({ messageId }) => ({ itemIdentifier: messageId }),
    ),
  };
}

/** @returns whether to acknowledge the record */
async function processRecord<Message>(
  record: SQSRecord,
  lane: Lane,
  signal: AbortSignal,
  job: Job<Message>,
  dependencies: BatchDependencies,
): Promise<boolean> {
  const { log, time } = dependencies;
  const started = time.monotonic();
  const receiveCount = receiveCountOf(record);
  const timestamps = timestampsOf(record, time);
  const receive = {
    lane,
    receives: receiveCount,
    receivedAt: timestamps.receivedAt,
    ageMs: timestamps.receivedAt - timestamps.firstReceivedAt,
    signal,
  };
  let messageFields: LogFields = { messageId: record.messageId, lane: lane.name, receives: receiveCount };
  try {
    signal.throwIfAborted();
    const message = job.parse(record);
    messageFields = { ...messageFields, ...job.describe(message) };
    const result = await job.work(message, receive);
    log.info('Done', {
      ...messageFields,
      outcome: 'done' satisfies ReceiveOutcome,
      ...result,
      ms: Math.round(time.monotonic() - started),
    });
    return true;
  } catch (thrown) {
    const error = asArchiverError(thrown);
    const now = timestamps.receivedAt + time.monotonic() - started;
    return await handleFailure(record, lane, error, { ...timestamps, now }, messageFields, dependencies);
  }
}

/** @returns whether to acknowledge the record: there was nothing to do, or its dead letter was sent */
async function handleFailure(
  record: SQSRecord,
  lane: Lane,
  error: ArchiverError,
  timestamps: Timestamps,
  messageFields: LogFields,
  dependencies: BatchDependencies,
): Promise<boolean> {
  const { log, random, timings } = dependencies;
  const fields = { ...messageFields, code: error.code, reason: error.message, cause: causeOf(error) };
  const decision = decide(error, timestamps, lane.live, timings, random);
  if (decision.action === 'acknowledge') {
    log.info('Nothing to do', { ...fields, outcome: 'nothing-to-do' satisfies ReceiveOutcome });
    return true;
  }
  if (error.retryPolicy === 'continue') {
    log.info('More of the message is left to do', { ...fields, outcome: 'waiting' satisfies ReceiveOutcome });
    await returnToQueue(record, lane, 0, dependencies);
    return false;
  }
  log.count('ReceivesFailed', 1, { Code: error.code });
  if (decision.action === 'return') {
    const ageMs = timestamps.now - timestamps.firstReceivedAt;
    if (error.retryPolicy !== 'yield' && ageMs >= waitingAfterMs) {
      // At this age a document's own fault returns to the queue only if there was no time to prove it conclusive.
      const code: ErrorCode = error.retryPolicy === 'wait' ? error.code : 'OutOfTime';
      log.count('MessagesWaiting', 1, { Code: code });
    }
    log.warn('Message returns to the queue', {
      ...fields,
      outcome: 'waiting' satisfies ReceiveOutcome,
      retryInMs: Math.round(decision.afterMs),
    });
    await returnToQueue(record, lane, decision.afterMs, dependencies);
    return false;
  }
  try {
    await withQueueTimeout(dependencies.time, (signal) =>
      sendDeadLetter(
        dependencies.sqs,
        lane.deadLetterQueueUrl,
        {
          body: record.body,
          code: error.code,
          reason: error.message,
          attempts: receiveCountOf(record),
          firstSeenAt: instantOf(record.attributes.ApproximateFirstReceiveTimestamp),
        },
        signal,
      ),
    );
  } catch (failure) {
    log.error('Dead letter not sent; message returns to the queue', {
      ...fields,
      outcome: 'waiting' satisfies ReceiveOutcome,
      cause: nameOf(failure),
    });
    return false;
  }
  log.error('Dead letter sent', { ...fields, outcome: 'dead-lettered' satisfies ReceiveOutcome });
  log.count('DeadLetters', 1, { Code: error.code, Lane: lane.name });
  return true;
}

/** Sets the wait before the next receive. If that fails, the message returns after the queue's visibility timeout. */
async function returnToQueue(
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
    await withQueueTimeout(time, (abortSignal) => sqs.send(command, { abortSignal }));
  } catch (error) {
    log.warn('Visibility timeout not changed', {
      messageId: record.messageId,
      lane: lane.name,
      cause: nameOf(error),
    });
  }
}

/** Has its own signal, because records are returned to the queue after the invocation's signal has aborted. */
function withQueueTimeout<Result>(
  time: Time,
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const timedOut = () => new Error('SQS did not answer in time.');
  return withDeadline(time, calls.queueMs, new AbortController().signal, timedOut, work);
}

function laneOf(record: SQSRecord, lanes: readonly Lane[]): Lane {
  const queueName = record.eventSourceARN.split(':').at(-1);
  const lane = lanes.find(({ queueUrl }) => queueUrl.split('/').at(-1) === queueName);
  if (!lane) throw new Error(`No lane is configured for the queue ${queueName}.`);
  return lane;
}

function receiveCountOf(record: SQSRecord): number {
  return Number(record.attributes.ApproximateReceiveCount) || 1;
}

/** Milliseconds since the Unix epoch. A record without valid timestamps counts as just sent. */
function timestampsOf(record: SQSRecord, time: Time) {
  const { SentTimestamp, ApproximateFirstReceiveTimestamp } = record.attributes;
  const sentAt = Number(SentTimestamp) || time.now();
  const firstReceivedAt = Number(ApproximateFirstReceiveTimestamp) || sentAt;
  const receivedAt = receiveCountOf(record) === 1 ? firstReceivedAt : Math.max(firstReceivedAt, time.now());
  return { sentAt, firstReceivedAt, receivedAt };
}

/** @param milliseconds a timestamp attribute of SQS: milliseconds since the Unix epoch, as text. Invalid text counts as 0 */
export function instantOf(milliseconds: string): string {
  return new Date(Number(milliseconds) || 0).toISOString();
}

function causeOf(error: ArchiverError): string | undefined {
  return error.cause === undefined ? undefined : nameOf(error.cause);
}

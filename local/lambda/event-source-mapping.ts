/**
 * A queue and a function, connected as Lambda's SQS event source mapping connects them.
 * https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
 */
import {
  DeleteMessageBatchCommand,
  type Message,
  ReceiveMessageCommand,
  type SQSClient,
} from '@aws-sdk/client-sqs';
import type { SQSEvent, SQSMessageAttributes, SQSRecord } from 'aws-lambda';
import { queues } from '../../functions/limits.ts';
import { sleep, type Time } from '../../functions/time.ts';
import { invoke, type LambdaHandler } from './invoke.ts';

export interface EventSourceMapping {
  /** How many invocations are under way. */
  readonly running: number;
  /** Receives no more, waits for the invocations under way, then resolves. */
  stop(): Promise<void>;
}

export interface EventSourceMappingOptions {
  /** For long polls: without a request timeout shorter than 20 s. */
  sqs: SQSClient;
  queueUrl: string;
  queueArn: string;
  handler: LambdaHandler<SQSEvent>;
  functionName: string;
  timeoutMs: number;
  /** @default 10 */
  batchSize?: number;
  /** Invocations at once. */
  maximumConcurrency: number;
  time: Time;
  /** Told of failed invocations, and of an SQS that cannot be reached; the mapping goes on. */
  onError: (error: unknown) => void;
}

const longPollSeconds = 20;
const pauseAfterErrorMs = 500;

/** Starts polling. */
export function pollQueue(options: EventSourceMappingOptions): EventSourceMapping {
  const stopping = new AbortController();
  let running = 0;
  const poller = async () => {
    while (!stopping.signal.aborted) {
      const messages = await receive(options, stopping.signal);
      if (messages.length === 0) continue;
      running += 1;
      try {
        await process(messages, options);
      } catch (error) {
        options.onError(error);
      } finally {
        running -= 1;
      }
    }
  };
  const pollers = Array.from({ length: options.maximumConcurrency }, poller);
  return {
    get running() {
      return running;
    },
    stop: async () => {
      stopping.abort();
      await Promise.all(pollers);
    },
  };
}

/** Waits for messages; empty when there were none, SQS failed or the mapping stops. */
async function receive(options: EventSourceMappingOptions, stopping: AbortSignal): Promise<Message[]> {
  const { sqs, queueUrl, batchSize = queues.batchEntries, time, onError } = options;
  const command = new ReceiveMessageCommand({
    QueueUrl: queueUrl,
    MaxNumberOfMessages: batchSize,
    WaitTimeSeconds: longPollSeconds,
    MessageSystemAttributeNames: ['All'],
    MessageAttributeNames: ['All'],
  });
  try {
    const { Messages } = await sqs.send(command, { abortSignal: stopping, requestTimeout: 0 });
    return Messages ?? [];
  } catch (error) {
    if (stopping.aborted) return [];
    onError(error);
    await sleep(time, pauseAfterErrorMs, stopping).catch((reason: unknown) => {
      if (!stopping.aborted) throw reason;
    });
    return [];
  }
}

/** Invokes the function with one batch and deletes what it has not reported as failed. */
async function process(messages: readonly Message[], options: EventSourceMappingOptions): Promise<void> {
  const { sqs, queueUrl, queueArn, handler } = options;
  const answer = await invoke(
    handler,
    { Records: messages.map((message) => recordOf(message, queueArn)) },
    options,
  );
  const failed = failedIds(
    answer,
    messages.map(({ MessageId }) => MessageId ?? ''),
  );
  const done = messages.filter(({ MessageId }) => !failed.has(MessageId ?? ''));
  if (done.length === 0) return;
  const { Failed } = await sqs.send(
    new DeleteMessageBatchCommand({
      QueueUrl: queueUrl,
      Entries: done.map(({ ReceiptHandle }, index) => ({
        Id: String(index),
        ReceiptHandle: ReceiptHandle ?? '',
      })),
    }),
  );
  if (Failed?.length) throw new Error(`SQS did not delete ${Failed.length} messages; they come back.`);
}

/**
 * The message ids that an answer reports as failed, as AWS reads it ("Success and failure conditions" of the page
 * above). An empty or missing list is complete success; an item without a proper id, or an id that is not of the
 * batch, fails the whole batch. So do an answer and a list that are JSON but of another type: AWS does not document
 * them, and what is not success by its page must not be lost.
 */
export function failedIds(answer: unknown, ids: readonly string[]): ReadonlySet<string> {
  const all = new Set(ids);
  if (answer === null || answer === undefined) return new Set();
  if (typeof answer !== 'object' || Array.isArray(answer)) return all;
  const failures: unknown = Reflect.get(answer, 'batchItemFailures');
  if (failures === null || failures === undefined) return new Set();
  if (!Array.isArray(failures)) return all;
  const failed = new Set<string>();
  for (const item of failures) {
    const id: unknown =
      typeof item === 'object' && item !== null ? Reflect.get(item, 'itemIdentifier') : undefined;
    if (typeof id !== 'string' || !all.has(id)) return all;
    failed.add(id);
  }
  return failed;
}

function recordOf(message: Message, queueArn: string): SQSRecord {
  const { MessageId = '', ReceiptHandle = '', Body = '', Attributes = {}, MD5OfBody = '' } = message;
  const messageAttributes: SQSMessageAttributes = {};
  for (const [name, value] of Object.entries(message.MessageAttributes ?? {})) {
    messageAttributes[name] = {
      dataType: value.DataType ?? 'String',
      stringListValues: [],
      binaryListValues: [],
      ...(value.StringValue === undefined ? {} : { stringValue: value.StringValue }),
      ...(value.BinaryValue === undefined
        ? {}
        : { binaryValue: Buffer.from(value.BinaryValue).toString('base64') }),
    };
  }
  return {
    messageId: MessageId,
    receiptHandle: ReceiptHandle,
    body: Body,
    attributes: {
      ApproximateReceiveCount: Attributes.ApproximateReceiveCount ?? '1',
      SentTimestamp: Attributes.SentTimestamp ?? '0',
      SenderId: Attributes.SenderId ?? '',
      ApproximateFirstReceiveTimestamp: Attributes.ApproximateFirstReceiveTimestamp ?? '0',
    },
    messageAttributes,
    md5OfBody: MD5OfBody,
    ...(message.MD5OfMessageAttributes === undefined
      ? {}
      : { md5OfMessageAttributes: message.MD5OfMessageAttributes }),
    eventSource: 'aws:sqs',
    eventSourceARN: queueArn,
    awsRegion: queueArn.split(':')[3] ?? '',
  };
}

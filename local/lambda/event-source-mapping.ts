/**
 * Connects a queue to a function with the semantics of Lambda's SQS event source mapping.
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
  /** Number of running invocations. */
  readonly running: number;
  /** Stops receiving and waits for running invocations. */
  stop(): Promise<void>;
}

export interface EventSourceMappingOptions {
  /** Long polls run without the request timeout of this client. */
  sqs: SQSClient;
  queueUrl: string;
  queueArn: string;
  handler: LambdaHandler<SQSEvent>;
  functionName: string;
  timeoutMs: number;
  /** @default 10 */
  batchSize?: number;
  /** Maximum concurrent invocations. */
  maximumConcurrency: number;
  time: Time;
  /** Called with errors of invocations and of SQS. Polling continues. */
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

/** Long-polls once. Returns no messages if there are none, SQS fails or the mapping stops. */
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

/** Invokes the function with one batch and deletes the messages that it did not report as failed. */
async function process(messages: readonly Message[], options: EventSourceMappingOptions): Promise<void> {
  const { sqs, queueUrl, queueArn, handler } = options;
  const response = await invoke(
    handler,
    { Records: messages.map((message) => recordOf(message, queueArn)) },
    options,
  );
  const failed = failedIds(
    response,
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
  if (Failed?.length)
    throw new Error(`SQS did not delete ${Failed.length} messages; they will be received again.`);
}

/**
 * Message IDs that a response reports as failed, as AWS interprets it ("Success and failure conditions" on the page
 * above). An empty or missing list means that the whole batch succeeded. An item without a valid ID, or with an ID that
 * is not in the batch, fails the whole batch. AWS does not document other JSON types for the response or the list: they
 * fail the whole batch too, so that no message is lost.
 */
export function failedIds(response: unknown, ids: readonly string[]): ReadonlySet<string> {
  const all = new Set(ids);
  if (response === null || response === undefined) return new Set();
  if (typeof response !== 'object' || Array.isArray(response)) return all;
  const failures: unknown = Reflect.get(response, 'batchItemFailures');
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

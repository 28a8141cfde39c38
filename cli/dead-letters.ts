/** Dead letters, looked at without being consumed: each is held back from others for a while, then let go. */
import {
  ChangeMessageVisibilityBatchCommand,
  DeleteMessageBatchCommand,
  type Message,
  ReceiveMessageCommand,
  type SQSClient,
} from '@aws-sdk/client-sqs';
import pLimit from 'p-limit';
import { queues } from '../functions/limits.ts';
import type { LaneName, Queues } from './deployment.ts';

export interface HeldLetter {
  lane: LaneName;
  messageId: string;
  receiptHandle: string;
  body: string;
  /** Undefined where no function has said why: SQS or the scheduler has put it there. */
  code: string | undefined;
  reason: string | undefined;
  attempts: number | undefined;
  /** Milliseconds since the Unix epoch. */
  deadSince: number;
  /** Where the body names one. */
  documentId: string | undefined;
}

/** SQS lets no more than 120,000 messages of a queue be in flight (Amazon SQS message quotas). */
export const mostHeld = 100_000;
const receiversAtOnce = 4;
/** A long poll asks all of SQS's servers, a short one only some: nothing then means that there is nothing. */
const waitSeconds = 1;

export interface HoldOptions {
  /** Seconds until a letter that is not let go appears again by itself. */
  forSeconds: number;
  signal: AbortSignal;
}

/** Receives all dead letters of a lane that nobody else holds; needs sqs:ReceiveMessage. */
export async function holdDeadLetters(
  { sqs, lanes }: Queues,
  lane: LaneName,
  { forSeconds, signal }: HoldOptions,
): Promise<HeldLetter[]> {
  const held = new Map<string, HeldLetter>();
  const receive = async () => {
    for (let received = 1; received > 0 && held.size < mostHeld; ) {
      signal.throwIfAborted();
      const { Messages = [] } = await sqs.send(
        new ReceiveMessageCommand({
          QueueUrl: lanes[lane].deadLetterQueueUrl,
          MaxNumberOfMessages: queues.batchEntries,
          VisibilityTimeout: forSeconds,
          WaitTimeSeconds: waitSeconds,
          MessageAttributeNames: ['All'],
          MessageSystemAttributeNames: ['SentTimestamp', 'ApproximateReceiveCount'],
        }),
      );
      received = Messages.length;
      for (const message of Messages) {
        const letter = read(message, lane);
        held.set(letter.messageId, letter);
      }
    }
  };
  try {
    await Promise.all(Array.from({ length: receiversAtOnce }, receive));
  } catch (error) {
    await letGo(sqs, lanes[lane].deadLetterQueueUrl, [...held.values()]);
    throw error;
  }
  return [...held.values()];
}

/** Makes letters visible again at once; needs sqs:ChangeMessageVisibility. */
export async function letGo(sqs: SQSClient, queueUrl: string, letters: readonly HeldLetter[]): Promise<void> {
  await inBatches(letters, async (entries) => {
    await sqs.send(
      new ChangeMessageVisibilityBatchCommand({
        QueueUrl: queueUrl,
        Entries: entries.map(({ receiptHandle }, position) => ({
          Id: String(position),
          ReceiptHandle: receiptHandle,
          VisibilityTimeout: 0,
        })),
      }),
    );
  });
}

/**
 * Takes letters out of their queue, which must be in their lane again by then; needs sqs:DeleteMessage. One that
 * SQS does not delete stays a dead letter, whose document is archived already: a redrive of it does no harm.
 */
export async function remove(
  sqs: SQSClient,
  queueUrl: string,
  letters: readonly HeldLetter[],
): Promise<void> {
  await inBatches(letters, async (entries) => {
    await sqs.send(
      new DeleteMessageBatchCommand({
        QueueUrl: queueUrl,
        Entries: entries.map(({ receiptHandle }, position) => ({
          Id: String(position),
          ReceiptHandle: receiptHandle,
        })),
      }),
    );
  });
}

async function inBatches(
  letters: readonly HeldLetter[],
  work: (entries: readonly HeldLetter[]) => Promise<void>,
): Promise<void> {
  const batches: HeldLetter[][] = [];
  for (let start = 0; start < letters.length; start += queues.batchEntries) {
    batches.push(letters.slice(start, start + queues.batchEntries));
  }
  await pLimit(receiversAtOnce).map(batches, work);
}

function read(message: Message, lane: LaneName): HeldLetter {
  const { MessageId = '', ReceiptHandle = '', Body = '', Attributes, MessageAttributes } = message;
  const attribute = (name: string) => MessageAttributes?.[name]?.StringValue;
  return {
    lane,
    messageId: MessageId,
    receiptHandle: ReceiptHandle,
    body: Body,
    // EventBridge Scheduler leaves its own words at what it could not send.
    code: attribute('code') ?? attribute('ERROR_CODE'),
    reason: attribute('reason') ?? attribute('ERROR_MESSAGE'),
    attempts: attribute('attempts') === undefined ? undefined : Number(attribute('attempts')),
    deadSince: Number(Attributes?.SentTimestamp ?? 0),
    documentId: /"documentId":"([0-9a-f-]{36})"/.exec(Body)?.[1] ?? /^\s*([0-9a-f-]{36})\s*$/.exec(Body)?.[1],
  };
}

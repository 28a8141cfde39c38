/** Puts messages into a queue, and does not return before SQS has taken every one of them. */
import { SendMessageBatchCommand, type SQSClient } from '@aws-sdk/client-sqs';
import { ArchiverError, nameOf } from '../errors.ts';
import { queues } from '../limits.ts';
import { type QueueMessage, serialiseMessage } from './messages.ts';

export type SendMessages = (
  queueUrl: string,
  messages: readonly QueueMessage[],
  signal: AbortSignal,
) => Promise<void>;

/** How often entries that SQS reports as failed are sent again before the whole is given up. */
const rounds = 3;

/**
 * Sends in batches of ten. SendMessageBatch answers 200 even where single entries failed (Amazon SQS API
 * reference): those are sent again. A message may end up in the queue twice, never not at all.
 *
 * @throws ArchiverError QueueUnavailable where a message is not known to be in the queue
 */
export function createSender(sqs: Pick<SQSClient, 'send'>): SendMessages {
  return async (queueUrl, messages, signal) => {
    for (let start = 0; start < messages.length; start += queues.batchEntries) {
      await sendBatch(sqs, queueUrl, messages.slice(start, start + queues.batchEntries), signal);
    }
  };
}

async function sendBatch(
  sqs: Pick<SQSClient, 'send'>,
  queueUrl: string,
  messages: readonly QueueMessage[],
  signal: AbortSignal,
): Promise<void> {
  let pending = messages.map((message, position) => ({
    Id: String(position),
    MessageBody: serialiseMessage(message),
  }));
  for (let round = 0; round < rounds; round += 1) {
    const command = new SendMessageBatchCommand({ QueueUrl: queueUrl, Entries: pending });
    const answer = await sqs.send(command, { abortSignal: signal }).catch((error: unknown) => {
      throw new ArchiverError(
        'QueueUnavailable',
        `SQS took no message: ${nameOf(error)}. It is safe to try again.`,
        {
          cause: error,
        },
      );
    });
    // Only what SQS names as taken is taken.
    const taken = new Set(answer.Successful?.map((entry) => entry.Id));
    pending = pending.filter((entry) => !taken.has(entry.Id));
    if (pending.length === 0) return;
  }
  throw new ArchiverError(
    'QueueUnavailable',
    `SQS did not take ${pending.length} of ${messages.length} messages. It is safe to try again.`,
  );
}

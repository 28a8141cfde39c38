/** Puts messages into a queue, and does not return before SQS has taken every one of them. */
import { SendMessageBatchCommand, type SQSClient } from '@aws-sdk/client-sqs';
import { ArchiverError, nameOf } from '../errors.ts';
import { queues } from '../limits.ts';
import type { QueueMessage } from './messages.ts';
import { serialiseMessage } from './serialise.ts';

export type SendMessages = (
  queueUrl: string,
  messages: readonly QueueMessage[],
  signal: AbortSignal,
) => Promise<void>;

/** How often entries that SQS reports as failed are sent again before the whole is given up. */
const rounds = 3;

/** Batches under way at once: an order of a thousand documents must not take a webhook a hundred round trips. */
const parallelBatches = 10;

/**
 * Sends in batches of ten, several side by side. SendMessageBatch answers 200 even where single entries failed
 * (Amazon SQS API reference): those are sent again. A message may end up in the queue twice, never not at all.
 * Nothing is under way any more when it returns or throws.
 *
 * @throws ArchiverError QueueUnavailable where a message is not known to be in the queue
 */
export function createSender(sqs: Pick<SQSClient, 'send'>): SendMessages {
  return async (queueUrl, messages, signal) => {
    // All lanes draw from one generator. The lane that fails closes it, so that the others begin no further batch.
    const batches = batchesOf(messages);
    const lane = async () => {
      for (const batch of batches) await sendBatch(sqs, queueUrl, batch, signal);
    };
    const ends = await Promise.allSettled(Array.from({ length: parallelBatches }, lane));
    const failed = ends.find((end) => end.status === 'rejected');
    if (failed) throw failed.reason;
  };
}

function* batchesOf(messages: readonly QueueMessage[]): Generator<readonly QueueMessage[]> {
  for (let start = 0; start < messages.length; start += queues.batchEntries) {
    yield messages.slice(start, start + queues.batchEntries);
  }
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

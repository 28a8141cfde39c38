/** Sends messages to a queue and resolves once SQS has accepted all of them. */
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

/** How often a batch is sent, each time with the entries that SQS has not accepted yet. */
const maxRounds = 3;

/** Batches in flight: a webhook with a thousand documents has no time for a hundred round trips in sequence. */
const parallelBatches = 10;

/**
 * Sends batches of ten in parallel. SendMessageBatch returns 200 even if single entries failed (Amazon SQS API
 * reference); these entries are sent again. A message may be sent twice, but is never lost silently. No request is in
 * flight once the returned promise settles.
 *
 * @throws ArchiverError QueueUnavailable if SQS has not confirmed all messages
 */
export function createSender(sqs: Pick<SQSClient, 'send'>): SendMessages {
  return async (queueUrl, messages, signal) => {
    // All workers take batches from one generator. A worker that fails closes it, so that the others start no batch.
    const batches = batchesOf(messages);
    const worker = async () => {
      for (const batch of batches) await sendBatch(sqs, queueUrl, batch, signal);
    };
    const results = await Promise.allSettled(Array.from({ length: parallelBatches }, worker));
    const failed = results.find((result) => result.status === 'rejected');
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
  for (let round = 0; round < maxRounds; round += 1) {
    const command = new SendMessageBatchCommand({ QueueUrl: queueUrl, Entries: pending });
    const response = await sqs.send(command, { abortSignal: signal }).catch((error: unknown) => {
      throw new ArchiverError(
        'QueueUnavailable',
        `Could not send messages to SQS (${nameOf(error)}). It is safe to retry.`,
        { cause: error },
      );
    });
    // An entry that SQS reports neither as successful nor as failed counts as failed.
    const accepted = new Set(response.Successful?.map((entry) => entry.Id));
    pending = pending.filter((entry) => !accepted.has(entry.Id));
    if (pending.length === 0) return;
  }
  throw new ArchiverError(
    'QueueUnavailable',
    `SQS did not accept ${pending.length} of ${messages.length} messages. It is safe to retry.`,
  );
}

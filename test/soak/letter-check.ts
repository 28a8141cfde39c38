/** Checks that no document became a dead letter for its own fault before it was old enough. */
import { ReceiveMessageCommand } from '@aws-sdk/client-sqs';
import { type ErrorCode, retryPolicies } from '../../functions/errors.ts';
import { queues, type RetryTimings } from '../../functions/limits.ts';
import { createSqsClient } from '../../functions/queue/sqs-client.ts';
import { sleep, type Time } from '../../functions/time.ts';
import type { Stack } from '../../local/stack.ts';

const lockSeconds = 2;

/**
 * The dead letters are visible to other readers again when this resolves.
 *
 * @returns the problems found
 */
export async function checkDeadLetterAges(
  { addresses, credentials, lanes }: Stack,
  { documentFaultAfterMs }: RetryTimings,
  time: Time,
): Promise<string[]> {
  const sqs = createSqsClient({
    endpoint: addresses.sqsEndpoint,
    region: 'us-east-1',
    credentials,
  });
  const problems: string[] = [];
  for (const { deadLetterQueueUrl: QueueUrl } of Object.values(lanes)) {
    for (let received = 1; received > 0; ) {
      const { Messages = [] } = await sqs.send(
        new ReceiveMessageCommand({
          QueueUrl,
          MaxNumberOfMessages: queues.batchEntries,
          VisibilityTimeout: lockSeconds,
          MessageAttributeNames: ['All'],
          MessageSystemAttributeNames: ['SentTimestamp'],
        }),
        // No timeout: a busy machine may be slow.
        { requestTimeout: 0 },
      );
      received = Messages.length;
      for (const { Body, Attributes, MessageAttributes } of Messages) {
        const code = MessageAttributes?.code?.StringValue;
        const firstSeenAt = Date.parse(MessageAttributes?.firstSeenAt?.StringValue ?? '');
        const age = Number(Attributes?.SentTimestamp) - firstSeenAt;
        const isOwnFault = retryPolicies[code as ErrorCode] === 'retry';
        if (isOwnFault && !(age >= documentFaultAfterMs)) {
          problems.push(`${code} became a dead letter ${age} ms after its first receive: ${Body}`);
        }
      }
    }
  }
  sqs.destroy();
  await sleep(time, lockSeconds * 1_000);
  return problems;
}

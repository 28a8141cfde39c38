/** Whether a document's own fault has become a dead letter only once it was old enough. */
import { ReceiveMessageCommand } from '@aws-sdk/client-sqs';
import { type ErrorCode, retryPolicies } from '../../functions/errors.ts';
import { queues, type RetryTimings } from '../../functions/limits.ts';
import { createSqsClient } from '../../functions/queue/sqs-client.ts';
import { sleep, type Time } from '../../functions/time.ts';

const lockSeconds = 2;

/**
 * Whoever else reads the dead letters finds them again once this resolves.
 *
 * @returns what is wrong
 */
export async function checkDeadLetterAges(
  endpoint: string,
  queueUrls: readonly string[],
  { documentFaultAfterMs }: RetryTimings,
  time: Time,
): Promise<string[]> {
  const sqs = createSqsClient({
    endpoint,
    region: 'us-east-1',
    credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
  });
  const problems: string[] = [];
  for (const QueueUrl of queueUrls) {
    for (let received = 1; received > 0; ) {
      const { Messages = [] } = await sqs.send(
        new ReceiveMessageCommand({
          QueueUrl,
          MaxNumberOfMessages: queues.batchEntries,
          VisibilityTimeout: lockSeconds,
          MessageAttributeNames: ['All'],
          MessageSystemAttributeNames: ['SentTimestamp'],
        }),
        // As long as a busy machine takes.
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

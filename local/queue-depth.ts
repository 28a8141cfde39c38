import { GetQueueAttributesCommand, type QueueAttributeName, type SQSClient } from '@aws-sdk/client-sqs';

/** Messages in a queue: to be received, being worked on or waiting out their visibility timeout, and delayed. */
export async function queueDepth(client: SQSClient, queueUrl: string): Promise<number> {
  const counts: QueueAttributeName[] = [
    'ApproximateNumberOfMessages',
    'ApproximateNumberOfMessagesNotVisible',
    'ApproximateNumberOfMessagesDelayed',
  ];
  const { Attributes } = await client.send(
    new GetQueueAttributesCommand({ QueueUrl: queueUrl, AttributeNames: counts }),
  );
  return counts.reduce((sum, name) => sum + Number(Attributes?.[name] ?? 0), 0);
}

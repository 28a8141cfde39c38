import type { GetQueueAttributesCommand, SQSClient } from '@aws-sdk/client-sqs';
import { expect, it } from 'vitest';
import { queueDepth } from '../../functions/queue/queue-depth.ts';

/** An SQS client that returns these attributes, and the requests that it got. */
function clientReturning(attributes: Record<string, string> | undefined) {
  const requests: unknown[] = [];
  const client = {
    send: async ({ input }: GetQueueAttributesCommand) => {
      requests.push(input);
      return { Attributes: attributes };
    },
  };
  return { client: client as unknown as SQSClient, requests };
}

it('adds up the available, in-flight and delayed messages of a queue', async () => {
  const { client, requests } = clientReturning({
    ApproximateNumberOfMessages: '5',
    ApproximateNumberOfMessagesNotVisible: '30',
    ApproximateNumberOfMessagesDelayed: '200',
  });

  expect(await queueDepth(client, 'https://sqs/queue')).toBe(235);
  expect(requests).toEqual([
    {
      QueueUrl: 'https://sqs/queue',
      AttributeNames: [
        'ApproximateNumberOfMessages',
        'ApproximateNumberOfMessagesNotVisible',
        'ApproximateNumberOfMessagesDelayed',
      ],
    },
  ]);
});

it.each([
  ['one attribute', { ApproximateNumberOfMessages: '5' }, 5],
  ['no attributes', undefined, 0],
])('counts missing attributes as 0 when SQS returns %s', async (_what, attributes, depth) => {
  const { client } = clientReturning(attributes);

  expect(await queueDepth(client, 'https://sqs/queue')).toBe(depth);
});

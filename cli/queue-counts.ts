/** Message counts of each lane from SQS: approximate, and up to one minute late. */

import { queueDepth } from '../functions/queue/queue-depth.ts';
import { type ArchiverQueues, type ByLane, existingLanes, queuesOf } from './target/target.ts';

export interface LaneCounts {
  waiting: number;
  deadLetters: number;
}

export async function queueCounts(queues: ArchiverQueues): Promise<ByLane<LaneCounts>> {
  const counts = await Promise.all(
    existingLanes(queues).map(async (name) => {
      const { queueUrl, deadLetterQueueUrl } = queuesOf(queues, name);
      const [waiting, deadLetters] = await Promise.all([
        queueDepth(queues.sqs, queueUrl),
        queueDepth(queues.sqs, deadLetterQueueUrl),
      ]);
      return [name, { waiting, deadLetters }] as const;
    }),
  );
  return Object.fromEntries(counts) as ByLane<LaneCounts>;
}

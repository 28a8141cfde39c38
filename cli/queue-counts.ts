/** Message counts of each lane from SQS: approximate, and up to one minute late. */

import { type LaneName, laneNames } from '../functions/queue/lanes.ts';
import { queueDepth } from '../functions/queue/queue-depth.ts';
import type { ArchiverQueues } from './target/target.ts';

export interface LaneCounts {
  waiting: number;
  deadLetters: number;
}

export async function queueCounts({ sqs, lanes }: ArchiverQueues): Promise<Record<LaneName, LaneCounts>> {
  const counts = await Promise.all(
    laneNames.map(async (name) => {
      const { queueUrl, deadLetterQueueUrl } = lanes[name];
      const [waiting, deadLetters] = await Promise.all([
        queueDepth(sqs, queueUrl),
        queueDepth(sqs, deadLetterQueueUrl),
      ]);
      return [name, { waiting, deadLetters }] as const;
    }),
  );
  return Object.fromEntries(counts) as Record<LaneName, LaneCounts>;
}

/** How many messages wait in each lane, as SQS counts them: approximately, and up to a minute late. */

import { type LaneName, laneNames } from '../functions/queue/lanes.ts';
import { queueDepth } from '../functions/queue/queue-depth.ts';
import type { ArchiverQueues } from './target/target.ts';

export interface Depth {
  waiting: number;
  deadLetters: number;
}

export async function queueCounts({ sqs, lanes }: ArchiverQueues): Promise<Record<LaneName, Depth>> {
  const depths = await Promise.all(
    laneNames.map(async (name) => {
      const { queueUrl, deadLetterQueueUrl } = lanes[name];
      const [waiting, deadLetters] = await Promise.all([
        queueDepth(sqs, queueUrl),
        queueDepth(sqs, deadLetterQueueUrl),
      ]);
      return [name, { waiting, deadLetters }] as const;
    }),
  );
  return Object.fromEntries(depths) as Record<LaneName, Depth>;
}

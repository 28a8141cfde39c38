import type { LaneName } from '../../functions/queue/lanes.ts';
import { createSender } from '../../functions/queue/send.ts';
import type { Time } from '../../functions/time.ts';
import type { ArchiverQueues } from '../target/target.ts';

/** More than these would delay live documents: they go into the lane that is there for many. */
const mostLive = 1_000;

/**
 * ArchiverQueues documents to be archived, or looked at again, by the archiver.
 *
 * @returns the lane that they are in, or undefined where there were none
 * @throws ArchiverError QueueUnavailable; to repair once more does no harm
 */
export async function requeue(
  documentIds: readonly string[],
  { sqs, lanes }: ArchiverQueues,
  { time, signal }: { time: Time; signal: AbortSignal },
): Promise<LaneName | undefined> {
  if (documentIds.length === 0) return undefined;
  const lane = documentIds.length > mostLive ? 'backfill' : 'documents';
  const requestedAt = new Date(time.now()).toISOString();
  await createSender(sqs)(
    lanes[lane].queueUrl,
    documentIds.map((documentId) => ({
      v: 1,
      kind: 'document',
      documentId,
      trigger: 'operator',
      requestedAt,
    })),
    signal,
  );
  return lane;
}

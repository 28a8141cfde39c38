import { type Finding, isRepairable } from './findings.ts';
import type { PartContext } from './part-context.ts';

/**
 * Queues documents that are missing and still at Telnyx, if the stage repairs.
 *
 * @returns how many
 * @throws ArchiverError QueueUnavailable
 */
export async function repairDocuments(
  findings: readonly Finding[],
  { backfillQueueUrl, send, time, signal }: PartContext,
): Promise<number> {
  if (backfillQueueUrl === undefined) return 0;
  const ids = new Set(findings.filter(isRepairable).flatMap(({ documentId }) => documentId ?? []));
  const requestedAt = new Date(time.now()).toISOString();
  await send(
    backfillQueueUrl,
    [...ids].map((documentId) => ({ v: 1, kind: 'document', documentId, trigger: 'operator', requestedAt })),
    signal,
  );
  return ids.size;
}

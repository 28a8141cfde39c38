import type { AuditPart } from '../audit-names.ts';
import { type Finding, isRepairable } from './findings.ts';
import { readLastQueued } from './last-listing.ts';
import type { PartContext } from './part-context.ts';
import { shareOf } from './shares.ts';

/**
 * Queues documents that are missing and still at Telnyx, if the stage repairs: each once, and again in a full run and in the
 * nights of its share. Otherwise a document that cannot be archived would become another dead letter every night.
 *
 * @returns IDs of the documents that are queued, by this run or by one before it
 * @throws ArchiverError QueueUnavailable, and the errors of `Bucket`
 */
export async function repairDocuments(
  findings: readonly Finding[],
  part: AuditPart,
  { backfillQueueUrl, plan, bucket, retry, send, tally, time, signal }: PartContext,
): Promise<ReadonlySet<string>> {
  const ids = new Set(findings.filter(isRepairable).flatMap(({ documentId }) => documentId ?? []));
  if (backfillQueueUrl === undefined || ids.size === 0) return new Set();
  const queued = await retry((limited) => readLastQueued(plan, part, bucket, limited));
  const due = [...ids].filter(
    (id) => plan.full || plan.shares.includes(shareOf(id, plan.shareDays)) || !queued.has(id),
  );
  const requestedAt = new Date(time.now()).toISOString();
  await send(
    backfillQueueUrl,
    due.map((documentId) => ({ v: 1, kind: 'document', documentId, trigger: 'operator', requestedAt })),
    signal,
  );
  tally.repaired = due.length;
  return ids;
}

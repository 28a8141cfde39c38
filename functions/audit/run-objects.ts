/** Writes the objects of a run, each once. */
import { type Bucket, objectInMemory } from '../bucket/store.ts';
import type { AuditDependencies } from './handler.ts';
import { type AuditPlan, type PartResult, type RunSummary, recordText } from './records.ts';

/** @returns whether this call wrote it, or that it existed. @throws ArchiverError the errors of `Bucket` */
export async function writeRunObject(
  key: string,
  record: AuditPlan | PartResult | RunSummary,
  bucket: Pick<Bucket, 'putOnce'>,
  signal: AbortSignal,
): Promise<'written' | 'exists'> {
  const object = objectInMemory(key, recordText(record), 'application/json');
  const stored = await bucket.putOnce(object, signal);
  return stored === 'exists' ? 'exists' : 'written';
}

/** Queues parts of a run. Safe to repeat. @throws ArchiverError QueueUnavailable */
export async function sendParts(
  { run, startedAt }: AuditPlan,
  parts: readonly string[],
  signal: AbortSignal,
  { send, auditQueueUrl }: Pick<AuditDependencies, 'send' | 'auditQueueUrl'>,
): Promise<void> {
  await send(
    auditQueueUrl,
    parts.map((part) => ({ v: 1, kind: 'audit-part', run, part, requestedAt: startedAt })),
    signal,
  );
}

/** An archive in memory that the audit function audits. */
import { documentKey, receiptKey } from '../../functions/bucket/keys.ts';
import { type AuditFunctionOptions, createAuditFunction } from './audit-function.ts';
import { virtualTime } from './clock.ts';
import { type Archived, day, documentOf, noon, receiptOf, type TelnyxRecord, written } from './documents.ts';
import { MemoryBucket } from './memory-bucket.ts';

/** IDs in the order of the numbers. */
export const documentIdOf = (number: number) =>
  `${number.toString(16).padStart(8, '0')}-0000-4000-8000-000000000001`;

/** An empty archive and an account at Telnyx, both in memory, with the audit function. */
export function createAuditedArchive({
  time = virtualTime(noon),
  ...options
}: Partial<AuditFunctionOptions> = {}) {
  const bucket = new MemoryBucket(time);
  const account = new Map<string, TelnyxRecord>();
  const archive = (archived: Archived, modified = time.now()) => {
    account.set(archived.record.id, archived.record);
    bucket.put(documentKey(archived.record.id), archived.body, modified);
    bucket.put(receiptKey(archived.record.id), written(receiptOf(archived)), modified);
  };
  const audit = createAuditFunction({ time, ...options, bucket, account });
  return {
    time,
    bucket,
    account,
    archive,
    /** Archives so many documents, some days ago. */
    fill: (count: number, daysAgo = 10) => {
      const ids = Array.from({ length: count }, (_, number) => documentIdOf(number * 0x00200000));
      for (const id of ids) {
        archive(
          documentOf(id, Buffer.from(id), { createdAt: time.now() - daysAgo * day }),
          time.now() - daysAgo * day,
        );
      }
      return ids;
    },
    nextDay: () => time.set(time.now() + day),
    requestsFor: (operation: string, key: string) =>
      bucket.requests.filter((request) => request === `${operation} ${key}`).length,
    ...audit,
  };
}

/** The audit function, run night by night on an archive in memory. */
import { expect, it } from 'vitest';
import { documentKey, receiptKey } from '../../functions/bucket/keys.ts';
import { createAuditFunction } from '../fakes/audit-function.ts';
import { virtualTime } from '../fakes/clock.ts';
import {
  type Archived,
  day,
  documentOf,
  noon,
  receiptOf,
  type TelnyxRecord,
  written,
} from '../fakes/documents.ts';
import { MemoryBucket } from '../fakes/memory-bucket.ts';

const id = (number: number) => `${number.toString(16).padStart(8, '0')}-0000-4000-8000-000000000001`;

function createArchive(options: { fixityDays?: number; repair?: boolean } = {}) {
  const time = virtualTime(noon);
  const bucket = new MemoryBucket(time);
  const account = new Map<string, TelnyxRecord>();
  const archive = (archived: Archived, modified = time.now()) => {
    account.set(archived.record.id, archived.record);
    bucket.put(documentKey(archived.record.id), archived.body, modified);
    bucket.put(receiptKey(archived.record.id), written(receiptOf(archived)), modified);
  };
  return { time, bucket, account, archive, ...createAuditFunction({ bucket, account, time, ...options }) };
}

it('a run over a healthy archive completes without problems', async () => {
  const { archive, night, metric } = createArchive();
  for (let number = 0; number < 10; number += 1)
    archive(documentOf(id(number), Buffer.from(`text ${number}`)), noon - day);

  const { summary, findings } = await night();

  expect(findings).toEqual([]);
  expect(summary).toMatchObject({
    status: 'complete',
    unfinished: [],
    tally: { documents: 10, archived: 10, counts: { same: 10 } },
  });
  expect(metric('AuditCompleted')).toHaveLength(1);
  expect(metric('AuditFindings')).toMatchObject([{ AuditFindings: 0 }]);
});

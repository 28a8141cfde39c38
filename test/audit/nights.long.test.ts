/** The audit function in virtual time, without any other part of the archiver: many nights of a small archive. */
import { expect, it } from 'vitest';
import { eraseDocument } from '../../cli/erasure/erase-document.ts';
import { examine } from '../../cli/erasure/examine.ts';
import { documentKey, receiptKey } from '../../functions/bucket/keys.ts';
import { createStorageRetry } from '../../functions/bucket/storage-retry.ts';
import { createBucket } from '../../functions/bucket/store.ts';
import { createVersions } from '../../functions/bucket/versions.ts';
import { createAuditFunction } from '../fakes/audit-function.ts';
import { virtualTime } from '../fakes/clock.ts';
import { day, documentOf, noon, receiptOf, type TelnyxRecord, written } from '../fakes/documents.ts';
import { MemoryBucket, sha256 } from '../fakes/memory-bucket.ts';

const minute = 60_000;
const nights = 1_000;
const never = new AbortController().signal;

/** An archive into which a sweep brings each document seconds after its upload, as the archiver does. */
function createArchive() {
  const time = virtualTime(noon);
  const bucket = new MemoryBucket(time);
  const account = new Map<string, TelnyxRecord>();
  const options = { s3: { send: bucket.send } as never, name: 'archive', time };
  const dependencies = {
    bucket: createBucket(options),
    catalogue: undefined,
    versions: createVersions(options),
    retry: createStorageRetry({ time, random: () => 0.5, signal: never }),
    now: time.now,
    archiver: '0.2.0',
  };
  let uploads = 0;
  const upload = () => {
    uploads += 1;
    const hex = sha256(String(uploads));
    const id = [
      hex.slice(0, 8),
      hex.slice(8, 12),
      hex.slice(12, 16),
      hex.slice(16, 20),
      hex.slice(20, 32),
    ].join('-');
    const archived = documentOf(id, Buffer.from(`document ${id}`), { createdAt: time.now() });
    account.set(id, archived.record);
    return archived;
  };
  const sweep = (archived: ReturnType<typeof documentOf>) => {
    const { id } = archived.record;
    bucket.put(documentKey(id), archived.body, time.now());
    bucket.put(receiptKey(id), written(receiptOf(archived)), time.now());
    return id;
  };
  const erase = async (id: string) => {
    const found = await examine(id, dependencies);
    const order = { basis: 'DSR-1', erasedBy: 'operator', bypassGovernance: false };
    return await eraseDocument(found, order, dependencies);
  };
  return { time, bucket, account, upload, sweep, erase, ...createAuditFunction({ bucket, account, time }) };
}

it('finds nothing in a thousand nights of a healthy archive that grows and of which documents are erased', async () => {
  const { time, account, upload, sweep, erase, night } = createArchive();
  const archived = Array.from({ length: 40 }, () => sweep(upload()));
  const problems: unknown[] = [];
  let objectsRead = 0;

  for (let number = 0; number < nights; number += 1) {
    if (number % 10 === 9) {
      const [chosen = ''] = archived.splice(number % archived.length, 1);
      expect((await erase(chosen)).unfinished).toBeUndefined();
    }
    // Telnyx keeps some documents, and one is uploaded just before each audit.
    for (const [id, { created_at }] of account)
      if (time.now() - Date.parse(created_at) > 20 * day) account.delete(id);
    time.set(time.now() + day - minute);
    const late = upload();
    time.set(time.now() + minute);
    const { summary, findings } = await night();
    archived.push(sweep(late));
    objectsRead += summary.tally.objectsRead;
    if (findings.length > 0 || summary.status !== 'complete') problems.push({ number, findings });
  }

  expect(problems).toEqual([]);
  expect(archived).toHaveLength(40 + nights - nights / 10);
  // Each object when it is new, and then every thirty days.
  expect(objectsRead).toBeGreaterThan((archived.length * nights) / 2 / 30);
}, 600_000);

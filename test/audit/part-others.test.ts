import { expect, it } from 'vitest';
import { createPartContext } from '../../functions/audit/part-context.ts';
import { auditOthers } from '../../functions/audit/part-others.ts';
import { auditPlanKey, documentKey, holdKey, receiptKey } from '../../functions/bucket/keys.ts';
import { manifestKey } from '../../functions/bucket/manifest-text.ts';
import { createAuditFunction } from '../fakes/audit-function.ts';
import { runRecords } from '../fakes/audit-runs.ts';
import { virtualTime } from '../fakes/clock.ts';
import { day, noon } from '../fakes/documents.ts';
import { MemoryBucket } from '../fakes/memory-bucket.ts';

const run = '20261124T021500Z';
const id = '6e0c8a55-2d0b-4bb0-9d6a-0a6c1e5d7f01';

it('The objects of the bucket that belong to no document are judged, and nothing else is', async () => {
  const time = virtualTime(noon);
  const bucket = new MemoryBucket(time);
  const foreign = [
    'a',
    'contexts',
    'contexts0',
    'documents',
    'documents0',
    'holds',
    'holds0',
    'manifests/x',
    'receipts',
    'receipts0',
    'z',
  ];
  const replaced = [auditPlanKey(run), manifestKey(run)];
  const ofDocuments = [
    documentKey(id),
    'documents/x',
    'contexts/x',
    holdKey(id, noon),
    'holds/x',
    receiptKey(id),
    'receipts/x',
  ];
  for (const key of [...foreign, ...replaced, ...ofDocuments]) bucket.put(key, 'x', noon - day);
  for (const key of replaced) bucket.put(key, 'y', noon - day);
  bucket.put(auditPlanKey('20261123T021500Z'), 'x', noon - day);
  const { dependencies } = createAuditFunction({ bucket, time });
  const { signal } = new AbortController();
  const context = createPartContext(runRecords(run).plan, { workMs: 60_000, signal }, dependencies);

  const { findings } = await auditOthers(context);

  expect(findings.map(({ code, key }) => `${code} ${key}`).sort()).toEqual(
    [`overwritten ${auditPlanKey(run)}`, ...foreign.map((key) => `foreign ${key}`)].sort(),
  );
  expect(context.tally.counts).toEqual({ foreign: foreign.length, overwritten: 1 });
});

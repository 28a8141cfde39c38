import { expect, it } from 'vitest';
import { createPartContext } from '../../functions/audit/part-context.ts';
import { auditOthers } from '../../functions/audit/part-others.ts';
import {
  auditPlanKey,
  auditSummaryKey,
  documentKey,
  holdKey,
  receiptKey,
} from '../../functions/bucket/keys.ts';
import { manifestKey } from '../../functions/bucket/manifest-text.ts';
import { sleep } from '../../functions/time.ts';
import { createAuditFunction } from '../fakes/audit-function.ts';
import { runRecords } from '../fakes/audit-runs.ts';
import { virtualTime } from '../fakes/clock.ts';
import { day, noon } from '../fakes/documents.ts';
import { MemoryBucket } from '../fakes/memory-bucket.ts';

const run = '20261124T021500Z';
const never = new AbortController().signal;
const id = '6e0c8a55-2d0b-4bb0-9d6a-0a6c1e5d7f01';

function startWorld() {
  const time = virtualTime(noon);
  const bucket = new MemoryBucket(time);
  return {
    time,
    bucket,
    /** @param slow awaited before each listing of the records of runs */
    audit: async (from?: string, slow = async (): Promise<void> => undefined) => {
      const beforeRequest = async (command: unknown) => {
        const { Prefix, KeyMarker } = (command as { input: Record<string, string | undefined> }).input;
        if (`${Prefix ?? ''}${KeyMarker ?? ''}`.startsWith('audits/')) await slow();
      };
      const { dependencies } = createAuditFunction({ bucket, time, beforeRequest });
      const { plan } = runRecords(run);
      const context = createPartContext(plan, { workMs: 60_000, signal: never }, dependencies);
      const part = { sort: 'others', ...(from !== undefined && { from }) } as const;
      return { context, ...(await auditOthers(part, context)) };
    },
  };
}

it('The objects of the bucket that belong to no document are judged, and nothing else is', async () => {
  const { bucket, audit } = startWorld();
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

  const { findings, rest, context } = await audit();

  expect(findings.map(({ code, key }) => `${code} ${key}`).sort()).toEqual(
    [`overwritten ${auditPlanKey(run)}`, ...foreign.map((key) => `foreign ${key}`)].sort(),
  );
  expect(context.tally.counts).toEqual({ foreign: foreign.length, overwritten: 1 });
  expect(rest).toBeUndefined();
});

it('Records of more runs than one delivery can list are judged by the next ones, each once', async () => {
  const { time, bucket, audit } = startWorld();
  const runs = ['20261120T021500Z', '20261121T021500Z', '20261121T021500Z_full', '20261122T021500Z'];
  const foreign = [
    'a',
    'audits/2',
    'audits/20261121T021500Z',
    'audits/20261121T021500Z-',
    'audits/a',
    'manifests/x',
    'z',
  ];
  const replaced = runs.flatMap((each) => [auditPlanKey(each), auditSummaryKey(each)]);
  for (const key of [...foreign, ...replaced]) bucket.put(key, 'x', noon - day);
  for (const key of replaced) bucket.put(key, 'y', noon - day);
  bucket.pageKeys = 1;
  const found: string[] = [];
  const pieces: (string | undefined)[] = [];
  for (let from: string | undefined; pieces.length === 0 || from !== undefined; ) {
    const { findings, rest } = await audit(from, () => sleep(time, 20_000));
    found.push(...findings.map(({ key }) => key));
    pieces.push(from);
    if (rest) expect(rest.sort).toBe('others');
    from = rest && 'from' in rest ? rest.from : undefined;
  }

  expect(pieces).toEqual([undefined, ...runs.slice(1)]);
  expect(found.toSorted()).toEqual([...foreign, ...replaced].toSorted());
});

it.each([
  ['a', 'before audits/0'],
  ['audits/!', 'before audits/0'],
  ['audits/a', 'from audits/: on and before contexts/'],
  ['contexts0', 'from contexts0 on and before documents/'],
  ['documents0', 'from documents0 on and before holds/'],
  ['holds0', 'from holds0 on and before manifests/0'],
  ['manifests/!', 'from holds0 on and before manifests/0'],
  ['manifests/a', 'from manifests/: on and before receipts/'],
  ['receipts0', 'from receipts0 on'],
])(
  'Of very many foreign objects in one place, a thousand are listed, and the finding says so: %s',
  async (folder, place) => {
    const { bucket, audit } = startWorld();
    for (let number = 0; number < 3_500; number += 1) {
      bucket.put(`${folder}/${String(number).padStart(4, '0')}`, 'x', noon - day);
    }
    const elsewhere = folder < 'b' ? 'z' : '0';
    bucket.put(elsewhere, 'x', noon - day);

    const { findings, context } = await audit();

    expect(findings.filter(({ code }) => code === 'foreign')).toHaveLength(1_001);
    expect(findings).toContainEqual(expect.objectContaining({ code: 'foreign', key: elsewhere }));
    expect(findings.filter(({ code }) => code !== 'foreign')).toEqual([
      {
        code: 'unreadable',
        key: 'bucket',
        detail: `more than 1,000 objects with keys ${place} were not written by the archiver; not all were listed`,
      },
    ]);
    expect(context.tally.counts).toEqual({ foreign: 1_001, unreadable: 1 });
    expect(context.tally.requests).toBeLessThan(15);
  },
);

it.each(['audits/2', 'manifests/2'])(
  'Of very many foreign objects among the archiver’s own, a thousand are listed, and the others counted: %s',
  async (folder) => {
    const { bucket, audit } = startWorld();
    for (let number = 0; number < 1_500; number += 1) bucket.put(`${folder}/${number}`, 'x', noon - day);
    bucket.put(auditPlanKey(run), 'x', noon - day);
    bucket.put(auditPlanKey(run), 'y', noon - day);

    const { findings } = await audit();

    expect(findings).toHaveLength(1_002);
    expect(findings.filter(({ code }) => code !== 'foreign')).toMatchObject([{ code: 'overwritten' }]);
    expect(findings).toContainEqual({ code: 'foreign', key: 'bucket', detail: 'other objects: 500' });
  },
);

import { describe, expect, it } from 'vitest';
import { readLastDifferences, readLastListing, readLastQueued } from '../../functions/audit/last-listing.ts';
import type { RecordedFinding } from '../../functions/audit/records.ts';
import { type AuditPart, parsePartName } from '../../functions/audit-names.ts';
import { auditResultKey, auditSummaryKey } from '../../functions/bucket/keys.ts';
import { createBucket } from '../../functions/bucket/store.ts';
import { putRun, runRecords } from '../fakes/audit-runs.ts';
import { virtualTime } from '../fakes/clock.ts';
import { noon } from '../fakes/documents.ts';
import { MemoryBucket } from '../fakes/memory-bucket.ts';

const { signal } = new AbortController();
const tonight = '20261124T021500Z';
const lastNight = '20261123T021500Z';
const everything = { from: '', before: '' };

const found = (documentId: string | undefined, code: RecordedFinding['code'] = 'lost'): RecordedFinding => ({
  code,
  key: 'x',
  ...(documentId !== undefined && { documentId }),
  detail: '',
});

/** An archive in which a run of last night divided the IDs at 8. */
function startWorld() {
  const time = virtualTime(noon);
  const memory = new MemoryBucket(time);
  const bucket = createBucket({ s3: { send: memory.send } as never, name: 'archive', time });
  putRun(memory, lastNight, {
    parts: {
      ids__8: { cells: { '000': 'a', '7ff': 'b' }, findings: [found('0000'), found(undefined, 'foreign')] },
      ids_8_: { cells: { '800': 'c' }, findings: [found('8000')] },
      telnyx_1795651200: {
        findings: [
          found('4000', 'missing'),
          found('4000', 'telnyx-differs'),
          found('9000', 'missing'),
          found(undefined, 'unreadable'),
        ],
      },
      others: { findings: [found('5000', 'hidden')] },
    },
  });
  const plan = { ...runRecords(tonight).plan, lastRun: lastNight, lastListed: lastNight };
  return { memory, bucket, plan };
}

const resultKey = (name: string) => {
  const part = parsePartName(name);
  return part ? auditResultKey(lastNight, part) : expect.unreachable();
};

describe('readLastListing', () => {
  it('returns the cells and the documents with problems of the parts of sort ids', async () => {
    const { bucket, plan } = startWorld();

    expect(await readLastListing(plan, everything, bucket, signal)).toEqual({
      cells: new Map([
        ['000', 'a'],
        ['7ff', 'b'],
        ['800', 'c'],
      ]),
      newFrom: Date.parse('2026-11-23T02:15:00Z'),
      problems: new Set(['0000', '8000']),
    });
  });

  it.each([
    [{ from: '', before: '8' }, ['000', '7ff']],
    [{ from: '7ff', before: '8' }, ['000', '7ff']],
    [{ from: '7ff', before: '801' }, ['000', '7ff', '800']],
    [{ from: '8', before: '' }, ['800']],
  ])('reads only the parts that overlap the stretch %j', async (stretch, cells) => {
    const { bucket, plan } = startWorld();

    expect([...((await readLastListing(plan, stretch, bucket, signal))?.cells.keys() ?? [])]).toEqual(cells);
  });

  it('returns undefined in a full run, without a last run, and without the summary of the last run', async () => {
    const { memory, bucket, plan } = startWorld();

    expect(await readLastListing({ ...plan, full: true }, everything, bucket, signal)).toBeUndefined();
    expect(await readLastListing(runRecords(tonight).plan, everything, bucket, signal)).toBeUndefined();

    memory.objects.delete(auditSummaryKey(lastNight));
    expect(await readLastListing(plan, everything, bucket, signal)).toBeUndefined();
  });

  it.each([auditSummaryKey(lastNight), resultKey('ids_8_')])(
    'returns undefined if somebody changed %s',
    async (key) => {
      const { memory, bucket, plan } = startWorld();
      memory.put(key, '{}', noon);

      expect(await readLastListing(plan, everything, bucket, signal)).toBeUndefined();
    },
  );

  it('skips a result that is gone', async () => {
    const { memory, bucket, plan } = startWorld();
    memory.objects.delete(resultKey('ids__8'));

    const last = await readLastListing(plan, everything, bucket, signal);

    expect(last).toMatchObject({ cells: new Map([['800', 'c']]), problems: new Set(['8000']) });
  });

  it('reads the problems of a result without cells', async () => {
    const { memory, bucket, plan } = startWorld();
    putRun(memory, lastNight, { parts: { ids__: { findings: [found('0000')] } } });

    const last = await readLastListing(plan, everything, bucket, signal);

    expect(last).toMatchObject({ cells: new Map(), problems: new Set(['0000']) });
  });

  it('throws the errors of the bucket', async () => {
    const { memory, bucket, plan } = startWorld();
    memory.refuse = () => ({ name: 'AccessDenied', status: 403 });

    await expect(readLastListing(plan, everything, bucket, signal)).rejects.toMatchObject({
      code: 'BucketMisconfigured',
    });
  });
});

describe('readLastQueued', () => {
  it.each([
    ['ids__8', ['1']],
    ['ids_8_', ['8']],
    ['ids__', ['1', '8']],
    ['telnyx_1795651200', ['4', '9']],
  ])('returns what the parts of the same documents had queued: %s', async (name, expected) => {
    const { memory, bucket, plan } = startWorld();
    const queued = (documentId: string) => ({ ...found(documentId), queued: true as const });
    putRun(memory, lastNight, {
      parts: {
        ids__8: { findings: [found('0'), queued('1'), found(undefined, 'foreign')] },
        ids_8_: { findings: [queued('8')] },
        telnyx_1795651200: { findings: [queued('4'), found('4', 'telnyx-differs')] },
        telnyx_1795651199: { findings: [queued('9')] },
      },
    });

    const ids = await readLastQueued(plan, parsePartName(name) as AuditPart, bucket, signal);

    expect([...ids]).toEqual(expected);
  });

  it('returns nothing without a last run', async () => {
    const { bucket } = startWorld();
    const { plan } = runRecords(tonight);

    for (const name of ['ids__', 'telnyx_1795651200']) {
      expect(await readLastQueued(plan, parsePartName(name) as AuditPart, bucket, signal)).toEqual(new Set());
    }
  });
});

describe('readLastDifferences', () => {
  it('returns what the parts of sort telnyx found, once per document', async () => {
    const { bucket, plan } = startWorld();

    expect(await readLastDifferences(plan, bucket, signal)).toEqual([
      found('4000', 'telnyx-differs'),
      found('9000', 'missing'),
    ]);
  });

  it('returns nothing without a last run', async () => {
    const { bucket } = startWorld();

    expect(await readLastDifferences(runRecords(tonight).plan, bucket, signal)).toEqual([]);
  });
});

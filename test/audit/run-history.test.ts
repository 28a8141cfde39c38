import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  lastCatalogued,
  listRuns,
  readPartResult,
  readRunPlan,
  readRunSummary,
} from '../../functions/audit/run-history.ts';
import { type AuditPart, parsePartName, runName } from '../../functions/audit-names.ts';
import { auditSummaryKey } from '../../functions/bucket/keys.ts';
import { createBucket } from '../../functions/bucket/store.ts';
import { collected } from '../collected.ts';
import { putRun, type RunOptions, runRecords } from '../fakes/audit-runs.ts';
import { virtualTime } from '../fakes/clock.ts';
import { day, noon } from '../fakes/documents.ts';
import { MemoryBucket } from '../fakes/memory-bucket.ts';

const { signal } = new AbortController();
const tonight = '20261124T021500Z';
const lastNight = '20261123T021500Z';

function startWorld({ pageKeys = 1_000 } = {}) {
  const time = virtualTime(noon);
  const memory = new MemoryBucket(time);
  memory.pageKeys = pageKeys;
  const bucket = createBucket({ s3: { send: memory.send } as never, name: 'archive', time });
  const runs = (from?: string) => collected(listRuns(bucket, { from, signal }));
  return { memory, bucket, runs };
}

/** Parts with as many stretches of IDs. */
function partsOf(stretches: number): NonNullable<RunOptions['parts']> {
  const bounds = Array.from({ length: stretches - 1 }, (_, n) => (n + 1).toString(16).padStart(4, '0'));
  return Object.fromEntries(
    [...['', ...bounds].map((from, n) => `ids_${from}_${bounds[n] ?? ''}`), 'others'].map((part) => [
      part,
      {},
    ]),
  );
}

describe('listRuns', () => {
  it('lists the runs oldest first, with what each has', async () => {
    const { memory, runs } = startWorld();
    putRun(memory, tonight, { ended: false });
    putRun(memory, lastNight);

    expect(await runs()).toEqual([
      { run: lastNight, hasPlan: true, hasSummary: true },
      { run: tonight, hasPlan: true, hasSummary: false },
    ]);
  });

  it('returns nothing for an archive without runs', async () => {
    const { memory, runs } = startWorld();
    memory.put('documents/x', 'x', noon);

    expect(await runs()).toEqual([]);
  });

  it('begins with the run from which it is asked to list', async () => {
    const { memory, runs } = startWorld();
    putRun(memory, lastNight);
    putRun(memory, tonight);

    expect((await runs(tonight)).map(({ run }) => run)).toEqual([tonight]);
    expect(await runs('20261124T021501Z')).toEqual([]);
  });

  it('skips what the archiver does not write under audits/', async () => {
    const { memory, runs } = startWorld({ pageKeys: 1 });
    putRun(memory, tonight);
    for (const key of ['audits/', 'audits/readme.txt', `audits/${tonight}/results/~`, 'audits/~']) {
      memory.put(key, 'x', noon);
    }

    expect(await runs()).toEqual([{ run: tonight, hasPlan: true, hasSummary: true }]);
  });

  it('reads one page of the results of a run, not all of them', async () => {
    const { memory, runs } = startWorld({ pageKeys: 10 });
    for (const run of [lastNight, tonight]) putRun(memory, run, { parts: partsOf(4_000) });

    expect(await runs()).toHaveLength(2);
    expect(memory.requests.length).toBeLessThanOrEqual(5);
  });

  it('finds the same runs whatever the number of results and the length of a page', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ stretches: fc.integer({ min: 1, max: 6 }), ended: fc.boolean() }), {
          maxLength: 6,
        }),
        fc.integer({ min: 1, max: 9 }),
        async (nights, pageKeys) => {
          const { memory, runs } = startWorld({ pageKeys });
          const expected = nights.map(({ stretches, ended }, n) => {
            const run = runName(noon + n * day);
            putRun(memory, run, { parts: partsOf(stretches), ended });
            return { run, hasPlan: true, hasSummary: ended };
          });

          expect(await runs()).toEqual(expected);
        },
      ),
    );
  });
});

describe('lastCatalogued', () => {
  it('returns the newest run that left all documents in the catalogue, but none that is dated ahead', async () => {
    const { memory, bucket } = startWorld();
    const parts = { ids__: { catalogue: true as const } };
    putRun(memory, '20261122T021500Z', { parts });
    putRun(memory, lastNight, { parts });
    putRun(memory, tonight);
    putRun(memory, '20271124T021500Z', { parts, startedAtMs: noon - 3 * day });

    const found = await lastCatalogued(bucket, '20261101T000000Z', signal);

    expect(found?.run).toBe(lastNight);
  });
});

describe('the records of a run', () => {
  it('are read by the name of the run, and of the part', async () => {
    const { memory, bucket } = startWorld();
    putRun(memory, tonight);
    const { plan, results, summary } = runRecords(tonight);
    const part = parsePartName('ids__') as AuditPart;

    expect(await readRunPlan(bucket, tonight, signal)).toEqual(plan);
    expect(await readPartResult(bucket, tonight, part, signal)).toEqual(results[0]);
    expect(await readRunSummary(bucket, tonight, signal)).toEqual(summary);
  });

  it('are undefined where the bucket has none', async () => {
    const { bucket } = startWorld();

    expect(await readRunPlan(bucket, tonight, signal)).toBeUndefined();
    expect(await readPartResult(bucket, tonight, { sort: 'others' }, signal)).toBeUndefined();
    expect(await readRunSummary(bucket, tonight, signal)).toBeUndefined();
  });

  it('are refused if they are those of another run', async () => {
    const { memory, bucket } = startWorld();
    putRun(memory, tonight);
    for (const [key, { body }] of [...memory.objects])
      memory.put(key.replace(tonight, lastNight), body, noon);

    await expect(readRunPlan(bucket, lastNight, signal)).rejects.toThrow('a copy from another run');
    await expect(readPartResult(bucket, lastNight, { sort: 'others' }, signal)).rejects.toThrow('a copy');
    await expect(readRunSummary(bucket, lastNight, signal)).rejects.toThrow(RangeError);
  });

  it('are refused if the archiver did not write them in this form', async () => {
    const { memory, bucket } = startWorld();
    memory.put(auditSummaryKey(tonight), '{"v":1}', noon);

    await expect(readRunSummary(bucket, tonight, signal)).rejects.toThrow(RangeError);
  });
});

import { describe, expect, it } from 'vitest';
import { parsePlan, parseSummary, recordText } from '../../functions/audit/records.ts';
import { shareOf } from '../../functions/audit/shares.ts';
import { startRun } from '../../functions/audit/start.ts';
import { runName } from '../../functions/audit-names.ts';
import { auditPlanKey, auditSummaryKey, receiptKey } from '../../functions/bucket/keys.ts';
import { formatTimestamp, manifestKey } from '../../functions/bucket/manifest-text.ts';
import { type AuditFunctionOptions, createAuditFunction } from '../fakes/audit-function.ts';
import { putRun, type RunOptions, runRecords } from '../fakes/audit-runs.ts';
import { virtualTime } from '../fakes/clock.ts';
import { day, noon } from '../fakes/documents.ts';
import { MemoryBucket, sha256 } from '../fakes/memory-bucket.ts';
import { putRootManifest } from '../fakes/root-manifests.ts';

const minute = 60_000;
const hour = 60 * minute;
const run = '20261124T120000Z';
const fullRun = `${run}_full`;
const today = Math.floor(noon / day);
const id = '6e0c8a55-2d0b-4bb0-9d6a-0a6c1e5d7f01';
const refused = { name: 'AccessDenied', status: 403 };

function startWorld(options: Partial<AuditFunctionOptions> = {}) {
  const time = virtualTime(noon);
  const bucket = new MemoryBucket(time);
  const { dependencies, queue, lines } = createAuditFunction({ bucket, time, ...options });
  const { signal } = new AbortController();
  const planOf = (name = run) => {
    const stored = bucket.objects.get(auditPlanKey(name));
    return stored && parsePlan(stored.body);
  };
  return {
    bucket,
    store: dependencies.bucket,
    lines,
    queued: () => queue.map(({ body }) => JSON.parse(body).part as string),
    planOf,
    statusOf: (name: string) => {
      const stored = bucket.objects.get(auditSummaryKey(name));
      return stored && parseSummary(stored.body).status;
    },
    /** A run that began some milliseconds ago. @returns its name */
    putRunBefore: (ms: number, runOptions: RunOptions = {}) => {
      const name = runName(noon - ms);
      putRun(bucket, name, runOptions);
      return name;
    },
    start: ({ full = false, receivedAt = noon, requestedAt = noon } = {}) =>
      startRun(
        {
          v: 1,
          kind: 'audit-start',
          ...(full && { full }),
          requestedAt: new Date(requestedAt).toISOString(),
        },
        { receivedAt, deadline: Number.POSITIVE_INFINITY, signal },
        dependencies,
      ),
  };
}

/** The newest summary as it was written, with other fields. */
function changeSummary(bucket: MemoryBucket, name: string, changes: object): void {
  const { summary } = runRecords(name);
  if (!summary) expect.unreachable();
  bucket.put(auditSummaryKey(name), recordText({ ...summary, ...changes }), noon);
}

describe('the plan of a run', () => {
  it('is written, and its parts are queued', async () => {
    const { start, planOf, queued, bucket } = startWorld();
    const receivedAt = noon + 1_500;

    expect(await start({ receivedAt })).toEqual({ run, queued: 3 });

    const parts = ['ids__', `telnyx_${(noon + 302_000) / 1_000}`, 'others'];
    expect(planOf()).toEqual({
      v: 1,
      run,
      startedAt: new Date(receivedAt).toISOString(),
      full: false,
      shareDays: 30,
      readsBytes: true,
      day: today,
      shares: [today % 30],
      listShares: [today % 30],
      newFrom: new Date(receivedAt - 300_000).toISOString(),
      parts,
      manifests: [],
      findings: [],
      archiver: '0.2.0',
    });
    expect(queued()).toEqual(parts);
    expect(bucket.requests.filter((request) => request === `get ${auditPlanKey(run)}`)).toHaveLength(1);
    expect(bucket.requests).toContain('list-versions manifests/');
  });

  it.each([
    [7, false, 7, true],
    [0, false, 30, false],
    [0, true, 30, true],
    [7, true, 7, true],
  ])(
    'with fixityDays %d, full: %s, has %d shares, and reads bytes: %s',
    async (fixityDays, full, shareDays, readsBytes) => {
      const { start, planOf } = startWorld({ fixityDays });

      await start({ full });

      expect(planOf(full ? fullRun : run)).toMatchObject({
        full,
        shareDays,
        readsBytes,
        shares: [today % shareDays],
      });
    },
  );

  it('divides the IDs of a large archive', async () => {
    const { start, planOf, bucket } = startWorld();
    // More than one page at the very beginning of a digit stands for 65 million documents: as many parts as a digit can have.
    for (let number = 0; number <= 1_000; number += 1) {
      bucket.put(receiptKey(`00000000-0000-4000-8000-${String(number).padStart(12, '0')}`), 'x', noon);
    }

    await start();

    const ofIds = planOf()?.parts.filter((part) => part.startsWith('ids_'));
    expect(ofIds).toHaveLength(257);
    expect(ofIds?.slice(0, 2)).toEqual(['ids__001', 'ids_001_002']);
  });

  it('of a start that is received a second time stays, and its parts are queued again', async () => {
    const { start, planOf, queued, bucket } = startWorld();
    await start();
    const first = planOf();
    bucket.requests.length = 0;

    expect(await start({ receivedAt: noon + hour })).toEqual({ run, queued: 3 });

    expect(planOf()).toEqual(first);
    expect(bucket.requests.filter((request) => request.startsWith('put '))).toEqual([]);
    expect(queued()).toEqual([...(first?.parts ?? []), ...(first?.parts ?? [])]);
  });

  it('is that of another delivery if both write it at the same time', async () => {
    const { start, queued, bucket } = startWorld();
    const { plan } = runRecords(run, { parts: { others: {} } });
    bucket.refuse = (operation, key) => {
      if (operation !== 'put') return undefined;
      bucket.put(key, recordText(plan), noon);
      return { name: 'PreconditionFailed', status: 412 };
    };

    expect(await start()).toEqual({ run, queued: 1 });

    expect(queued()).toEqual(['others']);
  });

  it('causes BucketConflict if it existed during the write but not afterwards', async () => {
    const { start, bucket, queued } = startWorld();
    bucket.refuse = (operation) =>
      operation === 'put' ? { name: 'PreconditionFailed', status: 412 } : undefined;

    await expect(start()).rejects.toMatchObject({
      code: 'BucketConflict',
      message: 'The plan existed during the write, but was gone afterwards.',
    });
    expect(queued()).toEqual([]);
  });

  it.each([
    [20 * hour, true],
    [20 * hour + 1, false],
  ])('of a start that is received %d ms after it was requested is written: %s', async (ms, expected) => {
    const { start, planOf, lines } = startWorld();

    expect(await start({ receivedAt: noon + ms })).toEqual({ run, ...(expected && { queued: 3 }) });

    expect(planOf() !== undefined).toBe(expected);
    expect(lines.map(({ message, run: name }) => [message, name])).toEqual(
      expected ? [] : [['Audit skipped: a later one covers it', run]],
    );
  });
});

describe('a start whose request is dated ahead', () => {
  it('is refused if it is more than five minutes, because its run would stay the latest one', async () => {
    const { start, bucket, queued } = startWorld();

    await expect(start({ requestedAt: noon + 5 * minute + 1 })).rejects.toMatchObject({
      code: 'MalformedMessage',
      message: expect.stringContaining('Correct the clock'),
    });

    expect(bucket.requests).toEqual([]);
    expect(queued()).toEqual([]);
  });

  it('counts within five minutes', async () => {
    const { start } = startWorld();

    expect(await start({ requestedAt: noon + 5 * minute })).toEqual({ run: '20261124T120500Z', queued: 3 });
  });
});

describe('the last run', () => {
  it('is not one that is dated ahead, even after that date', async () => {
    const { start, planOf, putRunBefore } = startWorld();
    const last = putRunBefore(2 * day);
    putRunBefore(-day, { startedAtMs: noon - day });
    putRunBefore(day, { startedAtMs: noon - 3 * day });

    await start();

    expect(planOf()).toMatchObject({ lastRun: last, lastListed: last });
  });

  it('may have been requested by a clock that was five minutes ahead', async () => {
    const { start, planOf, putRunBefore } = startWorld();
    const last = putRunBefore(day, { startedAtMs: noon - day - 5 * minute });

    await start();

    expect(planOf()?.lastRun).toBe(last);
  });

  it('is the newest that is complete and unaltered', async () => {
    const { start, planOf, putRunBefore, bucket } = startWorld();
    putRunBefore(4 * day);
    const last = putRunBefore(3 * day);
    changeSummary(bucket, putRunBefore(2 * day), { status: 'incomplete' });
    bucket.put(auditSummaryKey(putRunBefore(day)), '{}', noon);

    await start();

    expect(planOf()).toMatchObject({ lastRun: last, lastListed: last });
    expect(planOf()?.shares).toHaveLength(3);
  });

  it('that compared Telnyx’s list may be an earlier one', async () => {
    const { start, planOf, putRunBefore } = startWorld();
    const unchecked = { code: 'TelnyxUnavailable', reason: 'x' };
    const listed = putRunBefore(3 * day, { parts: { ids__: { unchecked }, telnyx_1: {} } });
    putRunBefore(2 * day, { parts: { ids__: {}, telnyx_1: { unchecked } } });
    const last = putRunBefore(day, { parts: { ids__: { unchecked }, telnyx_1: { unchecked }, others: {} } });

    await start();

    expect(planOf()).toMatchObject({ lastRun: last, lastListed: listed });
    expect(planOf()?.shares).toHaveLength(1);
    expect(planOf()?.listShares).toHaveLength(3);
  });

  it('that compared Telnyx’s list may not exist', async () => {
    const { start, planOf, putRunBefore } = startWorld();
    const last = putRunBefore(2 * day, {
      parts: { telnyx_1: { unchecked: { code: 'Unexpected', reason: 'x' } } },
    });

    await start();

    expect(planOf()).toMatchObject({ lastRun: last, listShares: [today % 30] });
    expect(planOf()).not.toHaveProperty('lastListed');
  });

  it.each([
    [60 * day, true],
    [60 * day + 1_000, false],
  ])('may be %d ms old: %s', async (ms, expected) => {
    const { start, planOf, putRunBefore } = startWorld();
    const name = putRunBefore(ms);

    await start();

    expect(planOf()?.lastRun).toBe(expected ? name : undefined);
  });

  it('is not the run itself', async () => {
    const { start, planOf, bucket } = startWorld();
    putRun(bucket, run);
    bucket.objects.delete(auditPlanKey(run));

    await start();

    expect(planOf()).not.toHaveProperty('lastRun');
  });

  it('is unknown if the bucket does not answer: the start fails', async () => {
    const { start, putRunBefore, bucket } = startWorld();
    const key = auditSummaryKey(putRunBefore(day));
    bucket.refuse = (operation, each) => (operation === 'get' && each === key ? refused : undefined);

    await expect(start()).rejects.toMatchObject({ code: 'BucketMisconfigured' });
  });
});

describe('a run that has not ended', () => {
  it.each([
    [12 * hour, 'incomplete'],
    [12 * hour - 1_000, undefined],
  ])('is closed after 12 hours: %d ms, %s', async (ms, status) => {
    const { start, statusOf, putRunBefore } = startWorld();
    const name = putRunBefore(ms, { parts: { ids__: {}, others: undefined }, ended: false });

    await start();

    expect(statusOf(name)).toBe(status);
  });

  it.each([
    [12 * hour, 'incomplete'],
    [12 * hour - 1, undefined],
  ])('is closed 12 hours after it began, whatever its date: %d ms, %s', async (ms, status) => {
    const { start, statusOf, putRunBefore } = startWorld();
    const parts = { others: undefined };
    const ahead = putRunBefore(-day, { parts, startedAtMs: noon - ms, ended: false });
    const behind = putRunBefore(day, { parts, startedAtMs: noon - ms, ended: false });

    await start();

    expect([statusOf(ahead), statusOf(behind)]).toEqual([status, status]);
  });

  it('is not closed by its own start', async () => {
    const { start, statusOf, bucket } = startWorld();
    putRun(bucket, run, { parts: { others: undefined }, ended: false });

    await start({ receivedAt: noon + 13 * hour });

    expect(statusOf(run)).toBeUndefined();
  });

  it('is ignored if it has no plan, or an altered one', async () => {
    const { start, statusOf, putRunBefore, bucket } = startWorld();
    const names = [2 * day, day].map((ms) => putRunBefore(ms, { ended: false }));
    bucket.objects.delete(auditPlanKey(names[0] ?? ''));
    bucket.put(auditPlanKey(names[1] ?? ''), '{}', noon);

    await start();

    expect(names.map(statusOf)).toEqual([undefined, undefined]);
  });
});

describe('the manifests of a plan', () => {
  const week = 7 * day;
  const timestampBefore = (ms: number) => formatTimestamp((noon - ms) / 1_000);
  const entry = { id, document: sha256('document'), receipt: sha256('receipt') };

  /** An archive with a chain of manifests, and one document. @param ages of the manifests, in milliseconds */
  async function startWithChain(ages: number[], options: Partial<AuditFunctionOptions> = {}) {
    const world = startWorld(options);
    world.bucket.put(receiptKey(id), 'x', noon - 30 * day);
    const chain: { key: string; sha256: string }[] = [];
    for (const age of ages) {
      const predecessor = chain.at(-1);
      chain.push((await putRootManifest(world.store, timestampBefore(age), [entry], { predecessor })).root);
    }
    const putLastRun = (namedSince?: string) => {
      const name = world.putRunBefore(day);
      changeSummary(world.bucket, name, { namedSince });
    };
    return { ...world, chain, putLastRun };
  }

  it('are those that are compared with the archive, and the newest is the predecessor of the next one', async () => {
    const { start, planOf, chain } = await startWithChain([9 * day, 8 * day]);

    await start();

    expect(planOf()).toMatchObject({ manifests: chain, newestManifest: chain[1], findings: [] });
  });

  it('begin with the oldest one that the last run has left to compare', async () => {
    const { start, planOf, chain, putLastRun } = await startWithChain([10 * day, 9 * day, 8 * day]);
    putLastRun(chain[1]?.key);

    await start();

    expect(planOf()).toMatchObject({ manifests: chain.slice(1), newestManifest: chain[2] });
  });

  it('are all of them if that one is gone, and in a full run', async () => {
    const { start, planOf, chain, putLastRun } = await startWithChain([10 * day, 9 * day]);
    putLastRun(manifestKey(timestampBefore(9.5 * day)));
    await start();
    expect(planOf()?.manifests).toEqual(chain);

    const second = await startWithChain([10 * day, 9 * day]);
    second.putLastRun(second.chain[1]?.key);
    await second.start({ full: true });
    expect(second.planOf(fullRun)?.manifests).toEqual(second.chain);
  });

  it('do not include an altered one, which is a finding', async () => {
    const { start, planOf, chain, bucket } = await startWithChain([10 * day, 9 * day]);
    const key = chain[0]?.key ?? '';
    bucket.put(key, bucket.text(key).toUpperCase(), noon);

    await start();

    expect(planOf()?.findings).toContainEqual(expect.objectContaining({ code: 'manifest-altered', key }));
    expect(planOf()?.manifests).toEqual(chain.slice(1));
  });

  it.each([week, week + 1_000, week - 1_000])(
    'are due for a new one a week after the newest: %d ms',
    async (ms) => {
      const { start, planOf } = await startWithChain([ms]);

      await start();

      expect(planOf()?.manifest).toBe(ms >= week ? formatTimestamp(noon / 1_000) : undefined);
    },
  );

  it('begin with the first run that finds a document', async () => {
    const { start, planOf } = await startWithChain([]);

    await start({ receivedAt: noon + 900 });

    expect(planOf()).toMatchObject({ manifests: [], manifest: formatTimestamp(noon / 1_000) });
    expect(planOf()).not.toHaveProperty('newestManifest');
  });

  it('stay in the order of their chain, even if a clock was ahead', async () => {
    const { start, planOf, bucket } = await startWithChain([week]);
    // A manifest that never got its root, from a machine whose clock was ahead.
    bucket.put(manifestKey(formatTimestamp((noon + day) / 1_000)), 'x', noon);

    await start();

    expect(planOf()?.manifest).toBe(formatTimestamp((noon + day) / 1_000 + 1));
  });

  it('are due every seventh day if the newest one is of a future day', async () => {
    const due: number[] = [];
    for (let ahead = 0; ahead < 7; ahead += 1) {
      const { start, planOf } = await startWithChain([-20 * day]);
      const receivedAt = noon + ahead * day;
      await start({ receivedAt, requestedAt: receivedAt });
      if (planOf(runName(receivedAt))?.manifest !== undefined) due.push(today + ahead);
    }

    expect(due).toEqual([Math.ceil(today / 7) * 7]);
  });

  it('are not due if the newest one is of a time up to a day ahead, whatever the day', async () => {
    const seventh = noon + (7 - (today % 7)) * day;
    const { start, planOf } = await startWithChain([noon - seventh - day]);

    await start({ receivedAt: seventh, requestedAt: seventh });

    expect(planOf(runName(seventh))).not.toHaveProperty('manifest');
  });

  it('follow the newest valid one, even if its time is more than a day ahead', async () => {
    const seventh = noon + (7 - (today % 7)) * day;
    const ahead = seventh + 20 * day;
    const { start, planOf, bucket } = await startWithChain([2_000, 1_000, 0].map((ms) => noon - ahead + ms));
    bucket.put(manifestKey(formatTimestamp((ahead + day) / 1_000)), 'x', noon);

    await start({ receivedAt: seventh, requestedAt: seventh });

    expect(planOf(runName(seventh))?.manifest).toBe(formatTimestamp(ahead / 1_000 + 1));
  });

  it('begin now if there is nothing but a file of a time more than a day ahead', async () => {
    const { start, planOf, bucket } = await startWithChain([]);
    bucket.put(manifestKey(formatTimestamp((noon + 2 * day) / 1_000)), 'x', noon);

    await start();

    expect(planOf()?.manifest).toBe(formatTimestamp(noon / 1_000));
  });

  it('do not follow a file of a time more than a day ahead', async () => {
    const { start, planOf, bucket } = await startWithChain([week]);
    bucket.put(manifestKey(formatTimestamp((noon + day) / 1_000 + 1)), 'x', noon);

    await start();

    expect(planOf()?.manifest).toBe(formatTimestamp(noon / 1_000));
  });

  it('are read again within a cycle', async () => {
    const found = async (fixityDays: number) => {
      const { start, planOf, chain, putLastRun, bucket } = await startWithChain(
        [10 * day, 9 * day, 8 * day],
        {
          fixityDays,
        },
      );
      putLastRun(chain[2]?.key);
      const key = chain[0]?.key ?? '';
      // Bytes that change on the disk: the listing stays as it was.
      const stored = bucket.versioned.current(key);
      if (stored) stored.body = Buffer.from(stored.body).fill('x', 0, 1);
      await start();
      return { codes: planOf()?.findings.map(({ code }) => code), key, shares: planOf()?.shares };
    };
    const isRead = async (fixityDays: number) => {
      const { codes, key, shares } = await found(fixityDays);
      expect(codes?.includes('manifest-altered')).toBe(shares?.includes(shareOf(key, fixityDays)));
      return codes?.includes('manifest-altered');
    };

    const read = [];
    for (const fixityDays of [1, 2, 3, 4, 5, 6, 7]) read.push(await isRead(fixityDays));

    expect(new Set(read)).toEqual(new Set([true, false]));
  });
});

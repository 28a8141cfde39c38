import { describe, expect, it } from 'vitest';
import { createPartContext } from '../../functions/audit/part-context.ts';
import { auditTelnyx } from '../../functions/audit/part-telnyx.ts';
import type { AuditPlan, RecordedFinding } from '../../functions/audit/records.ts';
import { documentKey, receiptKey } from '../../functions/bucket/keys.ts';
import { ArchiverError } from '../../functions/errors.ts';
import { sleep } from '../../functions/time.ts';
import { createAuditFunction } from '../fakes/audit-function.ts';
import { putRun, runRecords } from '../fakes/audit-runs.ts';
import { virtualTime } from '../fakes/clock.ts';
import { day, documentOf, noon, receiptOf, type TelnyxRecord, written } from '../fakes/documents.ts';
import { MemoryBucket } from '../fakes/memory-bucket.ts';

const run = '20261124T120000Z';
const until = noon / 1_000;
const idOf = (number: number) => `${number.toString(16).padStart(8, '0')}-0000-4000-8000-000000000001`;

interface WorldOptions {
  full?: boolean;
  /** Called before each request to Telnyx, with its number from 1. */
  onRequest?: (number: number) => Promise<void>;
  pageRows?: number;
}

function startWorld({ full = true, onRequest = async () => undefined, pageRows = 20 }: WorldOptions = {}) {
  const time = virtualTime(noon);
  const bucket = new MemoryBucket(time);
  const account = new Map<string, TelnyxRecord>();
  const controller = new AbortController();
  const { dependencies } = createAuditFunction({ bucket, time, account, pageRows: () => pageRows });
  let requests = 0;
  let list = dependencies.telnyx.get;
  type Ask = typeof dependencies.telnyx.document;
  let ask: Ask = dependencies.telnyx.document;
  const telnyx: typeof dependencies.telnyx = {
    ...dependencies.telnyx,
    get: async (...parameters) => {
      requests += 1;
      await onRequest(requests);
      return list(...parameters);
    },
    document: (...parameters) => ask(...parameters),
  };
  /** A document at Telnyx. */
  const upload = (number: number, createdAt = noon - 10 * day) => {
    const archived = documentOf(idOf(number), Buffer.from('x'), { createdAt });
    account.set(archived.record.id, archived.record);
    return archived;
  };
  return {
    time,
    bucket,
    account,
    controller,
    upload,
    /** Replaces Telnyx's list. */
    replaceList: (answer: typeof list) => {
      list = answer;
    },
    /** Replaces Telnyx's answer about one document. @param answer `get`: the usual one */
    answer: (answer: (get: Ask, ...parameters: Parameters<Ask>) => ReturnType<Ask>) => {
      ask = (...parameters) => answer(dependencies.telnyx.document, ...parameters);
    },
    /** A document at Telnyx and in the archive. */
    archive: (number: number) => {
      const archived = upload(number);
      bucket.put(documentKey(archived.record.id), archived.body, noon - 10 * day);
      bucket.put(receiptKey(archived.record.id), written(receiptOf(archived)), noon - 10 * day);
      return archived.record;
    },
    /** Does a part. */
    audit: async (
      to = until,
      {
        stopped = false,
        workMs = 600_000,
        ...changes
      }: Partial<AuditPlan> & { stopped?: boolean; workMs?: number } = {},
    ) => {
      const plan = { ...runRecords(run, { full, parts: { [`telnyx_${until}`]: {} } }).plan, ...changes };
      const context = createPartContext(
        plan,
        { workMs, signal: controller.signal },
        { ...dependencies, telnyx },
      );
      if (stopped) context.stopAt = time.monotonic();
      const work = await auditTelnyx({ sort: 'telnyx', until: to }, context);
      return { ...work, tally: context.tally };
    },
  };
}

const failure = (code: 'ApiKeyRejected' = 'ApiKeyRejected') => new ArchiverError(code, 'x');

describe('a document of Telnyx’s list', () => {
  it('is no finding if it is archived, and nothing is read but its records', async () => {
    const { archive, audit } = startWorld();
    archive(1);

    const { findings, rest, tally } = await audit();

    expect({ findings, rest }).toEqual({ findings: [], rest: undefined });
    expect(tally).toMatchObject({ listedAtTelnyx: 1, objectsRead: 0, counts: {} });
  });

  it('is missing if the archive lacks it', async () => {
    const { archive, upload, audit } = startWorld();
    archive(1);
    const { record } = upload(2);

    const { findings, tally } = await audit();

    expect(findings).toMatchObject([{ code: 'missing', documentId: record.id, atTelnyx: true }]);
    expect(tally).toMatchObject({ listedAtTelnyx: 2, counts: { missing: 1 } });
  });

  it('differs if Telnyx states something else than its receipt', async () => {
    const { archive, account, audit } = startWorld();
    const record = archive(1);
    account.set(record.id, { ...record, size: { unit: 'bytes', amount: 99 } });

    expect((await audit()).findings).toMatchObject([{ code: 'telnyx-differs', documentId: record.id }]);
  });

  it('cannot be checked if the bucket does not answer', async () => {
    const { archive, bucket, audit } = startWorld();
    const { id } = archive(1);
    bucket.refuse = () => ({ name: 'AccessDenied', status: 403 });

    expect((await audit()).findings).toMatchObject([{ code: 'unreadable', documentId: id }]);
  });

  it('is counted, but no finding, if it is new or infected', async () => {
    const { upload, account, audit } = startWorld();
    upload(1, noon - 1_000);
    const { record } = upload(2);
    account.set(record.id, { ...record, av_scan_status: 'infected' });

    const { findings, tally } = await audit();

    expect(findings).toEqual([]);
    expect(tally.counts).toEqual({ pending: 1, infected: 1 });
  });

  it('is left to the parts of sort ids if the archive has a part of it', async () => {
    const { archive, bucket, audit } = startWorld();
    bucket.objects.delete(receiptKey(archive(1).id));
    bucket.objects.delete(documentKey(archive(2).id));

    const { findings, tally } = await audit();

    expect(findings).toEqual([]);
    // Without a listing, nobody knows that the object without a receipt is old.
    expect(tally.counts).toEqual({ pending: 1 });
  });

  it('without a valid ID is a finding about the list', async () => {
    const { archive, account, audit } = startWorld();
    const record = archive(1);
    for (const id of ['x', 'y']) account.set(id, { ...record, id });

    const { findings, tally } = await audit();

    expect(findings).toEqual([{ code: 'unreadable', key: 'telnyx', detail: '2 rows without a valid ID' }]);
    expect(tally).toMatchObject({ listedAtTelnyx: 1, counts: { unreadable: 1 } });
  });

  it('may have no creation time', async () => {
    const { audit, replaceList } = startWorld({ full: false });
    let requests = 0;
    replaceList(async () => {
      requests += 1;
      if (requests > 1) throw failure();
      const rateLimit = { limit: undefined, remaining: undefined, resetMs: undefined };
      return { body: { data: [{ id: idOf(1) }] }, rateLimit };
    });

    const { findings, rest } = await audit(until, { stopped: true });

    expect(findings).toMatchObject([{ code: 'missing', documentId: idOf(1) }]);
    expect(rest).toEqual({ sort: 'telnyx', until: (noon - 2.5 * day) / 1_000 });
  });
});

describe('what differed in the last run', () => {
  const lastRun = '20261123T120000Z';
  const found = (number: number): RecordedFinding => ({
    code: 'missing',
    key: documentKey(idOf(number)),
    documentId: idOf(number),
    detail: '',
  });

  /** A last run that found two documents missing. One of them is still at Telnyx, in a part of its list that is not read. */
  function startAfterFindings(findings = [found(1), found(2)]) {
    const world = startWorld({ full: false });
    const old = Array.from({ length: 30 }, (_, back) => noon - (100 + back) * day).find(
      (instant) => Math.floor(instant / day) % 30 !== Math.floor(noon / day) % 30,
    );
    world.upload(1, old);
    putRun(world.bucket, lastRun, { parts: { telnyx_1: { findings } } });
    return { ...world, again: () => world.audit(until, { lastListed: lastRun }) };
  }

  it('is looked up again, if Telnyx still has it', async () => {
    const { findings, tally } = await startAfterFindings().audit(until, { lastListed: lastRun });

    expect(findings).toMatchObject([{ code: 'missing', documentId: idOf(1) }]);
    expect(tally).toMatchObject({ listedAtTelnyx: 0, counts: { missing: 1 } });
  });

  it('is not asked about if the archive has its receipt by now', async () => {
    const { again, bucket, answer } = startAfterFindings();
    bucket.put(receiptKey(idOf(1)), 'x', noon);
    answer(async () => expect.unreachable());
    bucket.put(receiptKey(idOf(2)), 'x', noon);

    expect((await again()).findings).toEqual([]);
  });

  it('is asked about if Telnyx stated something else, although the archive has its receipt', async () => {
    const { again, archive, account, bucket } = startAfterFindings([{ ...found(3), code: 'telnyx-differs' }]);
    const record = archive(3);
    account.set(record.id, { ...record, created_at: new Date(noon - 200 * day).toISOString() });

    expect((await again()).findings).toMatchObject([{ code: 'telnyx-differs', documentId: idOf(3) }]);
    expect(bucket.requests.filter((request) => request.startsWith('list receipts/'))).toEqual([]);
  });

  it('is reported as before, and first, if Telnyx’s record of it cannot be read', async () => {
    const { again, answer } = startAfterFindings();
    answer((get, id, signal) =>
      id === idOf(2) ? Promise.reject(new ArchiverError('UnexpectedResponse', 'x')) : get(id, signal),
    );

    expect((await again()).findings).toMatchObject([
      { ...found(2) },
      { code: 'missing', documentId: idOf(1) },
    ]);
  });

  it.each([
    new ArchiverError('TelnyxUnavailable', 'x'),
    Object.assign(new Error('a defect'), { retryPolicy: 'retry' }),
  ])('fails the part if Telnyx cannot be asked: %s', async (error) => {
    const { again, answer } = startAfterFindings();
    answer(() => Promise.reject(error));

    await expect(again()).rejects.toBe(error);
  });

  it('is not looked up to the end if the invocation ends', async () => {
    const { again, answer, controller } = startAfterFindings();
    answer(async () => {
      controller.abort(new Error('over'));
      throw new ArchiverError('UnexpectedResponse', 'x');
    });

    await expect(again()).rejects.toThrow('over');
  });

  it('is reported as before from half of the part’s time on', async () => {
    const numbers = Array.from({ length: 10 }, (_, number) => number + 1);
    const { again, answer, time } = startAfterFindings(numbers.map(found));
    await sleep(time, 1_000);
    let asked = 0;
    answer(async () => {
      asked += 1;
      // The part works for 360 seconds.
      await sleep(time, 60_000);
      throw new ArchiverError('DocumentGone', 'x');
    });

    const { findings } = await again();

    expect(asked).toBe(3);
    expect(findings).toEqual(numbers.slice(3).map(found));
  });

  it('is reported as before after a thousand questions', async () => {
    const numbers = Array.from({ length: 1_002 }, (_, number) => number + 1);
    const { again, answer } = startAfterFindings(numbers.map(found));
    answer(() => Promise.reject(new ArchiverError('DocumentGone', 'x')));

    expect((await again()).findings).toEqual([found(1_001), found(1_002)]);
  });

  it('is looked up only by the first piece of the part', async () => {
    expect((await startAfterFindings().audit(until - 1, { lastListed: lastRun })).findings).toEqual([]);
  });
});

describe('a part that cannot do all of the list', () => {
  it('leaves older documents to the next piece, until none are left', async () => {
    const { upload, audit, time } = startWorld({ onRequest: () => sleep(time, 10_000) });
    const ids = Array.from(
      { length: 60 },
      (_, number) => upload(number, noon - (number + 1) * day).record.id,
    );
    const ends: number[] = [];
    const missing = new Set<string | undefined>();

    for (let to: number | undefined = until; to !== undefined; ) {
      ends.push(to);
      const { findings, rest } = await audit(to, { workMs: 100_000 });
      for (const { documentId } of findings) missing.add(documentId);
      to = rest?.sort === 'telnyx' ? rest.until : undefined;
    }

    expect([...missing].sort()).toEqual(ids);
    expect(ends.length).toBeGreaterThan(2);
    expect(ends).toEqual([...new Set(ends)].sort((a, b) => b - a));
    const created = new Set(ids.map((_, number) => until - ((number + 1) * day) / 1_000));
    expect(ends.slice(1).filter((end) => !created.has(end))).toEqual([]);
  });

  it('goes on until it has made progress', async () => {
    const { upload, audit } = startWorld();
    upload(0, noon);
    for (let number = 1; number <= 25; number += 1) upload(number, 1_500);

    const { rest, tally } = await audit(until, { stopped: true });

    expect(rest).toEqual({ sort: 'telnyx', until: 1 });
    expect(tally.listedAtTelnyx).toBeGreaterThan(1);
  });

  it('compares the whole list if there is time', async () => {
    const { upload, audit } = startWorld();
    for (let number = 0; number < 60; number += 1) upload(number, noon - (number + 1) * day);

    const { rest, tally } = await audit();

    expect(rest).toBeUndefined();
    expect(tally.listedAtTelnyx).toBe(60);
  });

  it('throws the failure if nothing was compared before', async () => {
    const { audit } = startWorld({ onRequest: () => Promise.reject(failure()) });

    await expect(audit()).rejects.toMatchObject({ code: 'ApiKeyRejected' });
  });

  it('counts what was compared before a failure, and leaves the other documents to the next piece', async () => {
    let isDown = false;
    const world = startWorld({
      full: false,
      onRequest: async () => (isDown ? Promise.reject(failure()) : undefined),
    });
    const { record } = world.upload(1, noon - day - 1_500);
    const { bucket, audit } = world;
    bucket.refuse = () => {
      isDown = true;
      return undefined;
    };

    const { findings, rest } = await audit();

    expect(findings).toMatchObject([{ code: 'missing', documentId: record.id }]);
    expect(rest).toEqual({ sort: 'telnyx', until: (noon - 2.5 * day) / 1_000 });
  });

  it('counts a span without documents as compared', async () => {
    const { audit } = startWorld({
      full: false,
      // An empty page is requested twice.
      onRequest: async (number) => (number > 2 ? Promise.reject(failure()) : undefined),
    });

    expect(await audit()).toMatchObject({
      findings: [],
      rest: { sort: 'telnyx', until: (noon - 2.5 * day) / 1_000 },
    });
  });

  it('throws the signal’s reason, whatever was compared before', async () => {
    const { audit, controller } = startWorld({
      full: false,
      onRequest: async (number) => {
        if (number > 2) controller.abort(new Error('over'));
      },
    });

    await expect(audit()).rejects.toThrow('over');
  });
});

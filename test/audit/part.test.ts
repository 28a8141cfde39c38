import { describe, expect, it } from 'vitest';
import { runPart } from '../../functions/audit/part.ts';
import { parseResult } from '../../functions/audit/records.ts';
import { type AuditPart, parsePartName } from '../../functions/audit-names.ts';
import { auditResultKey, auditSummaryKey, documentKey } from '../../functions/bucket/keys.ts';
import { ArchiverError } from '../../functions/errors.ts';
import { sleep } from '../../functions/time.ts';
import { createAuditFunction } from '../fakes/audit-function.ts';
import { putRun, type RunOptions } from '../fakes/audit-runs.ts';
import { virtualTime } from '../fakes/clock.ts';
import { day, documentOf, noon, type TelnyxRecord } from '../fakes/documents.ts';
import { MemoryBucket } from '../fakes/memory-bucket.ts';

const hour = 3_600_000;
const run = '20261124T120000Z';
const ofTelnyx = `telnyx_${noon / 1_000}`;
const idOf = (number: number) => `${number.toString(16).padStart(8, '0')}-0000-4000-8000-000000000001`;
const failure = new ArchiverError('ApiKeyRejected', 'Telnyx refuses the key.');

/** A run whose parts are queued, some time after its start. */
function startWorld({ parts = { [ofTelnyx]: undefined, others: undefined }, ...options }: RunOptions = {}) {
  const time = virtualTime(noon);
  const bucket = new MemoryBucket(time);
  const account = new Map<string, TelnyxRecord>();
  const { dependencies, repaired, lines } = createAuditFunction({
    bucket,
    time,
    account,
    repair: true,
    pageRows: () => 20,
  });
  putRun(bucket, run, { full: true, parts, ended: false, ...options });
  bucket.requests.length = 0;
  const controller = new AbortController();
  let { send } = dependencies;
  let get = dependencies.telnyx.get;
  const telnyx = { ...dependencies.telnyx, get: ((...each) => get(...each)) as typeof get };
  return {
    time,
    bucket,
    account,
    repaired,
    lines,
    controller,
    /** @param before awaited before the queue refuses the messages */
    refuseRepairs: (before: (signal: AbortSignal) => Promise<void> = async () => undefined) => {
      send = async (_queue, _messages, signal) => {
        await before(signal);
        throw new ArchiverError('QueueUnavailable', 'x');
      };
    },
    /** Replaces Telnyx's answers. */
    answer: (answer: typeof get) => {
      get = answer;
    },
    /** Telnyx answers as long as this is false. */
    failIf: (isDown: () => boolean) => {
      get = (...each) => (isDown() ? Promise.reject(failure) : dependencies.telnyx.get(...each));
    },
    /** Documents at Telnyx, one a day. */
    upload: (count: number) => {
      for (let number = 1; number <= count; number += 1) {
        const createdAt = noon - number * day;
        account.set(idOf(number), documentOf(idOf(number), Buffer.from('x'), { createdAt }).record);
      }
    },
    resultOf: (name: string) => {
      const stored = bucket.objects.get(auditResultKey(run, parsePartName(name) as AuditPart));
      return stored && parseResult(stored.body);
    },
    hasEnded: () => bucket.objects.get(auditSummaryKey(run)) !== undefined,
    work: (part: string, { receivedAt = noon, timeMs = 600_000, of = run } = {}) =>
      runPart(
        { v: 1, kind: 'audit-part', run: of, part, requestedAt: new Date(noon).toISOString() },
        { receivedAt, deadline: time.monotonic() + timeMs, signal: controller.signal },
        { ...dependencies, telnyx, send: (...each) => send(...each) },
      ),
  };
}

describe('a part', () => {
  it('writes its result', async () => {
    const { work, resultOf, time, bucket, hasEnded } = startWorld();
    bucket.put('x', 'x', noon);
    time.set(noon + 5_000);

    const fields = await work('others');

    expect(resultOf('others')).toEqual({
      v: 1,
      run,
      part: 'others',
      startedAt: new Date(noon + 5_000).toISOString(),
      endedAt: new Date(noon + 5_000).toISOString(),
      tally: expect.objectContaining({ counts: { foreign: 1 }, repaired: 0 }),
      findings: [{ code: 'foreign', key: expect.stringMatching(/^sha256:/), detail: expect.any(String) }],
    });
    expect(hasEnded()).toBe(false);
    // Reads the plan, the summary and the result, writes it, and lists the results to the end.
    expect(fields).toEqual({ requests: 6 });
  });

  it('repeats a request to the bucket after a temporary failure, and counts both', async () => {
    const { work, bucket } = startWorld();
    let refused = 0;
    bucket.refuse = (operation, key) => {
      if (operation !== 'put' || !key.startsWith('audits/') || refused > 0) return undefined;
      refused += 1;
      return { name: 'SlowDown', status: 503 };
    };

    expect(await work('others')).toEqual({ requests: 7 });
  });

  it('states when it began and ended', async () => {
    const { work, resultOf, answer, time } = startWorld();
    answer(async () => {
      await sleep(time, 30_000);
      const rateLimit = { limit: undefined, remaining: undefined, resetMs: undefined };
      return { body: { data: [] }, rateLimit };
    });

    await work(ofTelnyx);

    const { startedAt, endedAt } = resultOf(ofTelnyx) ?? expect.unreachable();
    expect([startedAt, endedAt].map((each) => Date.parse(each) - noon)).toEqual([0, 60_000]);
  });

  it('ends the run if it is the last', async () => {
    const { work, hasEnded } = startWorld({ parts: { [ofTelnyx]: {}, others: undefined } });

    expect(await work('others')).toMatchObject({ status: 'complete', requests: expect.any(Number) });

    expect(hasEnded()).toBe(true);
  });

  it('that has its result is not done again, but can still end the run', async () => {
    const { work, bucket, hasEnded } = startWorld({ parts: { [ofTelnyx]: {}, others: {} } });

    expect(await work('others')).toMatchObject({ status: 'complete' });

    expect(hasEnded()).toBe(true);
    expect(bucket.requests.filter((request) => request.startsWith('list-versions'))).toEqual([]);
  });

  it('of a run that has ended is not done', async () => {
    const { work, resultOf } = startWorld({ ended: true });

    expect(await work('others')).toEqual({});

    expect(resultOf('others')).toBeUndefined();
  });

  it.each(['ids__', 'others'])('of any sort is done: %s', async (part) => {
    const { work, resultOf } = startWorld({ parts: { [part]: undefined, [ofTelnyx]: undefined } });

    await work(part);

    expect(resultOf(part)).toMatchObject(part === 'others' ? { part } : { part, cells: {} });
  });

  it('queues documents that can be archived again, and counts them', async () => {
    const { work, resultOf, upload, repaired } = startWorld();
    upload(3);

    await work(ofTelnyx);

    expect(resultOf(ofTelnyx)?.tally.repaired).toBe(3);
    expect(resultOf(ofTelnyx)?.findings.map(({ queued }) => queued)).toEqual([true, true, true]);
    expect(repaired).toEqual([1, 2, 3].map(idOf));
  });

  it('of a run that does not exist is refused', async () => {
    await expect(startWorld().work('others', { of: '20261101T000000Z' })).rejects.toMatchObject({
      code: 'MalformedMessage',
      message: expect.stringContaining('archiver audit --start'),
    });
  });
});

describe('a part that takes several deliveries', () => {
  it('writes the result of a piece with what it left, and asks for the next delivery', async () => {
    const { work, resultOf, upload, bucket, failIf, hasEnded } = startWorld({
      parts: { [ofTelnyx]: undefined },
    });
    upload(60);
    let isCompared = false;
    failIf(() => isCompared);
    bucket.refuse = (operation, key) => {
      isCompared ||= operation === 'head' && key.startsWith('documents/');
      return undefined;
    };

    const piece = work(ofTelnyx);

    await expect(piece).rejects.toMatchObject({
      code: 'PartUnfinished',
      message: expect.stringContaining('next delivery'),
    });
    const first = resultOf(ofTelnyx);
    const rest = first?.rest ?? expect.unreachable();
    expect(first?.findings.length).toBeGreaterThan(0);

    expect(hasEnded()).toBe(false);
    failIf(() => false);
    expect(await work(ofTelnyx)).toMatchObject({ status: 'complete' });
    expect(resultOf(rest)).not.toHaveProperty('rest');
    const found = [first, resultOf(rest)].flatMap((result) => result?.findings ?? []);
    expect(new Set(found.map(({ documentId }) => documentId)).size).toBe(60);
  });

  it('asks for the next delivery if another one has written its result meanwhile', async () => {
    const { work, bucket, hasEnded } = startWorld({ parts: { others: undefined } });
    bucket.refuse = (operation) =>
      operation === 'put' ? { name: 'PreconditionFailed', status: 412 } : undefined;

    await expect(work('others')).rejects.toMatchObject({ code: 'PartUnfinished' });
    expect(hasEnded()).toBe(false);
  });
});

describe('a part that fails', () => {
  it('for a reason that no delivery changes is recorded as unchecked at once', async () => {
    const { work, answer, resultOf } = startWorld();
    answer(() => Promise.reject(new ArchiverError('KeyCollision', 'x')));

    await work(ofTelnyx);

    expect(resultOf(ofTelnyx)).toMatchObject({ unchecked: { code: 'KeyCollision' } });
  });

  it('keeps the time to wait that the error states', async () => {
    const { work, answer } = startWorld();
    answer(() => Promise.reject(new ArchiverError('RateLimited', 'x', { retryAfterMs: 7_200_000 })));

    await expect(work(ofTelnyx)).rejects.toMatchObject({ code: 'RateLimited', retryAfterMs: 7_200_000 });
  });

  it.each([
    [6 * hour - 1, false],
    [6 * hour, true],
  ])('to queue documents for repair, %d ms after the plan, writes its result: %s', async (ms, expected) => {
    const { work, upload, resultOf, refuseRepairs, lines } = startWorld();
    upload(1);
    refuseRepairs();

    const done = work(ofTelnyx, { receivedAt: noon + ms });

    if (!expected) await expect(done).rejects.toMatchObject({ code: 'QueueUnavailable' });
    await Promise.allSettled([done]);
    const findings = expected ? [expect.objectContaining({ code: 'missing' })] : undefined;
    expect(resultOf(ofTelnyx)?.findings).toEqual(findings);
    expect(resultOf(ofTelnyx)?.findings[0]?.queued).toBeUndefined();
    expect(lines.filter(({ level }) => level === 'WARN')).toMatchObject(
      expected ? [{ message: 'Documents not queued for repair', code: 'QueueUnavailable' }] : [],
    );
  });

  it.each([0, 6 * hour - 1])('is repeated %d ms after the plan', async (ms) => {
    const { work, answer, resultOf } = startWorld();
    answer(() => Promise.reject(failure));

    await expect(work(ofTelnyx, { receivedAt: noon + ms })).rejects.toMatchObject({
      code: 'ApiKeyRejected',
      message: failure.message,
      cause: failure,
    });

    expect(resultOf(ofTelnyx)).toBeUndefined();
  });

  it('is recorded as unchecked from six hours after the plan', async () => {
    const { work, answer, resultOf } = startWorld();
    answer(() => Promise.reject(failure));

    await work(ofTelnyx, { receivedAt: noon + 6 * hour });

    expect(resultOf(ofTelnyx)).toMatchObject({
      part: ofTelnyx,
      findings: [],
      tally: { documents: 0, requests: 0, counts: { unreadable: 1 } },
      unchecked: { code: 'ApiKeyRejected', reason: 'Telnyx refuses the key.' },
    });
  });

  it('to queue documents for repair in time is recorded as unchecked', async () => {
    const { work, upload, resultOf, refuseRepairs, time } = startWorld();
    upload(1);
    refuseRepairs((signal) => sleep(time, 10 * hour, signal));

    await work(ofTelnyx, { receivedAt: noon + 6 * hour });

    expect(resultOf(ofTelnyx)).toMatchObject({ findings: [], unchecked: { code: 'OutOfTime' } });
  });

  it('ends 20 seconds before the invocation does', async () => {
    const { work, answer, time } = startWorld();
    await sleep(time, 5_000);
    answer(async (_path, _query, _gone, signal) => {
      await sleep(time, 10 * hour, signal);
      return expect.unreachable();
    });

    await expect(work(ofTelnyx, { timeMs: 60_000 })).rejects.toMatchObject({
      code: 'OutOfTime',
      message: expect.stringContaining('ran out of time'),
    });
    expect(time.monotonic()).toBe(45_000);
  });

  it.each([0, 7 * hour])(
    'throws the reason for which the invocation ends, %d ms after the plan',
    async (ms) => {
      const { work, answer, controller, resultOf } = startWorld();
      const reason = new Error('over');
      answer(async () => {
        controller.abort(reason);
        throw failure;
      });

      await expect(work(ofTelnyx, { receivedAt: noon + ms })).rejects.toBe(reason);

      expect(resultOf(ofTelnyx)).toBeUndefined();
    },
  );
});

it('A document is lost to a part of sort ids and queued for repair if Telnyx still has it', async () => {
  const { work, resultOf, upload, repaired, bucket } = startWorld({ parts: { ids__: undefined } });
  upload(1);
  bucket.put(documentKey(idOf(1)), 'x', noon - day);

  await work('ids__');

  expect(resultOf('ids__')).toMatchObject({
    findings: [{ code: 'no-receipt', documentId: idOf(1), atTelnyx: true }],
    tally: { repaired: 1 },
  });
  expect(repaired).toEqual([idOf(1)]);
});

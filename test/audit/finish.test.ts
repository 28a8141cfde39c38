import { describe, expect, it } from 'vitest';
import { closeRun, finishRun } from '../../functions/audit/finish.ts';
import { type AuditPlan, parseSummary, type RecordedFinding } from '../../functions/audit/records.ts';
import { type AuditPart, parsePartName } from '../../functions/audit-names.ts';
import { auditPlanKey, auditResultKey, auditSummaryKey } from '../../functions/bucket/keys.ts';
import { manifestKey, stretchManifestKey, tagManifestKey } from '../../functions/bucket/manifest-text.ts';
import { createBucket } from '../../functions/bucket/store.ts';
import { createLog } from '../../functions/log.ts';
import { putRun, type RunOptions, runRecords } from '../fakes/audit-runs.ts';
import { virtualTime } from '../fakes/clock.ts';
import { noon } from '../fakes/documents.ts';
import { MemoryBucket, sha256 } from '../fakes/memory-bucket.ts';

const { signal } = new AbortController();
const run = '20261124T021500Z';
const timestamp = '20261124T021501Z';
const predecessor = { key: manifestKey('20261117T021501Z'), sha256: sha256('manifest') };

const stretch = (from: string, before: string) => ({
  key: stretchManifestKey(timestamp, { from, before }),
  sha256: sha256(`from ${from}`),
  documents: 1,
});
const found = (code: RecordedFinding['code'], documentId: string): RecordedFinding => ({
  code,
  key: `documents/${documentId}`,
  documentId,
  detail: '',
});

/** A run whose parts are done: two stretches of IDs, the second in two pieces, and the others. */
const parts: NonNullable<RunOptions['parts']> = {
  ids__8: { manifest: stretch('', '8'), tally: { documents: 3, repaired: 2, bytesRead: 7 } },
  ids_8_: { manifest: stretch('8', 'c'), tally: { documents: 4 }, rest: 'ids_c_' },
  ids_c_: { manifest: stretch('c', ''), tally: { documents: 5 } },
  others: {},
};

function startWorld(options: RunOptions = {}, changes: Partial<AuditPlan> = {}) {
  const time = virtualTime(noon);
  const memory = new MemoryBucket(time);
  const bucket = createBucket({ s3: { send: memory.send } as never, name: 'archive', time });
  const all = { parts, ended: false, ...options };
  putRun(memory, run, all);
  const plan = {
    ...runRecords(run, all).plan,
    parts: ['ids__8', 'ids_8_', 'others'],
    manifest: timestamp,
    ...changes,
  };
  const lines: Record<string, unknown>[] = [];
  const log = createLog({ name: 'test', write: (line) => lines.push(JSON.parse(line)), now: time.now });
  const summary = () => {
    const stored = memory.objects.get(auditSummaryKey(run));
    return stored && parseSummary(stored.body);
  };
  const metrics = () =>
    lines.flatMap(({ _aws, ...values }) => (_aws === undefined ? [] : [values])) as Record<string, unknown>[];
  return {
    memory,
    bucket,
    plan,
    lines,
    summary,
    metrics,
    finish: () => finishRun(plan, bucket, signal, { log, time }),
    close: () => closeRun(plan, bucket, signal, { log, time }),
    remove: (name: string) => memory.objects.delete(auditResultKey(run, parsePartName(name) as AuditPart)),
  };
}

describe('finishRun', () => {
  it('writes the summary when every piece of every part has its result', async () => {
    const { finish, summary, plan, lines, memory } = startWorld();

    expect(await finish()).toEqual({ status: 'complete', found: 12, problems: 0 });

    const root = manifestKey(timestamp);
    expect(summary()).toEqual({
      v: 1,
      run,
      status: 'complete',
      startedAt: plan.startedAt,
      endedAt: new Date(noon).toISOString(),
      full: false,
      shareDays: 30,
      readsBytes: true,
      day: plan.day,
      newFrom: plan.newFrom,
      tally: expect.objectContaining({ documents: 12, repaired: 2, bytesRead: 7, counts: {} }),
      parts: [{ part: 'ids__8' }, { part: 'ids_8_', rest: 'ids_c_' }, { part: 'ids_c_' }, { part: 'others' }],
      unfinished: [],
      manifest: { key: root, sha256: sha256(memory.text(root)) },
      wroteManifest: true,
      unchecked: [],
      archiver: '0.2.0',
    });
    expect(lines.at(-1)).toMatchObject({
      message: 'Audit completed',
      run,
      found: 12,
      bytes: 7,
      problems: 0,
    });
  });

  it.each(['ids__8', 'ids_8_', 'ids_c_', 'others'])('does nothing if %s has no result yet', async (name) => {
    const { finish, remove, summary, lines } = startWorld();
    remove(name);

    expect(await finish()).toEqual({});

    expect(summary()).toBeUndefined();
    expect(lines).toEqual([]);
  });

  it('reads no result while the listing shows that one is missing', async () => {
    const { finish, remove, memory } = startWorld();
    remove('others');

    await finish();

    expect(memory.requests.filter((request) => !request.startsWith('list '))).toEqual([]);
  });

  it('finds the results on all pages of the listing', async () => {
    const { finish, memory } = startWorld();
    memory.pageKeys = 1;

    expect(await finish()).toMatchObject({ status: 'complete' });
  });

  it('does nothing if somebody changed a result', async () => {
    const { finish, memory, lines } = startWorld();
    memory.put(auditResultKey(run, { sort: 'others' }), '{}', noon);

    expect(await finish()).toEqual({});
    expect(lines).toEqual([]);
  });

  it('lists the parts that could not be checked, and lets the next run compare the same manifests again', async () => {
    const unchecked = { code: 'BucketUnavailable', reason: 'x' };
    const manifests = [predecessor, { key: manifestKey('20261118T000000Z'), sha256: sha256('x') }];
    const { finish, summary } = startWorld({ parts: { ...parts, others: { unchecked } } }, { manifests });

    await finish();

    expect(summary()).toMatchObject({ unchecked: ['others'], namedSince: predecessor.key });
  });

  it.each([
    ['all', ['ids__8', 'ids_8_', 'ids_c_'], true],
    ['but one', ['ids__8', 'ids_8_'], undefined],
    ['none', [], undefined],
  ])('says whether the catalogue has the documents of the stretches: %s', async (_what, names, expected) => {
    const { finish, summary } = startWorld({
      parts: Object.fromEntries(
        Object.entries(parts).map(([name, part]) => [
          name,
          { ...part, ...(names.includes(name) && { catalogue: true as const }) },
        ]),
      ),
    });

    await finish();

    expect(summary()?.catalogue).toBe(expected);
  });

  it('ignores keys among the results that the archiver does not write', async () => {
    const { finish, memory } = startWorld();
    memory.put(`audits/${run}/results/~`, 'x', noon);

    expect(await finish()).toMatchObject({ status: 'complete' });
  });

  it('does nothing if the run has ended', async () => {
    const { finish, lines } = startWorld({ ended: true });

    expect(await finish()).toEqual({});
    expect(lines).toEqual([]);
  });

  it('counts each code that is a problem, the documents and the repairs', async () => {
    const findings = [found('lost', 'a'), found('lost', 'b'), found('no-object', 'c')];
    const { finish, metrics, summary } = startWorld({
      parts: { ...parts, others: { findings, tally: { counts: { same: 9 } } } },
    });

    expect(await finish()).toMatchObject({ problems: 3 });

    expect(metrics()).toEqual([
      { AuditFindings: 2, Code: 'lost' },
      { AuditFindings: 1, Code: 'no-object' },
      { AuditedDocuments: 12 },
      { AuditRepairs: 2 },
      { AuditCompleted: 1 },
    ]);
    expect(summary()?.tally.counts).toEqual({ same: 9, lost: 2, 'no-object': 1 });
  });

  it('counts 0 findings if there are none', async () => {
    const { finish, metrics } = startWorld();

    await finish();

    expect(metrics()[0]).toEqual({ AuditFindings: 0 });
  });
});

describe('closeRun', () => {
  it('writes what has no result, and counts no complete run', async () => {
    const { close, remove, summary, metrics, lines, memory } = startWorld();
    for (const name of ['ids_c_', 'others']) remove(name);

    await close();

    expect(summary()).toMatchObject({
      status: 'incomplete',
      parts: [{ part: 'ids__8' }, { part: 'ids_8_', rest: 'ids_c_' }],
      unfinished: ['ids_c_', 'others'],
      wroteManifest: false,
      tally: { documents: 7 },
    });
    expect(summary()).not.toHaveProperty('manifest');
    expect(metrics()).toEqual([{ AuditFindings: 0 }, { AuditedDocuments: 7 }, { AuditRepairs: 2 }]);
    expect(lines.at(-1)).toMatchObject({ message: 'Audit closed: some parts have no result' });
    expect(memory.objects.get(manifestKey(timestamp))).toBeUndefined();
  });
});

it('A run that never did one of its stretches does not say that the catalogue is up to date', async () => {
  const { close, remove, summary } = startWorld({
    parts: { ...parts, ids__8: { ...parts.ids__8, catalogue: true } },
  });
  for (const name of ['ids_8_', 'ids_c_']) remove(name);

  await close();

  expect(summary()).toMatchObject({ status: 'incomplete' });
  expect(summary()).not.toHaveProperty('catalogue');
});

describe('the manifest of a run', () => {
  it('is not written by a later run that closes it', async () => {
    const { close, summary, memory } = startWorld();

    await close();

    expect(summary()).toMatchObject({ status: 'complete', unfinished: [], wroteManifest: false });
    expect(memory.objects.get(manifestKey(timestamp))).toBeUndefined();
  });

  it('is not written if something else is at its key', async () => {
    const { finish, summary, memory } = startWorld();
    memory.put(manifestKey(timestamp), 'x', noon);

    await finish();

    expect(summary()).toMatchObject({ status: 'complete', wroteManifest: false });
  });

  it('makes the end of the run fail if the bucket rejects it', async () => {
    const { finish, summary, memory } = startWorld();
    memory.refuse = (operation, key) =>
      operation === 'put' && key.startsWith('manifests/') ? { name: 'AccessDenied', status: 403 } : undefined;

    await expect(finish()).rejects.toMatchObject({ code: 'BucketMisconfigured' });
    expect(summary()).toBeUndefined();
  });

  it('is written although an altered manifest follows its predecessor, which the plan reports', async () => {
    const altered = { ...found('manifest-altered', 'x'), key: manifestKey('20261120T000000Z') };
    const { finish, summary, memory } = startWorld({ findings: [altered] }, { newestManifest: predecessor });
    memory.put(altered.key, 'x', noon);

    await finish();

    expect(summary()?.wroteManifest).toBe(true);
  });

  it('names its predecessor and the stretches in their order', async () => {
    const { finish, memory } = startWorld({}, { newestManifest: predecessor });

    await finish();

    const lines = [predecessor, stretch('', '8'), stretch('8', 'c'), stretch('c', '')];
    expect(memory.text(manifestKey(timestamp)).split('\n')).toEqual([
      ...lines.map(({ key, sha256: digest }) => expect.stringMatching(`^${digest}\\b.*${key}$`)),
      '',
    ]);
    expect(memory.objects.get(tagManifestKey(timestamp))).toBeDefined();
  });

  it('is not written if the plan does not ask for it: the summary names the newest one', async () => {
    const { plan, bucket, summary } = startWorld({}, { newestManifest: predecessor });
    const { manifest: _, ...without } = plan;
    const time = virtualTime(noon);
    const log = createLog({ name: 'test', write: () => undefined, now: time.now });

    await finishRun(without, bucket, signal, { log, time });

    expect(summary()).toMatchObject({ wroteManifest: false, manifest: predecessor });
  });

  it('is not written if a stretch has none', async () => {
    const { finish, summary } = startWorld({ parts: { ...parts, ids__8: {} } });

    await finish();

    expect(summary()).toMatchObject({ status: 'complete', wroteManifest: false });
  });

  it.each([
    ['an earlier run has not ended', '20261124T021459Z', false, false],
    ['an earlier run has ended', '20261124T021459Z', true, true],
    ['a later run has not ended', '20261124T021501Z', false, true],
    ['a run of more than a day before has not ended', '20261123T021459Z', false, true],
    ['a run of a day before has not ended', '20261123T021500Z', false, false],
  ])('if %s: %s', async (_what, other, ended, expected) => {
    const { finish, memory, summary } = startWorld();
    putRun(memory, other, { ended });

    await finish();

    expect(summary()?.wroteManifest).toBe(expected);
  });

  it('is written if an earlier run has results, but no plan', async () => {
    const { finish, memory, summary } = startWorld();
    putRun(memory, '20261124T021459Z', { ended: false });
    memory.objects.delete(auditPlanKey('20261124T021459Z'));

    await finish();

    expect(summary()?.wroteManifest).toBe(true);
  });

  it.each([
    ['another manifest follows its predecessor', manifestKey('20261120T000000Z'), false],
    ['a manifest is older than its predecessor', manifestKey('20261110T000000Z'), true],
    ['a tag file follows its predecessor', tagManifestKey('20261120T000000Z'), true],
    [
      'a stretch file follows its predecessor',
      stretchManifestKey('20261120T000000Z', { from: '', before: '' }),
      true,
    ],
    ['something else follows its predecessor', 'manifests/20261120T000000Z/x', true],
  ])('if %s, it is written or not: %s', async (_what, key, expected) => {
    const { finish, memory, summary } = startWorld({}, { newestManifest: predecessor });
    memory.pageKeys = 1;
    for (const each of [predecessor.key, tagManifestKey('20261117T021501Z'), key])
      memory.put(each, 'x', noon);

    await finish();

    expect(summary()?.wroteManifest).toBe(expected);
  });

  it('is not written again if this run has written it: the summary names it', async () => {
    const first = startWorld();
    await first.finish();
    const written = first.summary()?.manifest;
    first.memory.objects.delete(auditSummaryKey(run));

    await first.finish();

    expect(first.summary()).toMatchObject({ manifest: written, wroteManifest: true });
  });
});

describe('the oldest manifest that the next run compares', () => {
  const manifests = ['20261103T021501Z', '20261110T021501Z', '20261117T021501Z'].map((each) => ({
    key: manifestKey(each),
    sha256: sha256(each),
  }));

  it('is the newest one', async () => {
    const { finish, summary } = startWorld({}, { manifests });

    await finish();

    expect(summary()?.namedSince).toBe(manifests[2]?.key);
  });

  it.each(['manifest-differs', 'manifest-altered', 'manifest-removed'] as const)(
    'stays the oldest one after the finding %s',
    async (code) => {
      const { finish, summary } = startWorld(
        { parts: { ...parts, others: { findings: [found(code, 'a')] } } },
        { manifests },
      );

      await finish();

      expect(summary()?.namedSince).toBe(manifests[0]?.key);
    },
  );
});

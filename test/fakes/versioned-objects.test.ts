import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { propertyRuns } from '../fuzz-runs.ts';
import { type Retention, VersionedObjects } from './versioned-objects.ts';

const day = 24 * 60 * 60_000;
const noon = Date.parse('2026-11-24T12:00:00Z');
const bytes = Buffer.from('bytes');

function createObjects() {
  const clock = { now: noon };
  return { clock, objects: new VersionedObjects(() => clock.now) };
}

const error = (name: string, httpStatusCode: number) =>
  expect.objectContaining({ name, $metadata: expect.objectContaining({ httpStatusCode }) });
const preconditionFailed = error('PreconditionFailed', 412);
const noSuchKey = error('NoSuchKey', 404);
const accessDenied = error('AccessDenied', 403);

describe('put', () => {
  it('keeps the previous version under its own version ID', () => {
    const { objects } = createObjects();

    const first = objects.put('key', Buffer.from('first'));
    const second = objects.put('key', Buffer.from('second'));

    expect(objects.current('key')).toBe(second);
    expect(objects.read('key', first.versionId).body.toString()).toBe('first');
    expect(objects.versions('key')).toEqual([second, first]);
    expect(second.etag).not.toBe(first.etag);
  });

  it('with ifNoneMatch fails beside an object and succeeds beside nothing or a delete marker', () => {
    const { objects } = createObjects();
    objects.put('key', bytes, { ifNoneMatch: true });

    expect(() => objects.put('key', bytes, { ifNoneMatch: true })).toThrow(preconditionFailed);
    objects.delete('key');
    objects.put('key', bytes, { ifNoneMatch: true });

    expect(objects.versions('key')).toHaveLength(3);
  });

  it('with ifMatch succeeds only on the current version', () => {
    const { objects } = createObjects();
    const first = objects.put('key', bytes);
    const second = objects.put('key', bytes, { ifMatch: first.etag });

    expect(() => objects.put('key', bytes, { ifMatch: first.etag })).toThrow(preconditionFailed);

    expect(objects.current('key')).toBe(second);
  });

  it('with ifMatch fails with NoSuchKey beside nothing or a delete marker', () => {
    const { objects } = createObjects();
    const { etag } = objects.put('deleted', bytes);
    objects.delete('deleted');

    expect(() => objects.put('absent', bytes, { ifMatch: etag })).toThrow(noSuchKey);
    expect(() => objects.put('deleted', bytes, { ifMatch: etag })).toThrow(noSuchKey);

    expect(objects.versions('absent')).toEqual([]);
    expect(objects.versions('deleted')).toHaveLength(2);
  });
});

describe('delete', () => {
  it('without version ID adds a delete marker, also beside nothing and above a locked version', () => {
    const { objects } = createObjects();
    const locked = objects.put('key', bytes, { legalHold: 'ON' });

    const marker = objects.delete('key');
    objects.delete('absent');

    expect(objects.current('key')).toBeUndefined();
    expect(() => objects.read('key')).toThrow(noSuchKey);
    expect(objects.versions('key')).toEqual([marker, locked]);
    expect(objects.versions('absent')).toHaveLength(1);
  });

  it('of a delete marker makes the version below it current again', () => {
    const { objects } = createObjects();
    const version = objects.put('key', bytes);
    const marker = objects.delete('key');

    const deleted = objects.delete('key', marker?.versionId);

    expect(deleted).toBe(marker);
    expect(objects.current('key')).toBe(version);
  });

  it('of the last version removes the key', () => {
    const { objects } = createObjects();
    const { versionId } = objects.put('key', bytes);

    objects.delete('key', versionId);

    expect(objects.versions('key')).toEqual([]);
    expect(objects.listVersions('', { key: '' }, 10).entries).toEqual([]);
    expect(() => objects.read('key', versionId)).toThrow(error('NoSuchVersion', 404));
  });

  it('of a version that does not exist changes nothing and succeeds', () => {
    const { objects } = createObjects();
    const version = objects.put('key', bytes);

    const deleted = [objects.delete('key', 'version-9'), objects.delete('absent', 'version-9')];

    expect(deleted).toEqual([undefined, undefined]);
    expect(objects.versions('key')).toEqual([version]);
  });
});

describe('read', () => {
  it('refuses the version ID of a delete marker', () => {
    const { objects } = createObjects();
    const marker = objects.delete('key');

    expect(() => objects.read('key', marker?.versionId)).toThrow(error('MethodNotAllowed', 405));
    expect(() => objects.setLegalHold('key', marker?.versionId, 'ON')).toThrow(
      error('MethodNotAllowed', 405),
    );
  });
});

describe('a locked version', () => {
  const until = noon + day;

  it.each<[string, Retention, boolean]>([
    ['in compliance mode', { mode: 'COMPLIANCE', until }, false],
    ['in compliance mode with the bypass', { mode: 'COMPLIANCE', until }, true],
    ['in governance mode', { mode: 'GOVERNANCE', until }, false],
  ])('%s can be deleted only when its retention has ended', (_what, retention, bypassGovernance) => {
    const { objects, clock } = createObjects();
    const { versionId } = objects.put('key', bytes, { retention });
    clock.now = until - 1;

    expect(() => objects.delete('key', versionId, { bypassGovernance })).toThrow(accessDenied);
    clock.now = until;
    objects.delete('key', versionId, { bypassGovernance });

    expect(objects.versions('key')).toEqual([]);
  });

  it('in governance mode can be deleted with the bypass', () => {
    const { objects } = createObjects();
    const { versionId } = objects.put('key', bytes, { retention: { mode: 'GOVERNANCE', until } });

    objects.delete('key', versionId, { bypassGovernance: true });

    expect(objects.versions('key')).toEqual([]);
  });

  it('under a legal hold can be deleted only after the hold is off, even with the bypass', () => {
    const { objects, clock } = createObjects();
    const { versionId } = objects.put('key', bytes);
    objects.setLegalHold('key', undefined, 'ON');
    clock.now += 100 * 365 * day;

    expect(() => objects.delete('key', versionId, { bypassGovernance: true })).toThrow(accessDenied);
    objects.setLegalHold('key', versionId, 'OFF');
    objects.delete('key', versionId);

    expect(objects.versions('key')).toEqual([]);
  });

  it('gets the default retention of the bucket unless it states one itself', () => {
    const { objects } = createObjects();
    const before = objects.put('key', bytes);
    objects.defaultRetention = { mode: 'COMPLIANCE', days: 30 };

    const byDefault = objects.put('key', bytes);
    const stated = objects.put('key', bytes, { retention: { mode: 'GOVERNANCE', until } });

    expect(before.retention).toBeUndefined();
    expect(byDefault.retention).toEqual({ mode: 'COMPLIANCE', until: noon + 30 * day });
    expect(stated.retention).toEqual({ mode: 'GOVERNANCE', until });
  });
});

describe('listVersions', () => {
  it('goes on after a version that has been deleted since the page before', () => {
    const { objects } = createObjects();
    const [first, second, third] = ['1', '2', '3'].map((text) => objects.put('key', Buffer.from(text)));
    const next = objects.put('key2', bytes);
    objects.delete('key', second?.versionId);

    const after = objects.listVersions('', { key: 'key', versionId: second?.versionId ?? '' }, 10);
    const afterKey = objects.listVersions('', { key: 'key' }, 10);

    expect(after.entries.map(({ version }) => version)).toEqual([first, next]);
    expect(after.entries.map(({ isLatest }) => isLatest)).toEqual([false, true]);
    expect(afterKey.entries.map(({ version }) => version)).toEqual([next]);
    expect(objects.current('key')).toBe(third);
  });

  it('rejects a malformed version ID', () => {
    const { objects } = createObjects();

    expect(() => objects.listVersions('', { key: 'key', versionId: 'null' }, 10)).toThrow(
      error('InvalidArgument', 400),
    );
  });
});

interface Known {
  key: string;
  versionId: string;
  isMarker: boolean;
  hasHold: boolean;
  retention: Retention | undefined;
}

const keys = ['a', 'a/b', 'a/c', 'b', '\ufffd', '\u{1f600}'];
const key = fc.constantFrom(...keys);
const which = fc.nat(30);
const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('put' as const),
      key,
      ifNoneMatch: fc.boolean(),
      retention: fc.option(
        fc.record({ mode: fc.constantFrom('GOVERNANCE' as const, 'COMPLIANCE' as const), days: fc.nat(3) }),
        { nil: undefined },
      ),
    }),
  },
  fc.record({ kind: fc.constant('mark' as const), key }),
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('delete' as const), which, bypassGovernance: fc.boolean() }),
  },
  fc.record({
    kind: fc.constant('hold' as const),
    which,
    status: fc.constantFrom('ON' as const, 'OFF' as const),
  }),
  fc.record({ kind: fc.constant('wait' as const), days: fc.integer({ min: 1, max: 2 }) }),
);

it('lists exactly the versions that were added and not deleted, and never loses a locked one', () => {
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 60, size: 'max' }),
      fc.integer({ min: 1, max: 5 }),
      fc.constantFrom('', 'a', 'a/'),
      (steps, pageSize, prefix) => {
        const { objects, clock } = createObjects();
        /** In the order of their creation. */
        let known: Known[] = [];
        const newest = (of: string) => known.findLast((version) => version.key === of);
        for (const each of steps) {
          if (each.kind === 'wait') clock.now += each.days * day;
          if (each.kind === 'mark') {
            const { versionId } = objects.delete(each.key) ?? { versionId: '' };
            known.push({ key: each.key, versionId, isMarker: true, hasHold: false, retention: undefined });
          }
          if (each.kind === 'put') {
            const retention = each.retention && {
              mode: each.retention.mode,
              until: clock.now + each.retention.days * day,
            };
            const put = () => objects.put(each.key, bytes, { ifNoneMatch: each.ifNoneMatch, retention });
            if (each.ifNoneMatch && newest(each.key)?.isMarker === false)
              expect(put).toThrow(preconditionFailed);
            else {
              known.push({
                key: each.key,
                versionId: put().versionId,
                isMarker: false,
                hasHold: false,
                retention,
              });
            }
          }
          const chosen = 'which' in each ? known[each.which % Math.max(1, known.length)] : undefined;
          if (each.kind === 'hold' && chosen?.isMarker === false) {
            objects.setLegalHold(chosen.key, chosen.versionId, each.status);
            chosen.hasHold = each.status === 'ON';
          }
          if (each.kind === 'delete' && chosen) {
            const { mode, until = 0 } = chosen.retention ?? {};
            const isRetained = clock.now < until && !(mode === 'GOVERNANCE' && each.bypassGovernance);
            const remove = () => objects.delete(chosen.key, chosen.versionId, each);
            if (chosen.hasHold || isRetained) expect(remove).toThrow(accessDenied);
            else {
              remove();
              known = known.filter((version) => version !== chosen);
            }
          }
        }

        const listed: { key: string; versionId: string; isLatest: boolean }[] = [];
        for (let isTruncated = true; isTruncated; ) {
          const last = listed.at(-1) ?? { key: '' };
          const page = objects.listVersions(prefix, last, pageSize);
          expect(page.entries.length).toBeLessThanOrEqual(pageSize);
          listed.push(
            ...page.entries.map(({ version, isLatest }) => ({
              key: version.key,
              versionId: version.versionId,
              isLatest,
            })),
          );
          ({ isTruncated } = page);
          // Otherwise, pages that repeat versions would never end.
          expect(listed.length).toBeLessThanOrEqual(known.length);
        }

        const inOrder = keys
          .filter((each) => each.startsWith(prefix))
          .sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
        expect(listed).toEqual(
          inOrder.flatMap((each) =>
            known
              .filter((version) => version.key === each)
              .toReversed()
              .map(({ versionId }, index) => ({ key: each, versionId, isLatest: index === 0 })),
          ),
        );
        expect(objects.list(prefix, '', 1_000).objects.map((object) => object.versionId)).toEqual(
          inOrder
            .flatMap((each) => newest(each) ?? [])
            .flatMap((version) => (version.isMarker ? [] : version.versionId)),
        );
      },
    ),
    { numRuns: propertyRuns(2_000) },
  );
});

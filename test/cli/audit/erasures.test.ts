/** The audit of an archive in which the real commands erased, held and released documents. */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { eraseDocument } from '../../../cli/erasure/erase-document.ts';
import { type ErasureDependencies, examine } from '../../../cli/erasure/examine.ts';
import { placeHold, releaseHold } from '../../../cli/erasure/hold-document.ts';
import { keyOfFact } from '../../../functions/bucket/contexts.ts';
import { contextTombstoneKey, documentKey, holdKey, receiptKey } from '../../../functions/bucket/keys.ts';
import { createBucket } from '../../../functions/bucket/store.ts';
import { createVersions } from '../../../functions/bucket/versions.ts';
import { sleep } from '../../../functions/time.ts';
import { documentOf, noon, written } from '../../fakes/documents.ts';
import { sha256 } from '../../fakes/memory-bucket.ts';
import { propertyRuns } from '../../fuzz-runs.ts';
import { createWorld, problemsAmong } from './world.ts';

const id = (number: number) => `0000000${number}-0000-4000-8000-000000000000`;
const body = (number: number) => Buffer.from(`document ${number}`);
const role = 'arn:aws:iam::111122223333:role/break-glass';
const reason = { reason: 'Case 12', by: role };

/** A world with this many archived documents, and the commands of a break-glass role. */
function erasableWorld(count: number) {
  const world = createWorld();
  const { bucket, time } = world;
  for (let number = 0; number < count; number += 1) world.archive(documentOf(id(number), body(number)));
  const access = { s3: bucket as never, name: 'archive', time };
  const dependencies: ErasureDependencies = {
    bucket: createBucket(access),
    catalogue: undefined,
    versions: createVersions(access),
    retry: (work) => work(new AbortController().signal),
    now: time.now,
    archiver: '0.2.0',
  };
  return {
    ...world,
    erase: async (number: number) => {
      const found = await examine(id(number), dependencies);
      const order = { basis: 'DSR-1', erasedBy: role, bypassGovernance: false };
      return await eraseDocument(found, order, dependencies);
    },
    hold: (number: number) => placeHold(id(number), reason, dependencies),
    release: (number: number) => releaseHold(id(number), reason, dependencies),
    manifests: () => [...bucket.objects.keys()].filter((key) => key.endsWith('/manifest-sha256.txt')),
    legalHold: (key: string, status: 'ON' | 'OFF') => bucket.versioned.setLegalHold(key, undefined, status),
  };
}

describe('audit of erased documents', () => {
  it('finds no problem after any erasures, holds, releases and manifests, and counts erased and held documents', async () => {
    const step = fc.record({
      action: fc.constantFrom('erase', 'hold', 'release', 'manifest'),
      number: fc.nat(4),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 14 }), fc.nat(5), async (steps, pageKeys) => {
        const world = erasableWorld(5);
        world.bucket.pageKeys = pageKeys + 1;
        const erased = new Set<number>();
        const held = new Set<number>();
        for (const { action, number } of steps) {
          if (action === 'erase' && !held.has(number)) {
            await world.erase(number);
            erased.add(number);
          }
          if (action === 'hold' && !erased.has(number)) {
            await world.hold(number);
            held.add(number);
          }
          if (action === 'release') {
            await world.release(number);
            held.delete(number);
          }
          if (action === 'manifest') await world.run({ manifest: 'bucket' });
        }

        const { exitCode, findings, printed, records } = await world.run({ all: true, manifest: 'bucket' });

        const codeOf = (number: number) => (erased.has(number) ? 'erased' : 'same');
        expect(findings).toEqual(
          [0, 1, 2, 3, 4].map((number) => `${codeOf(number)} ${documentKey(id(number))}`).sort(),
        );
        expect(exitCode).toBe(0);
        const counts = [
          ...(erased.size > 0 ? [`, erased ${erased.size}`] : []),
          ...(held.size > 0 ? [`, held ${held.size}`] : []),
        ];
        expect(printed).toMatch(
          new RegExp(
            `No problems found in ${5 - erased.size} archived documents? \\(\\d+ B\\)${counts.join('')}\\.`,
          ),
        );
        expect(records.find(({ type }) => type === 'summary')).toMatchObject({
          archived: 5 - erased.size,
          held: held.size,
          counts: { erased: erased.size },
        });
        const lines = world.bucket
          .text(world.manifests().at(-1) ?? '')
          .trim()
          .split('\n');
        for (const line of lines) {
          const [digest, key = ''] = line.split('  ');
          expect(sha256(world.bucket.text(key))).toBe(digest);
        }
      }),
      { numRuns: propertyRuns(20) },
    );
  });

  it('writes a manifest with which sha256sum checks the tombstones; with older ones it fails for what was erased', async () => {
    const world = erasableWorld(3);
    await world.run({ manifest: 'bucket' });
    await world.erase(1);
    await world.run({ manifest: 'bucket' });
    const folder = await mkdtemp(join(tmpdir(), 'audit-erasures-'));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    for (const [key, object] of world.bucket.objects) {
      await mkdir(join(folder, dirname(key)), { recursive: true });
      await writeFile(join(folder, key), object.body);
    }
    const check = (key = '') =>
      promisify(execFile)('sha256sum', ['--check', '--strict', key], { cwd: folder });

    const [older, newer] = world.manifests();
    const { stdout } = await check(newer);
    const failed = await check(older).catch((error) => String(error.stdout));

    expect(stdout.split('\n').filter((line) => line.endsWith(': OK'))).toHaveLength(7);
    expect(
      String(failed)
        .split('\n')
        .filter((line) => line.endsWith(': FAILED')),
    ).toEqual([`${documentKey(id(1))}: FAILED`, `${receiptKey(id(1))}: FAILED`]);
  });

  it('says that no manifest named the document before its erasure, also after a manifest has named the tombstone', async () => {
    const world = erasableWorld(2);
    await world.erase(0);
    const finding = `erased ${documentKey(id(0))}`;

    const before = await world.run({ all: true, manifest: 'bucket' });
    const after = await world.run({ all: true });

    expect(before.details.get(finding)).toBe('no manifest named it before');
    expect(after.details.get(finding)).toBe('no manifest named it before');
  });

  it('reports tombstones that were removed, although the newest manifest names them', async () => {
    const world = erasableWorld(2);
    await world.run({ manifest: 'bucket' });
    await world.erase(0);
    await world.run({ manifest: 'bucket' });
    for (const keyOf of [documentKey, receiptKey, contextTombstoneKey]) {
      world.bucket.objects.delete(keyOf(id(0)));
    }

    const { findings } = await world.run();

    expect(findings).toEqual([`lost ${documentKey(id(0))}`, `manifest-differs ${documentKey(id(0))}`]);
  });

  it('reports the document that came back in place of its tombstone', async () => {
    const world = erasableWorld(2);
    await world.erase(0);
    await world.run({ manifest: 'bucket' });
    world.archive(documentOf(id(0), body(0)));

    const { findings } = await world.run();

    expect(problemsAmong(findings)).toEqual(
      expect.arrayContaining([
        `checksum-differs ${documentKey(id(0))}`,
        `overwritten ${documentKey(id(0))}`,
        `overwritten ${receiptKey(id(0))}`,
      ]),
    );
  });

  it('accepts the digest of a tombstone from a manifest only if the tombstone states what earlier ones name', async () => {
    const world = erasableWorld(2);
    await world.run({ manifest: 'bucket' });
    await world.erase(0);
    for (const keyOf of [documentKey, receiptKey, contextTombstoneKey]) {
      const text = world.bucket.text(keyOf(id(0))).replaceAll(sha256(body(0)), sha256('other bytes'));
      world.bucket.objects.delete(keyOf(id(0)));
      world.bucket.versioned.put(keyOf(id(0)), Buffer.from(text), { metadata: { state: 'erased' } });
    }
    const digest = sha256(world.bucket.text(documentKey(id(0))));
    const [first = ''] = world.manifests();
    const lines = world.bucket.text(first).split('\n').slice(2);
    world.bucket.put(
      'manifests/20991231T000000Z/manifest-sha256.txt',
      [
        `${sha256(world.bucket.text(first))}  ${first}`,
        `${digest}  ${documentKey(id(0))}`,
        `${digest}  ${receiptKey(id(0))}`,
        ...lines,
      ].join('\n'),
      noon,
    );

    const { findings } = await world.run();

    expect(findings).toEqual([`manifest-differs ${documentKey(id(0))}`]);
  });

  it('keeps what a manifest names until the erasure has ended', async () => {
    const world = erasableWorld(1);
    await world.run({ manifest: 'bucket' });
    const [before = ''] = world.manifests();
    await world.erase(0);
    world.replace(documentKey(id(0)), body(0), noon);

    const { details } = await world.run({ manifest: 'bucket' });

    expect(details.get(`erasure-unfinished ${documentKey(id(0))}`)).toBe('the object is still there');
    expect(world.bucket.text(world.manifests()[1] ?? '')).toContain(world.bucket.text(before));
  });

  it('recognises tombstones in a copy of the archive, which has no metadata', async () => {
    const world = erasableWorld(1);
    await world.erase(0);
    for (const key of [documentKey(id(0)), receiptKey(id(0))]) {
      world.replace(key, world.bucket.text(key), noon);
    }

    expect((await world.run({ all: true })).findings).toEqual([`erased ${documentKey(id(0))}`]);
  });

  it('does not take an object for a tombstone because of its metadata', async () => {
    const world = erasableWorld(2);
    for (const [number, bytes] of [body(0), Buffer.alloc(9_000)].entries()) {
      world.bucket.objects.delete(documentKey(id(number)));
      world.bucket.versioned.put(documentKey(id(number)), bytes, {
        verified: bytes,
        metadata: { state: 'erased' },
      });
    }

    const { findings, details } = await world.run();

    expect(findings).toEqual([0, 1].map((number) => `tombstone-altered ${documentKey(id(number))}`));
    expect(details.get(findings[0] ?? '')).toBe('not a tombstone, although its metadata says so');
    expect(world.bucket.requests).not.toContain(`get ${documentKey(id(1))}`);
  });

  it('recognises an erased document with --quick by the tombstone of its contexts', async () => {
    const world = erasableWorld(2);
    await world.erase(0);
    await world.erase(1);
    world.account.delete(id(1));

    const { findings } = await world.run({ quick: true, all: true });

    expect(findings).toEqual([`erased ${documentKey(id(0))}`, `erased ${documentKey(id(1))}`]);
  });

  it('reports contexts of an erased document, until the same erasure has removed them', async () => {
    const world = erasableWorld(2);
    await world.erase(0);
    const fact = { documentId: id(0), kind: 'link', id: 'a resource' } as const;
    world.bucket.put(
      keyOfFact(fact),
      written({ v: 1, ...fact, learntAt: new Date(noon).toISOString(), archiver: '0.2.0' }),
      noon,
    );

    const before = await world.run();
    await world.erase(0);
    const after = await world.run();

    expect(before.findings).toEqual([`erasure-unfinished ${documentKey(id(0))}`]);
    expect(before.printed).toContain('contexts are left');
    expect(after.findings).toEqual([]);
  });

  it.each([true, false])('finds nothing wrong with contexts, archived or not (quick: %s)', async (quick) => {
    const world = erasableWorld(1);
    for (const number of [0, 5]) {
      const fact = { documentId: id(number), kind: 'link', id: 'a resource' } as const;
      world.bucket.put(
        keyOfFact(fact),
        written({ v: 1, ...fact, learntAt: new Date(noon).toISOString(), archiver: '0.2.0' }),
        noon,
      );
    }

    const { findings, exitCode } = await world.run({ quick, all: true });

    expect(findings).toEqual([`same ${documentKey(id(0))}`]);
    expect(exitCode).toBe(0);
  });
});

describe('audit of held documents', () => {
  it('reports each object that is not on legal hold although the newest record says so', async () => {
    const world = erasableWorld(2);
    await world.hold(0);
    await world.hold(1);
    world.legalHold(documentKey(id(0)), 'OFF');
    world.legalHold(receiptKey(id(1)), 'OFF');

    const { exitCode, findings } = await world.run();

    expect(findings).toEqual([`hold-missing ${documentKey(id(0))}`, `hold-missing ${receiptKey(id(1))}`]);
    expect(exitCode).toBe(1);
  });

  it('checks everything but the legal hold without permission to read it, and says so', async () => {
    const world = erasableWorld(1);
    await world.hold(0);
    world.bucket.refuse = (operation) =>
      operation === 'get-hold' ? { name: 'AccessDenied', status: 403 } : undefined;

    const sound = await world.run({ manifest: 'bucket' });
    world.replace(documentKey(id(0)), 'Document 0', noon);
    const damaged = await world.run();

    const [record] = [...world.bucket.objects.keys()].filter((key) => key.startsWith('holds/'));
    const unreadable = `unreadable ${record}`;
    expect(sound.findings).toEqual([unreadable, unreadable]);
    expect(sound.exitCode).toBe(3);
    expect(sound.details.get(unreadable)).toMatch(
      /^the legal hold of receipts\/\S+: BucketMisconfigured: S3 denies access/,
    );
    expect(world.bucket.text(world.manifests()[0] ?? '')).toContain(documentKey(id(0)));
    expect(damaged.findings).toEqual([`checksum-differs ${documentKey(id(0))}`, unreadable, unreadable]);
  });

  it('reports a document that was erased while it was held, and one whose erasure a hold has stopped', async () => {
    const world = erasableWorld(2);
    await world.hold(0);
    for (const key of [documentKey(id(0)), receiptKey(id(0))]) world.legalHold(key, 'OFF');
    await sleep(world.time, 1_000);
    await world.erase(0);
    await world.erase(1);
    world.bucket.put(documentKey(id(1)), body(1), noon);
    world.bucket.put(documentKey(id(1)), world.bucket.text(receiptKey(id(1))), noon);
    await world.hold(1);

    const { findings, details } = await world.run();

    expect(problemsAmong(findings)).toContain(`erasure-unfinished ${documentKey(id(1))}`);
    expect(details.get(`erasure-unfinished ${documentKey(id(1))}`)).toBe(
      'other versions of the object: 2 (held)',
    );
    expect(findings).toContain(`hold-missing ${documentKey(id(0))}`);
    expect(details.get(`hold-missing ${documentKey(id(0))}`)).toBe('erased while it was held');
  });

  it('reports records that the archiver did not write, were hidden or were overwritten', async () => {
    const world = erasableWorld(3);
    for (const number of [0, 1, 2]) await world.hold(number);
    const recordOf = (number: number) =>
      [...world.bucket.objects.keys()].find((key) => key.startsWith(`holds/${id(number)}/`)) ?? '';
    const [first, second, third] = [0, 1, 2].map(recordOf) as [string, string, string];
    const copied = holdKey(id(0), noon + 3_600_000);
    world.bucket.put(copied, world.bucket.text(first), noon);
    world.bucket.put('holds/notes.txt', 'x', noon);
    world.bucket.put(second, world.bucket.text(second), noon);
    world.bucket.versioned.delete(third);

    const { findings, records } = await world.run();

    expect(findings).toEqual(
      [`foreign ${copied}`, 'foreign holds/notes.txt', `overwritten ${second}`, `hidden ${third}`].sort(),
    );
    expect(records.find(({ type }) => type === 'summary')).toMatchObject({ held: 2 });
  });

  it.each([
    ['is not JSON', '{'],
    ['is about another document', (text: string) => text.replace(id(0), id(1))],
    ['has a field more', (text: string) => text.replace('{', '{"approved": true,')],
  ])('reports a record that %s, and goes by the one before', async (_case, change) => {
    const world = erasableWorld(2);
    await world.hold(0);
    const [record = ''] = [...world.bucket.objects.keys()].filter((key) => key.startsWith('holds/'));
    const later = holdKey(id(0), noon + 3_600_000);
    const text = typeof change === 'string' ? change : change(world.bucket.text(record));
    world.bucket.put(later, text, noon);

    const { findings, records } = await world.run();

    expect(findings).toEqual([`foreign ${later}`]);
    expect(records.find(({ type }) => type === 'summary')).toMatchObject({ held: 1 });
  });

  it('reports a held document as lost if nothing of it is left', async () => {
    const world = erasableWorld(1);
    await world.hold(0);
    for (const key of [documentKey(id(0)), receiptKey(id(0))]) world.bucket.objects.delete(key);
    world.account.clear();

    expect((await world.run()).findings).toEqual([`lost ${documentKey(id(0))}`]);
  });
});

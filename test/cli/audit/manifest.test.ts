/** Manifests: `sha256sum` can check them, and the audit reports each one that is removed or changed. */

import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { documentKey, receiptKey } from '../../../functions/bucket/keys.ts';
import { day, documentOf, noon, receiptOf, written } from '../../fakes/documents.ts';
import { sha256 } from '../../fakes/memory-bucket.ts';
import { propertyRuns } from '../../fuzz-runs.ts';
import { createWorld, problemsAmong } from './world.ts';

const id = (number: number) => `0000000${number.toString(16)}-0000-4000-8000-000000000000`;
const body = (number: number) => Buffer.from(`document ${number}`);

/** A world with a manifest written after each document. */
async function worldWithManifests(count: number) {
  const world = createWorld();
  for (let number = 0; number < count; number += 1) {
    world.archive(documentOf(id(number), body(number)));
    await world.run({ manifest: 'bucket' });
  }
  const manifests = [...world.bucket.objects.keys()].filter((key) => key.startsWith('manifests/')).sort();
  const texts = manifests.filter((key) => key.endsWith('/manifest-sha256.txt'));
  return { world, manifests, texts };
}

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'audit-manifest-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

describe('audit with manifests', () => {
  it('writes a file with which sha256sum checks documents, receipts and earlier manifests', async () => {
    const { world, texts } = await worldWithManifests(3);
    const folder = await temporaryFolder();
    for (const [key, { body: bytes }] of world.bucket.objects) {
      await mkdir(join(folder, dirname(key)), { recursive: true });
      await writeFile(join(folder, key), bytes);
    }
    const check = (key: string) =>
      promisify(execFile)('sha256sum', ['--check', '--strict', key], { cwd: folder });

    const sound = await Promise.all(texts.map(check));
    await writeFile(join(folder, documentKey(id(1))), 'other bytes');
    await rm(join(folder, texts[0] ?? ''));
    const damaged = await check(texts[2] ?? '').catch(({ stdout }) => ({ stdout: String(stdout) }));

    expect(
      sound.map(({ stdout }) => stdout.split('\n').filter((line) => line.endsWith(': OK')).length),
    ).toEqual([2, 5, 7]);
    expect(damaged.stdout).toContain(`${documentKey(id(1))}: FAILED`);
    expect(damaged.stdout).toContain(`${documentKey(id(2))}: OK`);
  });

  it('prints place, digest and number of documents of the manifest', async () => {
    const world = createWorld();
    world.archive(documentOf(id(0), body(0)));

    const { printed, records } = await world.run({ manifest: 'bucket' });

    const key = 'manifests/20261124T120000Z/manifest-sha256.txt';
    const digest = sha256(world.bucket.text(key));
    expect(printed).toContain(
      `\n\nManifest of 1 document: s3://archive/${key}\nSHA-256 ${digest}\nStore this SHA-256 outside the bucket.`,
    );
    expect(records.at(-1)).toEqual({
      type: 'manifest',
      place: `s3://archive/${key}`,
      sha256: digest,
      documents: 1,
    });
  });

  it('names the previous manifest, then each document and its receipt, sorted by ID', async () => {
    const { world, texts } = await worldWithManifests(2);

    const [first = '', second = ''] = texts.map((key) => world.bucket.text(key));

    const lines = (number: number) => [
      `${sha256(body(number))}  ${documentKey(id(number))}`,
      `${sha256(world.bucket.text(receiptKey(id(number))))}  ${receiptKey(id(number))}`,
    ];
    expect(first).toBe([...lines(0), ''].join('\n'));
    expect(second).toBe([`${sha256(first)}  ${texts[0]}`, ...lines(0), ...lines(1), ''].join('\n'));
  });

  it('reports a manifest that was removed or altered; a tag file only if it names another digest', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 4 }),
        fc.nat(7),
        fc.constantFrom('removed', 'flipped', 'cut off', 'emptied', 'lengthened'),
        async (count, which, how) => {
          const { world, manifests } = await worldWithManifests(count);
          const key = manifests[which % manifests.length] ?? '';
          const text = world.bucket.text(key);
          if (how === 'removed') world.bucket.objects.delete(key);
          else {
            const altered = {
              flipped: text.replace(/^./, (digit) => (digit === '0' ? '1' : '0')),
              'cut off': text.slice(0, -40),
              emptied: '',
              lengthened: `${text}${sha256('x')}  documents/${id(15)}\n`,
            }[how];
            world.replace(key, altered, noon);
          }

          const { findings } = await world.run();

          const isTag = key.includes('/tag');
          const expected = how === 'removed' ? `manifest-removed ${key}` : `manifest-altered ${key}`;
          // If tag file and manifest disagree, the manifest is reported.
          const manifest = key.replace('/tag', '/');
          const ofTag = how === 'flipped' ? [`manifest-altered ${manifest}`] : [];
          expect(findings).toEqual(isTag ? ofTag : [expected]);
        },
      ),
      { numRuns: propertyRuns(60) },
    );
  });

  it('uses the previous manifest if the newest is not valid and no file names its digest', async () => {
    const { world, manifests, texts } = await worldWithManifests(2);
    const [before = '', newest = ''] = texts;
    // Its first line is unchanged, so it still names its predecessor.
    world.replace(newest, `${world.bucket.text(newest).split('\n')[0]}\nnot a manifest\n`, noon);
    for (const key of manifests.filter((one) => one.startsWith(dirname(newest)) && one.includes('/tag')))
      world.bucket.objects.delete(key);
    world.bucket.objects.delete(documentKey(id(0)));

    const { findings, details } = await world.run();

    expect(problemsAmong(findings)).toEqual([
      `manifest-altered ${newest}`,
      `no-object ${documentKey(id(0))}`,
    ]);
    expect(details.get(`manifest-altered ${newest}`)).toBe('not in the format of a manifest');
    expect(before).not.toBe('');
  });

  it('reports a manifest that was removed with its tag file, the newest one only with --expect-manifest', async () => {
    const { world, manifests, texts } = await worldWithManifests(3);
    const digests = texts.map((key) => sha256(world.bucket.text(key)));
    const remove = (stamp: string) => {
      for (const key of manifests.filter((one) => one.startsWith(dirname(stamp))))
        world.bucket.objects.delete(key);
    };

    remove(texts[2] ?? '');
    const unnoticed = await world.run();
    const noticed = await world.run({ expectManifest: digests[2] });
    const isThere = await world.run({ expectManifest: digests[0] });
    remove(texts[0] ?? '');
    const middle = await world.run();

    expect(unnoticed.findings).toEqual([]);
    expect(noticed.findings).toEqual(['manifest-removed manifests/']);
    expect(isThere.findings).toEqual([]);
    expect(middle.findings).toEqual([`manifest-removed ${texts[0]}`]);
  });

  it('reports a manifest that is hidden or was written again, also the newest one with its tag file', async () => {
    const { world, manifests, texts } = await worldWithManifests(2);
    const [first = '', newest = ''] = texts;
    const ofNewest = manifests.filter((key) => key.startsWith(dirname(newest)));
    for (const key of ofNewest) world.bucket.versioned.delete(key);
    world.bucket.put(first, world.bucket.text(first), noon);

    const { findings } = await world.run({ manifest: { file: join(await temporaryFolder(), 'next') } });

    expect(findings).toEqual([...ofNewest.map((key) => `hidden ${key}`), `overwritten ${first}`]);
  });

  it('reports a document of which a later manifest states another SHA-256, or leaves out the receipt', async () => {
    const { world, texts } = await worldWithManifests(2);
    const [, newest = ''] = texts;
    const lines = world.bucket.text(newest).split('\n').slice(1);
    const [document0 = '', , document1, receipt1] = lines;
    const appended = 'manifests/20991231T000000Z/manifest-sha256.txt';
    const link = `${sha256(world.bucket.text(newest))}  ${newest}`;
    const forged = [link, document0, document1?.replace(/^\w+/, sha256('x')), receipt1, ''].join('\n');
    world.bucket.put(appended, forged, noon);

    const { findings, details } = await world.run();

    const [differs0, differs1] = [0, 1].map((number) => `manifest-differs ${documentKey(id(number))}`);
    // The audit compares with the newest SHA-256 that a manifest states.
    expect(findings).toEqual([`checksum-differs ${documentKey(id(1))}`, differs0, differs1]);
    expect(details.get(differs0 ?? '')).toBe(`${appended} leaves out what ${texts[0]} states`);
    expect(details.get(differs1 ?? '')).toBe(`${appended} states another SHA-256 than what ${newest} states`);
  });

  it('reports an added manifest that does not name its predecessor', async () => {
    const { world } = await worldWithManifests(1);
    const forged = 'manifests/20991231T000000Z/manifest-sha256.txt';
    world.bucket.put(forged, `${sha256(body(0))}  ${documentKey(id(0))}\n`, noon);

    const { findings } = await world.run();

    expect(findings).toEqual([`manifest-altered ${forged}`]);
  });

  it('reports a document that a later manifest leaves out, also with --expect-manifest', async () => {
    const { world, texts } = await worldWithManifests(2);
    const [, newest = ''] = texts;
    const expectManifest = sha256(world.bucket.text(newest));
    // A complete link of the chain, with a tag file of its own, that no longer names the first document.
    const kept = [documentKey(id(1)), receiptKey(id(1))].map(
      (key) => `${sha256(world.bucket.text(key))}  ${key}\n`,
    );
    const appended = 'manifests/20991231T000000Z/manifest-sha256.txt';
    world.bucket.put(appended, [`${expectManifest}  ${newest}\n`, ...kept].join(''), noon);
    world.bucket.put(
      appended.replace('/manifest', '/tagmanifest'),
      `${sha256(world.bucket.text(appended))}  ${appended}\n`,
      noon,
    );

    const before = await world.run({ expectManifest });
    for (const key of [documentKey(id(0)), receiptKey(id(0))]) world.bucket.objects.delete(key);
    const after = await world.run({ expectManifest, telnyx: false });

    const differs = `manifest-differs ${documentKey(id(0))}`;
    expect(before.findings).toEqual([differs]);
    expect(before.details.get(differs)).toBe(`${appended} leaves out what ${texts[0]} states`);
    expect(after.findings).toEqual([`lost ${documentKey(id(0))}`, differs]);
  });

  it('keeps the entries of deleted and changed documents, so that every later audit reports them', async () => {
    const { world } = await worldWithManifests(3);
    world.bucket.objects.delete(documentKey(id(0)));
    world.bucket.objects.delete(receiptKey(id(0)));
    world.replace(documentKey(id(1)), 'document X', noon - day);

    const runs = [];
    for (let run = 0; run < 3; run += 1) runs.push(await world.run({ manifest: 'bucket', telnyx: false }));

    for (const { findings } of runs) {
      expect(findings).toEqual([`checksum-differs ${documentKey(id(1))}`, `lost ${documentKey(id(0))}`]);
    }
  });

  it('uses a key that sorts after all other manifests, even if the clock is behind', async () => {
    const { world } = await worldWithManifests(1);
    const later = 'manifests/20990101T000000Z';
    const [first = ''] = [...world.bucket.objects.keys()].filter((key) =>
      key.endsWith('/manifest-sha256.txt'),
    );
    const line = `${sha256(world.bucket.text(first))}  ${first}\n`;
    const text = line + world.bucket.text(first);
    world.bucket.put(`${later}/manifest-sha256.txt`, text, noon);

    const { exitCode, records } = await world.run({ manifest: 'bucket' });

    expect(exitCode).toBe(0);
    expect(records.find(({ type }) => type === 'manifest')).toMatchObject({
      place: 's3://archive/manifests/20990101T000001Z/manifest-sha256.txt',
    });
    expect((await world.run()).findings).toEqual([]);
  });

  it('does not overwrite the manifest of another audit at the same time', async () => {
    const world = createWorld();
    world.archive(documentOf(id(0), body(0)));

    const outcomes = await Promise.allSettled([
      world.run({ manifest: 'bucket' }),
      world.run({ manifest: 'bucket' }),
    ]);

    // Both audits write the same bytes to the same key: both succeed, or one of them fails.
    expect(outcomes.some(({ status }) => status === 'fulfilled')).toBe(true);
    expect((await world.run()).findings).toEqual([]);
  });

  it('fails if another manifest has taken its key in the meantime', async () => {
    const world = createWorld();
    world.archive(documentOf(id(0), body(0)));
    const key = 'manifests/20261124T120000Z/manifest-sha256.txt';
    world.bucket.refuse = (operation, requested) => {
      if (operation === 'put' && requested === key)
        world.bucket.put(key, `${sha256('x')}  ${documentKey(id(9))}\n`, noon);
      return undefined;
    };

    await expect(world.run({ manifest: 'bucket' })).rejects.toThrow(/Nothing was overwritten/);

    expect(world.bucket.text(key)).toContain(id(9));
  });

  it('writes to a file instead of the bucket, and leaves no partial file', async () => {
    const { world, texts } = await worldWithManifests(2);
    const folder = await temporaryFolder();
    const file = join(folder, 'manifest.txt');
    const keys = [...world.bucket.objects.keys()];

    const { exitCode } = await world.run({ manifest: { file } });

    expect(exitCode).toBe(0);
    expect(await readFile(file, 'utf8')).toContain(
      `${sha256(world.bucket.text(texts[1] ?? ''))}  ${texts[1]}\n`,
    );
    expect(await readdir(folder)).toEqual(['manifest.txt']);
    expect([...world.bucket.objects.keys()]).toEqual(keys);
  });

  it('follows no link that waits beside the file under a name known in advance', async () => {
    const { world } = await worldWithManifests(1);
    const folder = await temporaryFolder();
    await writeFile(join(folder, 'victim'), 'precious');
    await symlink('victim', join(folder, 'manifest.txt.part'));

    await world.run({ manifest: { file: join(folder, 'manifest.txt') } });

    expect(await readFile(join(folder, 'victim'), 'utf8')).toBe('precious');
  });

  it('adds a new receipt for the same bytes only with --accept-receipts', async () => {
    const { world } = await worldWithManifests(2);
    const archived = documentOf(id(0), body(0));
    const newReceipt = { ...receiptOf(archived), archivedAt: new Date(noon).toISOString() };
    world.replace(receiptKey(id(0)), written(newReceipt), noon);
    const altered = [`receipt-altered ${receiptKey(id(0))}`];

    const before = await world.run({ manifest: 'bucket' });
    const accepting = await world.run({ manifest: 'bucket', acceptReceipts: true });
    const after = await world.run({ all: true, manifest: 'bucket' });
    const later = await world.run({ all: true });

    expect(before.findings).toEqual(altered);
    expect(accepting.findings).toEqual(altered);
    const accepted = `receipt-accepted ${documentKey(id(0))}`;
    for (const { exitCode, findings, details } of [after, later]) {
      expect(findings).toEqual([accepted, `same ${documentKey(id(1))}`]);
      expect(details.get(accepted)).toMatch(/^in manifests\/\w+\/manifest-sha256\.txt$/);
      expect(exitCode).toBe(0);
    }
  });

  it('never adds a receipt for other bytes', async () => {
    const { world } = await worldWithManifests(2);
    const other = documentOf(id(0), Buffer.from('document X'));
    world.replace(receiptKey(id(0)), written(receiptOf(other)), noon);

    await world.run({ manifest: 'bucket', acceptReceipts: true });
    const { findings } = await world.run();

    expect(problemsAmong(findings)).toContain(`receipt-altered ${receiptKey(id(0))}`);
  });
});

/** Root manifests, as the audit function writes them: the command checks them like its own. */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { documentKey, receiptKey } from '../../../functions/bucket/keys.ts';
import {
  formatLine,
  manifestKey,
  stretchManifestKey,
  tagManifestKey,
} from '../../../functions/bucket/manifest-text.ts';
import { createBucket } from '../../../functions/bucket/store.ts';
import { documentOf, noon } from '../../fakes/documents.ts';
import { sha256 } from '../../fakes/memory-bucket.ts';
import { putRootManifest } from '../../fakes/root-manifests.ts';
import { propertyRuns } from '../../fuzz-runs.ts';
import { createWorld, problemsAmong } from './world.ts';

/** One document in each of the three stretches, and more. */
const id = (number: number) => `${number}0000000-0000-4000-8000-000000000000`;
const body = (number: number) => Buffer.from(`document ${number}`);

function startWorld(numbers: readonly number[]) {
  const world = createWorld();
  const bucket = createBucket({ s3: world.bucket as never, name: 'archive', time: world.time });
  const keys = () => [...world.bucket.objects.keys()];
  const lineOf = (key: string) => ({ key, sha256: sha256(world.bucket.text(key)) });
  const archive = (number: number) => world.archive(documentOf(id(number), body(number)));
  for (const number of numbers) archive(number);
  return {
    ...world,
    archive,
    keys,
    lineOf,
    /** Writes a root manifest of these documents. @default all; the predecessor is the newest manifest */
    writeRoot: async (timestamp: string, named: readonly number[], bounds = ['4', '8']) => {
      const newest = keys().findLast((key) => key.endsWith('/manifest-sha256.txt'));
      const entries = named.map((number) => ({
        id: id(number),
        document: lineOf(documentKey(id(number))).sha256,
        receipt: lineOf(receiptKey(id(number))).sha256,
      }));
      return putRootManifest(bucket, timestamp, entries, {
        bounds,
        predecessor: newest === undefined ? undefined : lineOf(newest),
      });
    },
    /** Writes other lines into a root manifest, and their digest into its tag file. */
    rewrite: (key: string, lines: readonly string[]) => {
      world.replace(key, lines.map((line) => `${line}\n`).join(''), noon);
      world.replace(key.replace('/manifest-', '/tagmanifest-'), formatLine(lineOf(key)), noon);
    },
  };
}

const stamps = ['20261101T021500Z', '20261108T021500Z'] as const;
const [older, newest] = [manifestKey(stamps[0]), manifestKey(stamps[1])] as const;
const numbers = [1, 5, 9];

async function worldWithRoots() {
  const world = startWorld(numbers);
  for (const stamp of stamps) await world.writeRoot(stamp, numbers);
  return world;
}

describe('audit with root manifests', () => {
  it('can be checked by sha256sum in two steps: the root, then its stretch files together', async () => {
    const world = await worldWithRoots();
    const folder = await mkdtemp(join(tmpdir(), 'audit-roots-'));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    for (const [key, { body: bytes }] of world.bucket.objects) {
      await mkdir(join(folder, dirname(key)), { recursive: true });
      await writeFile(join(folder, key), bytes);
    }
    const run = (command: string) =>
      promisify(execFile)('sh', ['-c', command], { cwd: folder }).catch(({ stdout }) => ({
        stdout: `${stdout}`,
      }));
    const checkRoot = () => run(`sha256sum --check --strict ${newest}`);
    const checkDocuments = () => run(`cat ${dirname(newest)}/ids_*.txt | sha256sum --check --strict`);
    const stretch = stretchManifestKey(stamps[1], { from: '4', before: '8' });

    const sound = [await checkRoot(), await checkDocuments()];
    await writeFile(join(folder, documentKey(id(5))), 'other bytes');
    await writeFile(join(folder, stretch), world.bucket.text(stretch).toUpperCase());
    const damagedRoot = await checkRoot();
    await writeFile(join(folder, stretch), world.bucket.text(stretch));
    const damagedDocuments = await checkDocuments();

    expect(sound.map(({ stdout }) => stdout.trimEnd().split('\n').sort())).toEqual([
      [older, ...['_4', '4_8', '8_'].map((name) => `${dirname(newest)}/ids_${name}.txt`)]
        .map((key) => `${key}: OK`)
        .sort(),
      numbers.flatMap((number) => [`${documentKey(id(number))}: OK`, `${receiptKey(id(number))}: OK`]).sort(),
    ]);
    expect(damagedRoot.stdout).toContain(`${stretch}: FAILED`);
    expect(damagedDocuments.stdout).toContain(`${documentKey(id(5))}: FAILED`);
    expect(damagedDocuments.stdout).toContain(`${documentKey(id(9))}: OK`);
  });

  it('finds nothing in a chain of root manifests and single files in turn, and what they name is named', async () => {
    const world = startWorld([1]);
    await world.writeRoot('20261101T021500Z', [1]);
    world.archive(5);
    const single = await world.run({ manifest: 'bucket' });
    world.archive(9);
    await world.writeRoot('20261201T021500Z', [1, 5, 9]);

    const sound = await world.run({ all: true });
    for (const number of numbers) {
      for (const key of [documentKey(id(number)), receiptKey(id(number))]) world.bucket.objects.delete(key);
    }
    const emptied = await world.run({ telnyx: false });

    expect(single.records.at(-1)).toMatchObject({ type: 'manifest', documents: 2 });
    expect(sound.findings).toEqual(numbers.map((number) => `same ${documentKey(id(number))}`));
    expect(sound.exitCode).toBe(0);
    expect(emptied.findings).toEqual(numbers.map((number) => `lost ${documentKey(id(number))}`));
  });

  it('writes a single file after a root manifest, and names it in the first line', async () => {
    const world = await worldWithRoots();
    const root = world.lineOf(newest);

    await world.run({ manifest: 'bucket' });

    const [written = ''] = world
      .keys()
      .filter((key) => key.startsWith('manifests/20261124T120000Z/manifest-'));
    const [first, ...rest] = world.bucket.text(written).split('\n');
    expect(`${first}\n`).toBe(formatLine(root));
    expect(rest).toHaveLength(7);
    expect((await world.run()).findings).toEqual([]);
  });

  it('accepts the SHA-256 of a root as --expect-manifest, and not that of a stretch file', async () => {
    const world = await worldWithRoots();
    const stretch = stretchManifestKey(stamps[1], { from: '', before: '4' });

    const expected = await world.run({ expectManifest: world.lineOf(newest).sha256 });
    const unexpected = await world.run({ expectManifest: world.lineOf(stretch).sha256 });
    for (const key of world.keys()) if (key.includes(stamps[1])) world.bucket.objects.delete(key);
    const removed = await world.run({ expectManifest: sha256('gone') });

    expect(expected.findings).toEqual([]);
    expect(unexpected.findings).toEqual(['manifest-removed manifests/']);
    expect(removed.findings).toEqual(['manifest-removed manifests/']);
  });

  it('has no finding for the stretch files of a run that wrote no root', async () => {
    const world = await worldWithRoots();
    for (const key of [newest, tagManifestKey(stamps[1])]) world.bucket.objects.delete(key);

    expect((await world.run()).findings).toEqual([]);
  });

  it('reports each file of a root manifest that is removed, altered, hidden or overwritten', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 5 }),
        fc.uniqueArray(fc.constantFrom('2', '4', '50', '8', 'b'), { maxLength: 4 }),
        fc.nat(9),
        fc.constantFrom('removed', 'flipped', 'cut off', 'emptied', 'lengthened', 'hidden', 'overwritten'),
        async (ids, bounds, which, how) => {
          const named = ids.toSorted((a, b) => a - b);
          const world = startWorld(named);
          for (const stamp of stamps) await world.writeRoot(stamp, named, bounds.toSorted());
          const files = world.keys().filter((key) => key.startsWith('manifests/') && !key.includes('/tag'));
          const key = files[which % files.length] ?? '';
          const text = world.bucket.text(key);
          // An empty file has nothing to flip or to cut off.
          fc.pre(text !== '' || !['flipped', 'cut off', 'emptied'].includes(how));
          if (how === 'removed') world.bucket.objects.delete(key);
          else if (how === 'hidden') world.bucket.versioned.delete(key);
          else if (how === 'overwritten') world.bucket.put(key, text, noon);
          else {
            const altered = {
              flipped: text.replace(/^./, (digit) => (digit === '0' ? '1' : '0')),
              'cut off': text.slice(0, -40),
              emptied: '',
              lengthened: `${text}${sha256('x')}  documents/${id(9)}\n`,
            }[how];
            world.replace(key, altered, noon);
          }

          const { findings } = await world.run();

          const codes: Record<string, string> = {
            removed: 'manifest-removed',
            hidden: 'hidden',
            overwritten: 'overwritten',
          };
          expect(findings).toEqual([`${codes[how] ?? 'manifest-altered'} ${key}`]);
        },
      ),
      { numRuns: propertyRuns(200) },
    );
  });

  it('reports a root manifest with reordered, repeated or overlapping stretches that agrees with its tag file', async () => {
    const world = await worldWithRoots();
    const [predecessor = '', ...lines] = world.bucket.text(newest).trimEnd().split('\n');
    const [one = '', two = '', three = ''] = lines;
    const wide = stretchManifestKey(stamps[1], { from: '3', before: '8' });
    world.bucket.put(
      wide,
      world.bucket.text(stretchManifestKey(stamps[1], { from: '4', before: '8' })),
      noon,
    );
    const ofOther = formatLine(world.lineOf(stretchManifestKey(stamps[0], { from: '4', before: '8' })));

    const found: string[][] = [];
    for (const forged of [
      [two, one, three],
      [one, one, two, three],
      [one, formatLine(world.lineOf(wide)).trimEnd(), three],
      [one, ofOther.trimEnd(), three],
    ]) {
      world.rewrite(newest, [predecessor, ...forged]);
      found.push((await world.run()).findings);
    }

    for (const findings of found) expect(findings).toEqual([`manifest-altered ${newest}`]);
  });

  it('reports a stretch file with documents of another stretch that agrees with its root', async () => {
    const world = await worldWithRoots();
    const [first, second] = [
      stretchManifestKey(stamps[1], { from: '', before: '4' }),
      stretchManifestKey(stamps[1], { from: '4', before: '8' }),
    ];
    const moved = world.bucket.text(first) + world.bucket.text(second);
    world.replace(first, moved, noon);
    world.replace(second, '', noon);
    const [predecessor = '', , , third = ''] = world.bucket.text(newest).split('\n');
    const lines = [first, second].map((key) => formatLine(world.lineOf(key)).trimEnd());
    world.rewrite(newest, [predecessor, ...lines, third]);

    expect((await world.run()).findings).toEqual([`manifest-altered ${newest}`]);
  });

  it('reports the documents that a root manifest leaves out, document by document or by a whole stretch', async () => {
    const world = startWorld(numbers);
    await world.writeRoot(stamps[0], numbers);
    await world.writeRoot(stamps[1], [1, 9]);
    const one = await world.run();
    const [predecessor = '', , second = '', third = ''] = world.bucket.text(newest).split('\n');
    world.rewrite(newest, [predecessor, second, third]);

    const both = await world.run();

    const omitted = (number: number) => `manifest-differs ${documentKey(id(number))}`;
    expect(one.findings).toEqual([omitted(5)]);
    expect(one.details.get(omitted(5))).toBe(`${newest} leaves out what ${older} states`);
    expect(both.findings).toEqual([omitted(1), omitted(5)]);
  });

  it('compares documents with the digests in a root manifest', async () => {
    const world = await worldWithRoots();
    for (const key of [documentKey(id(5)), receiptKey(id(5))]) world.bucket.objects.delete(key);
    world.replace(documentKey(id(9)), 'document X', noon);

    const { findings } = await world.run({ telnyx: false });

    expect(problemsAmong(findings)).toEqual([
      `checksum-differs ${documentKey(id(9))}`,
      `lost ${documentKey(id(5))}`,
    ]);
  });
});

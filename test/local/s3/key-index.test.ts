import { mkdir, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import { compareUtf8, KeyIndex } from '../../../local/s3/key-index.ts';
import { collected } from '../../collected.ts';
import { propertyRuns } from '../../fuzz-runs.ts';
import { temporaryDirectory } from './fixture.ts';

const readdir = vi.hoisted(() => vi.fn());
vi.mock('node:fs/promises', async (importOriginal) => {
  const original = await importOriginal<typeof import('node:fs/promises')>();
  readdir.mockImplementation(original.readdir);
  return { ...original, readdir };
});

async function write(root: string, key: string): Promise<void> {
  await mkdir(dirname(join(root, key)), { recursive: true });
  await writeFile(join(root, key), key);
}

test('compareUtf8 orders strings by their UTF-8 bytes', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'grapheme' }), (a, b) => {
      expect(Math.sign(compareUtf8(a, b))).toBe(Buffer.compare(Buffer.from(a), Buffer.from(b)));
    }),
  );
  expect(compareUtf8('\u{1F600}', '\uFFFD')).toBeGreaterThan(0);
});

test('lists the keys of any tree of files in the order of S3, for any prefix and start', async () => {
  // Names that sort before or after the slash, and around surrogates.
  const name = fc.constantFrom('a', 'a!', 'a.txt', 'a0', 'b', 'Z', 'é', '\uFFFD', '\u{1F600}', 'ab');
  const key = fc.array(name, { minLength: 1, maxLength: 3 }).map((segments) => segments.join('/'));
  const bound = fc.oneof(
    key,
    key.map((text) => `${text}/`),
    fc.constant(''),
    fc.constantFrom('a', 'a/', 'a0', 'zz'),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(key, { maxLength: 15 }),
      bound,
      bound,
      async (candidates, prefix, after) => {
        // A disk cannot hold both `a` and `a/b`.
        const keys = candidates.filter((one) => !candidates.some((other) => other.startsWith(`${one}/`)));
        const root = await temporaryDirectory();
        for (const one of keys) await write(root, one);
        await write(root, '.s3/metadata/hidden');

        const listed = await collected(new KeyIndex(root, '.s3').keys(prefix, after));

        const expected = keys
          .filter((one) => one.startsWith(prefix))
          .map((one) => Buffer.from(one))
          .filter((one) => Buffer.compare(one, Buffer.from(after)) > 0)
          .sort(Buffer.compare)
          .map(String);
        expect(listed).toEqual(expected);
      },
    ),
    { numRuns: propertyRuns(150) },
  );
});

test('lists files immediately after they are added or removed by hand', async () => {
  const root = await temporaryDirectory();
  const index = new KeyIndex(root, '.s3');
  await write(root, 'documents/a');
  expect(await collected(index.keys('', ''))).toEqual(['documents/a']);

  await write(root, 'documents/b');
  await rm(join(root, 'documents/a'));

  expect(await collected(index.keys('', ''))).toEqual(['documents/b']);
});

test('notices a change that leaves the modification time of the directory unchanged', async () => {
  const root = await temporaryDirectory();
  const index = new KeyIndex(root, '.s3');
  await write(root, 'a');
  // Truncate to milliseconds, so that the same timestamp can be set again.
  const { mtime } = await stat(root);
  await utimes(root, mtime, mtime);
  await collected(index.keys('', ''));

  await write(root, 'b');
  await utimes(root, mtime, mtime);

  expect(await collected(index.keys('', ''))).toEqual(['a', 'b']);
});

test('reads an unchanged directory once, until it changes', async () => {
  const root = await temporaryDirectory();
  const index = new KeyIndex(root, '.s3');
  await write(root, 'a');
  const longAgo = Date.now() / 1000 - 60;
  await utimes(root, longAgo, longAgo);
  readdir.mockClear();

  await collected(index.keys('', ''));
  await collected(index.keys('', ''));
  const readsBeforeChange = readdir.mock.calls.length;
  await write(root, 'b');
  const afterChange = await collected(index.keys('', ''));

  expect(readsBeforeChange).toBe(1);
  expect(afterChange).toEqual(['a', 'b']);
});

test('lists no keys when the directory does not exist', async () => {
  const root = await temporaryDirectory();

  expect(await collected(new KeyIndex(join(root, 'missing'), '.s3').keys('', ''))).toEqual([]);
});

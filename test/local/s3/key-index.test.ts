import { once } from 'node:events';
import { mkdir, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { expect, onTestFinished, test, vi } from 'vitest';
import { compareUtf8, KeyIndex, unlistedFiles } from '../../../local/s3/key-index.ts';
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

test('yields every file that is not in the listing, and no other', async () => {
  const root = await temporaryDirectory();
  const raw = (path: string) => Buffer.concat([Buffer.from(`${root}/`), Buffer.from(path, 'latin1')]);
  for (const key of ['documents/a', 'documents/caf\u{e9}', '\uFFFD', '.s3/metadata/x'])
    await write(root, key);
  await writeFile(raw('documents/caf\xe9'), 'x');
  await mkdir(raw('b\xff'));
  await writeFile(raw('b\xff/c'), 'x');
  await writeFile(raw('.s3/\xff'), 'x');
  await symlink('a', join(root, 'documents/link'));
  await symlink('documents', join(root, 'receipts'));
  const server = createServer().listen(join(root, 'socket'));
  onTestFinished(() => void server.close());
  await once(server, 'listening');

  const unlisted = await collected(unlistedFiles(root, '.s3'));
  const listed = await collected(new KeyIndex(root, '.s3').keys('', ''));

  expect(unlisted.toSorted((a, b) => compareUtf8(a.path, b.path))).toEqual([
    { path: 'b\\xff/', reason: 'its name is not UTF-8' },
    { path: 'documents/caf\\xe9', reason: 'its name is not UTF-8' },
    { path: 'documents/link', reason: 'a symbolic link' },
    { path: 'receipts', reason: 'a symbolic link' },
    { path: 'socket', reason: 'not a regular file' },
  ]);
  expect(listed).toEqual(['documents/a', 'documents/caf\u{e9}', '\uFFFD']);
});

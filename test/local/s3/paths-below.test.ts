import { mkdir, readdir, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import { makeFolder, makeFolderBelow, openBelow, statBelow } from '../../../local/s3/paths-below.ts';
import { temporaryDirectory } from './fixture.ts';

/** Code with which `mkdir` fails for this name. */
const mkdirFails = vi.hoisted(() => new Map<string, string>());
vi.mock('node:fs/promises', async (importOriginal) => {
  const original = await importOriginal<typeof import('node:fs/promises')>();
  const failing = async (...args: Parameters<typeof original.mkdir>) => {
    const code = mkdirFails.get(String(args[0]).replace(/.*\//, ''));
    if (code !== undefined) throw Object.assign(new Error(`${code}: failed`), { code });
    return original.mkdir(...args);
  };
  return { ...original, mkdir: failing };
});
afterEach(() => mkdirFails.clear());

test('makeFolder creates missing folders for their owner only and accepts existing ones', async () => {
  const root = await temporaryDirectory();

  await makeFolder(join(root, 'a/b'));
  await makeFolder(join(root, 'a/b'));

  expect((await stat(join(root, 'a'))).mode & 0o777).toBe(0o700);
  expect((await stat(join(root, 'a/b'))).mode & 0o777).toBe(0o700);
});

test.each(['EROFS', 'ENOSPC', 'ENOENT'])(
  'makeFolder throws the error of the file system: %s',
  async (code) => {
    const root = await temporaryDirectory();
    mkdirFails.set('b', code);

    await expect(makeFolder(join(root, 'a/b'))).rejects.toMatchObject({ code });
  },
);

test('makeFolder accepts a link to a folder, but no file and no dangling link', async () => {
  const root = await temporaryDirectory();
  await mkdir(join(root, 'real'));
  await writeFile(join(root, 'file'), '');
  await symlink(join(root, 'real'), join(root, 'linked'));
  await symlink(join(root, 'missing'), join(root, 'dangling'));

  await makeFolder(join(root, 'linked/below'));

  expect(await readdir(join(root, 'real'))).toEqual(['below']);
  for (const name of ['file', 'dangling']) {
    await expect(makeFolder(join(root, name))).rejects.toMatchObject({ code: 'EEXIST' });
  }
});

test('makeFolderBelow follows no link, and says so', async () => {
  const [victim, root] = [await temporaryDirectory(), await temporaryDirectory()];
  await symlink(victim, join(root, 'linked'));
  await writeFile(join(root, 'file'), '');

  await expect(makeFolderBelow(root, 'linked/a')).rejects.toThrow('linked is a symbolic link; not followed.');
  await expect(makeFolderBelow(root, 'file/a')).rejects.toThrow('file is not a folder.');
  expect(await readdir(victim)).toEqual([]);
});

test('follows a link at the end of a path only on request, and never one in the path', async () => {
  const [elsewhere, root] = [await temporaryDirectory(), await temporaryDirectory()];
  await writeFile(join(elsewhere, 'file'), 'text');
  await symlink(join(elsewhere, 'file'), join(root, 'last'));
  await symlink(elsewhere, join(root, 'inner'));

  const handle = await openBelow(root, 'last', true);
  const text = await handle?.readFile('utf8');
  await handle?.close();

  expect(text).toBe('text');
  expect((await statBelow(root, 'last', true))?.isFile()).toBe(true);
  expect((await statBelow(root, 'last'))?.isSymbolicLink()).toBe(true);
  expect(await openBelow(root, 'last')).toBeUndefined();
  expect(await openBelow(root, 'inner/file', true)).toBeUndefined();
  expect(await statBelow(root, 'inner/file', true)).toBeUndefined();
});

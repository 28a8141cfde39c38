import { execFileSync } from 'node:child_process';
import { mkdir, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import { makeFolder, UntrustedFolder } from '../../../local/s3/untrusted-folder.ts';
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

test('UntrustedFolder follows no link to a folder', async () => {
  const [victim, root] = [await temporaryDirectory(), await temporaryDirectory()];
  await writeFile(join(victim, 'file'), 'text');
  await symlink(victim, join(root, 'linked'));
  await writeFile(join(root, 'file'), '');
  const folder = new UntrustedFolder(root);

  await expect(folder.makeFolder('linked/a')).rejects.toThrow('linked is a symbolic link; not followed.');
  await expect(folder.makeFolder('file/a')).rejects.toThrow('file is not a folder.');
  expect(await folder.stat('linked/file')).toBeUndefined();
  expect(await folder.open('linked/file')).toBeUndefined();
  expect(await readdir(victim)).toEqual(['file']);
});

test('UntrustedFolder follows a link to a file only if it is told to', async () => {
  const [elsewhere, root] = [await temporaryDirectory(), await temporaryDirectory()];
  await writeFile(join(elsewhere, 'file'), 'text');
  await symlink(join(elsewhere, 'file'), join(root, 'file'));
  await symlink(elsewhere, join(root, 'inner'));
  const following = new UntrustedFolder(root, true);

  const opened = await following.open('file');
  const text = await opened?.handle.readFile('utf8');
  await opened?.handle.close();

  expect(text).toBe('text');
  expect((await following.stat('file'))?.isFile()).toBe(true);
  expect(await following.open('inner/file')).toBeUndefined();
  expect((await new UntrustedFolder(root).stat('file'))?.isSymbolicLink()).toBe(true);
  expect(await new UntrustedFolder(root).open('file')).toBeUndefined();
});

test('UntrustedFolder opens regular files only, and does not wait for a pipe', async () => {
  const root = await temporaryDirectory();
  await mkdir(join(root, 'folder'));
  execFileSync('mkfifo', [join(root, 'pipe')]);
  const folder = new UntrustedFolder(root);

  for (const path of ['folder', 'pipe', 'missing', 'x'.repeat(300)]) {
    expect(await folder.open(path)).toBeUndefined();
  }
});

test('UntrustedFolder creates a folder again that was removed', async () => {
  const root = join(await temporaryDirectory(), 'root');
  const folder = new UntrustedFolder(root);
  await folder.makeFolder('a/b');
  await rm(root, { recursive: true });

  await folder.makeFolder('a/b');

  expect((await folder.stat('a/b'))?.isDirectory()).toBe(true);
});

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { lockArchive } from '../../local/archive-lock.ts';
import { privateFolder } from '../../local/s3/object-key.ts';

const lockFile = new URL('../../local/archive-lock.ts', import.meta.url);

async function newArchive(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'archive-lock-test-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

it('is not granted twice, and granted again after its release', async () => {
  const archive = await newArchive();
  const release = await lockArchive(archive);
  expect(release).toBeDefined();

  expect(await lockArchive(archive)).toBeUndefined();
  release?.();

  const again = await lockArchive(archive);
  expect(again).toBeDefined();
  again?.();
});

it('is held by another process until that is killed', async () => {
  const archive = await newArchive();
  const script = `
    const { lockArchive } = await import(${JSON.stringify(lockFile)});
    const release = await lockArchive(${JSON.stringify(archive)});
    console.log(typeof release);
    setInterval(() => release.name, 1_000);`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const [line] = await once(child.stdout, 'data');
  expect(String(line)).toBe('function\n');

  expect(await lockArchive(archive)).toBeUndefined();
  child.kill('SIGKILL');
  await once(child, 'exit');

  const release = await lockArchive(archive);
  expect(release).toBeDefined();
  release?.();
});

it('is granted to one of many at once', async () => {
  const archive = await newArchive();

  const granted = await Promise.all(Array.from({ length: 20 }, () => lockArchive(archive)));

  expect(granted.filter((release) => release !== undefined)).toHaveLength(1);
  for (const release of granted) release?.();
});

it('leaves an empty file that only the owner can read', async () => {
  const archive = await newArchive();
  const release = await lockArchive(archive);
  release?.();

  const { size, mode } = await stat(join(archive, privateFolder, 'stack.lock'));

  expect(size).toBe(0);
  expect(mode & 0o777).toBe(0o600);
});

it.each(['a symbolic link', 'a file with content'])('is refused where its file is %s', async (what) => {
  const archive = await newArchive();
  const elsewhere = join(archive, 'elsewhere');
  await mkdir(join(archive, privateFolder));
  const path = join(archive, privateFolder, 'stack.lock');
  if (what === 'a symbolic link') await symlink(elsewhere, path);
  else await writeFile(path, 'SQLite format 3');

  await expect(lockArchive(archive)).rejects.toThrow('stack.lock is not an empty file. Remove it');

  await expect(readFile(elsewhere)).rejects.toThrow('ENOENT');
});

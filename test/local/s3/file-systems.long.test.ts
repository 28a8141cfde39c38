/** `npm start` as a process on file systems that lack hard links, or whose disk fails. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { someBytes } from '../../archive/world.ts';
import { temporaryDirectory } from './fixture.ts';

const main = new URL('../../../local/main.ts', import.meta.url).pathname;

/** Starts `npm start -- --once` in a process in which each `link` fails with this code. */
function startWhereLinkFails(code: string, archive: string, documents: string) {
  const preload = `
    import fs from 'node:fs';
    import { syncBuiltinESMExports } from 'node:module';
    fs.promises.link = async () => { throw Object.assign(new Error('${code}: failed, link'), { code: '${code}' }); };
    syncBuiltinESMExports();`;
  const child: ChildProcess = spawn(
    process.execPath,
    [
      '--import',
      `data:text/javascript,${encodeURIComponent(preload)}`,
      main,
      '--once',
      '--archive',
      archive,
      '--documents',
      documents,
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  onTestFinished(() => void child.kill('SIGKILL'));
  let errors = '';
  let output = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    errors += chunk;
  });
  child.stdout?.on('data', (chunk: Buffer) => {
    output += chunk;
  });
  const exitCode = new Promise<number | null>((resolve) => child.on('close', resolve));
  return { child, exitCode, errors: () => errors, output: () => output };
}

async function newDocuments(count: number): Promise<{ folder: string; hashes: string[] }> {
  const folder = await temporaryDirectory();
  const hashes: string[] = [];
  for (let i = 0; i < count; i += 1) {
    const bytes = Buffer.concat([Buffer.from(`${i} `), someBytes(1_000 + i * 500)]);
    await writeFile(join(folder, `${i}.bin`), bytes);
    hashes.push(hashOf(bytes));
  }
  return { folder, hashes };
}

const hashOf = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

async function archivedHashes(archive: string): Promise<string[]> {
  const folder = join(archive, 'documents');
  const names = await readdir(folder);
  return Promise.all(names.map(async (name) => hashOf(await readFile(join(folder, name)))));
}

test('archives every document exactly without hard links, also after a kill in the middle', async () => {
  const archive = await temporaryDirectory();
  const { folder, hashes } = await newDocuments(150);
  const killed = startWhereLinkFails('EPERM', archive, folder);
  await mkdir(join(archive, 'documents'), { recursive: true });
  await vi.waitFor(
    async () => expect((await readdir(join(archive, 'documents'))).length).toBeGreaterThan(10),
    { timeout: 60_000, interval: 5 },
  );
  killed.child.kill('SIGKILL');
  await killed.exitCode;

  const afterKill = await archivedHashes(archive);
  const second = startWhereLinkFails('EPERM', archive, folder);
  const exitCode = await second.exitCode;

  // A part of a document would have a hash that no document has.
  expect(afterKill.filter((hash) => !hashes.includes(hash))).toEqual([]);
  expect(afterKill.length).toBeLessThan(150);
  expect(exitCode, second.errors()).toBe(0);
  expect((await archivedHashes(archive)).sort()).toEqual(hashes.sort());
  expect(await readdir(join(archive, 'receipts'))).toHaveLength(150);
  expect(await readdir(join(archive, '.s3/uploads'))).toEqual([]);
});

test('stops at once with exit code 2 and the reason when the disk is full', async () => {
  const archive = await temporaryDirectory();
  const { folder } = await newDocuments(3);

  const run = startWhereLinkFails('ENOSPC', archive, folder);

  expect(await run.exitCode).toBe(2);
  expect(run.errors()).toContain(`Cannot write to ${archive}: the disk is full (ENOSPC).`);
  // The functions see only that the S3 fails, and would say that its permissions are wrong.
  expect(run.output()).not.toContain('BucketUnavailable');
});

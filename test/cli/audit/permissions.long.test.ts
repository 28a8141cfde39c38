/** The audit of a folder that this user may not read, as a process: root may read everything, so it runs as nobody. */
import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { documentKey, receiptKey } from '../../../functions/bucket/keys.ts';
import { documentOf, receiptOf, written } from '../../fakes/documents.ts';

const ids = [1, 2].map((digit) => `6e0c8a55-2d0b-4bb0-9d6a-0a6c1e5d7f0${digit}`);
const archiver = join(import.meta.dirname, '../../../cli/archiver.ts');
const nobody = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};

async function newArchive(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'audit-permissions-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  for (const name of ['documents', 'receipts']) await mkdir(join(folder, name));
  for (const id of ids) {
    const archived = documentOf(id, Buffer.from('some bytes'));
    await writeFile(join(folder, documentKey(id)), archived.body);
    await writeFile(join(folder, receiptKey(id)), written(receiptOf(archived)));
  }
  await chmod(folder, 0o755);
  return folder;
}

function auditAsNobody(folder: string) {
  const environment = { PATH: process.env.PATH, TMPDIR: tmpdir() };
  return new Promise<{ exitCode: number; stdout: string; stderr: string }>((resolve) => {
    execFile(
      process.execPath,
      [archiver, 'audit', '--local', folder],
      { ...nobody, env: environment },
      (error, stdout, stderr) => resolve({ exitCode: error ? Number(error.code) : 0, stdout, stderr }),
    );
  });
}

it.each(['.', 'receipts'])('exits with 2 and the reason if the folder %s cannot be read', async (name) => {
  const folder = await newArchive();
  await chmod(join(folder, name), 0o000);
  onTestFinished(() => chmod(join(folder, name), 0o755));

  const { exitCode, stderr, stdout } = await auditAsNobody(folder);

  expect(stderr).toMatch(
    new RegExp(`EACCES: permission denied, (open|scandir|lstat) '${join(folder, name)}`),
  );
  expect(stdout).not.toContain('No problems');
  expect(exitCode).toBe(2);
});

it('exits with 2 and the reason if no document can be read', async () => {
  const folder = await newArchive();
  for (const id of ids) await chmod(join(folder, receiptKey(id)), 0o000);

  const { exitCode, stderr, stdout } = await auditAsNobody(folder);

  expect(stderr).toMatch(
    /None of the 2 documents could be read\. EACCES: permission denied, open '.*\/receipts\//,
  );
  expect(stdout).not.toContain('No problems');
  expect(exitCode).toBe(2);
});

it('exits with 3 and names the document if only one document cannot be read', async () => {
  const folder = await newArchive();
  await chmod(join(folder, documentKey(ids[0] ?? '')), 0o000);

  const { exitCode, stdout } = await auditAsNobody(folder);

  expect(stdout).toContain(`! ${documentKey(ids[0] ?? '')}  unreadable: EACCES: permission denied, open '`);
  expect(exitCode).toBe(3);
});

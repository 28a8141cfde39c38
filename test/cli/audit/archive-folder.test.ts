/** The audit of a folder: what the listings of the local S3 do not show. */
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { localArchive } from '../../../cli/target/local-archive.ts';
import { documentKey, receiptKey } from '../../../functions/bucket/keys.ts';
import { systemTime as time } from '../../../functions/time.ts';
import { ArchiveFolder } from '../../../local/s3/archive-folder.ts';
import { documentOf, receiptOf, written } from '../../fakes/documents.ts';
import { createWorld } from './world.ts';

const id = '6e0c8a55-2d0b-4bb0-9d6a-0a6c1e5d7f01';

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'audit-folder-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** A copy of an archive with one document, as from a backup. */
async function newArchive(): Promise<string> {
  const folder = await newFolder();
  const archived = documentOf(id, Buffer.from('some bytes'));
  await mkdir(join(folder, 'documents'));
  await mkdir(join(folder, 'receipts'));
  await writeFile(join(folder, documentKey(id)), archived.body);
  await writeFile(join(folder, receiptKey(id)), written(receiptOf(archived)));
  return folder;
}

async function auditFolder(folder: string) {
  const target = await localArchive({ folder, environment: {}, time });
  onTestFinished(() => target.close());
  return createWorld({ time }).run({}, undefined, target);
}

describe('audit --local', () => {
  it('fails for an empty folder, and for one that contains an archive instead of being one', async () => {
    const empty = await newFolder();
    const parent = await newFolder();
    await mkdir(join(parent, 'archive/receipts'), { recursive: true });

    for (const folder of [empty, parent]) {
      await expect(auditFolder(folder)).rejects.toThrow(
        `There is no archive in ${folder}: it contains none of`,
      );
    }
  });

  it('says that an archive without documents is empty', async () => {
    const folder = await newFolder();
    await mkdir(join(folder, '.s3'));

    const { exitCode, printed } = await auditFolder(folder);

    expect(exitCode).toBe(0);
    expect(printed).toContain('\nThe archive is empty; not compared with Telnyx.\n');
  });

  it('reports files that cannot be objects: links, and names that are not UTF-8', async () => {
    const folder = await newArchive();
    await writeFile(Buffer.concat([Buffer.from(`${folder}/documents/caf`), Buffer.of(0xe9)]), 'x');
    await symlink('/etc/hostname', join(folder, 'documents/link'));

    const { exitCode, findings, details } = await auditFolder(folder);

    expect(exitCode).toBe(1);
    expect(findings).toEqual(['foreign documents/caf\\xe9', 'foreign documents/link']);
    expect([...details.values()].sort()).toEqual([
      'a symbolic link, so it is not an object of the archive',
      'its name is not UTF-8, so it is not an object of the archive',
    ]);
  });

  it('gives local advice, with the names of the files to restore', async () => {
    const folder = await newArchive();
    await rm(join(folder, documentKey(id)));

    const { printed } = await auditFolder(folder);

    expect(printed.replace(/\s+/g, ' ')).toContain(`\`${folder}/${documentKey(id)}\` from a backup.`);
    expect(printed).not.toContain('aws ');
    // Only a path makes a line longer than a terminal.
    for (const line of printed.split('\n')) if (line.length > 80) expect(line.trim()).toMatch(/^`\S+`$/);
  });
});

it('ArchiveFolder states why a file cannot be opened, and nothing for files that are missing or fine', async () => {
  const folder = await newArchive();
  const looping = '6e0c8a55-2d0b-4bb0-9d6a-0a6c1e5d7f02';
  await symlink(looping, join(folder, documentKey(looping)));

  expect(await new ArchiveFolder(folder).openError(looping)).toMatch(
    /^ELOOP: .*documents\/6e0c8a55-2d0b-4bb0-9d6a-0a6c1e5d7f02'$/,
  );
  expect(await new ArchiveFolder(folder).openError(id)).toBeUndefined();
  expect(await new ArchiveFolder(folder).openError('6e0c8a55-2d0b-4bb0-9d6a-0a6c1e5d7f03')).toBeUndefined();
});

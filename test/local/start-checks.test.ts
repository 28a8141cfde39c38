import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { checkFolders, openLogFile } from '../../local/start-checks.ts';
import { newFolder } from '../cli/world.ts';

/** A folder with the folders `documents/letters` and `apart`, and the symbolic link `link` to `documents`. */
async function someFolders(): Promise<(path: string) => string> {
  const root = await newFolder();
  await mkdir(join(root, 'documents/letters'), { recursive: true });
  await mkdir(join(root, 'apart'));
  await symlink(join(root, 'documents'), join(root, 'link'));
  return (path) => join(root, path);
}

describe('checkFolders', () => {
  it.each([
    ['apart', 'documents'],
    ['not-yet/there', 'documents'],
    ['documents-archive', 'documents'],
    ['apart', 'link'],
  ])('accepts the archive %s and the documents %s', async (archive, documents) => {
    const at = await someFolders();

    expect(await checkFolders({ archive: at(archive), documents: at(documents) })).toEqual({
      archive: at(archive),
      documents: at('documents'),
    });
  });

  it.each([
    ['documents', 'documents'],
    ['documents/letters', 'documents'],
    ['documents/not-yet/there', 'documents'],
    ['link', 'documents'],
    ['link/not-yet', 'documents'],
    ['documents/letters', 'link'],
    ['link/letters/../not-yet', 'documents'],
  ])('refuses the archive %s, which is inside the documents %s', async (archive, documents) => {
    const at = await someFolders();

    await expect(checkFolders({ archive: at(archive), documents: at(documents) })).rejects.toThrow(
      '--archive is inside --documents',
    );
  });

  it.each([
    ['documents', 'documents/letters'],
    ['link', 'documents/letters'],
    ['documents', 'link/letters'],
    ['.', 'documents'],
  ])('refuses the archive %s, which holds the documents %s', async (archive, documents) => {
    const at = await someFolders();

    await expect(checkFolders({ archive: at(archive), documents: at(documents) })).rejects.toThrow(
      '--documents is inside --archive',
    );
  });

  it('refuses a log inside the documents, where each line would make a new document', async () => {
    const at = await someFolders();

    await expect(
      checkFolders({ archive: at('apart'), documents: at('documents'), log: at('link/log.txt') }),
    ).rejects.toThrow('--log is inside --documents');
  });

  it.each(['missing', 'file'])('refuses documents that are a %s', async (name) => {
    const at = await someFolders();
    await writeFile(at('file'), '');

    await expect(checkFolders({ archive: at('apart'), documents: at(name) })).rejects.toThrow(
      `--documents ${at(name)}: folder not found.`,
    );
  });
});

describe('openLogFile', () => {
  it('appends each line at once', async () => {
    const path = join(await newFolder(), 'log');
    await writeFile(path, 'before\n');

    openLogFile(path, () => undefined)('{"a":1}');

    expect(await readFile(path, 'utf8')).toBe('before\n{"a":1}\n');
  });

  it('throws one line for a folder that does not exist', async () => {
    const path = join(await newFolder(), 'missing/log');

    expect(() => openLogFile(path, () => undefined)).toThrow(`--log ${path}: ENOENT`);
  });

  it('reports once that the disk is full', () => {
    const onError = vi.fn();
    const write = openLogFile('/dev/full', onError);

    write('a');
    write('b');

    expect(onError).toHaveBeenCalledOnce();
    expect(onError.mock.calls[0]?.[0]).toMatchObject({ code: 'ENOSPC' });
  });
});

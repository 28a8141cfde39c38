import { appendFile, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { exportDocuments } from '../../cli/commands/export.ts';
import { newFolder, runOn, startArchive } from './world.ts';

/** An archive of these files, with nothing running on it any more. */
async function archiveOf(files: Record<string, string>) {
  const { archive, archiveAll, stop, ids } = await startArchive(files);
  await archiveAll();
  const documentIds = ids();
  await stop();
  const folder = join(await newFolder(), 'restored');
  const restore = (options: Partial<Parameters<typeof exportDocuments>[0]> = {}, signal?: AbortSignal) =>
    runOn(archive, (s) => exportDocuments({ folder, ...options }, s), signal ? { signal } : {});
  return { archive, folder, restore, documentIds };
}

async function filesIn(folder: string): Promise<Record<string, string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile() && entry.name !== 'export.jsonl');
  return Object.fromEntries(
    await Promise.all(
      files.map(
        async ({ parentPath, name }) => [name, await readFile(join(parentPath, name), 'utf8')] as const,
      ),
    ),
  );
}

const files = { 'a.txt': 'a', 'Ä b.txt': 'b', 'empty.txt': '', 'sub/a.txt': 'another a' };

describe('archiver export', () => {
  it('restores every document under its day and name, without anything running', async () => {
    const { folder, restore } = await archiveOf(files);

    const told = await restore();

    expect(told).toMatchObject({ exitCode: 0, records: [{ exported: 4, failed: 0 }] });
    expect(Object.values(await filesIn(folder)).sort()).toEqual(['', 'a', 'another a', 'b']);
    const today = new Date().toISOString().slice(0, 4);
    expect(await readdir(folder)).toEqual([today, 'export.jsonl']);
  });

  it('fetches nothing twice, and again what was changed, is missing or cut off', async () => {
    const { folder, restore } = await archiveOf(files);
    await restore();
    const path = JSON.parse((await readFile(join(folder, 'export.jsonl'), 'utf8')).split('\n')[0] ?? '').path;

    const second = await restore();
    await appendFile(join(folder, 'export.jsonl'), '{"documentId":"5a3b');
    await writeFile(join(folder, path), 'of another length');
    const third = await restore();
    const fourth = await restore({ verify: true });

    expect(second.records).toMatchObject([{ exported: 0, wereThere: 4 }]);
    expect(third.records).toMatchObject([{ exported: 1, wereThere: 3, failed: 0 }]);
    expect(fourth.records).toMatchObject([{ exported: 0, wereThere: 4 }]);
    // Whoever wrote into the file keeps it.
    expect(await readFile(join(folder, path), 'utf8')).toBe('of another length');
    expect(Object.values(await filesIn(folder)).sort()).toEqual(
      ['', 'a', 'another a', 'b', 'of another length'].sort(),
    );
  });

  it('writes no file whose bytes are not those of the receipt', async () => {
    const { archive, folder, restore, documentIds } = await archiveOf(files);
    const [broken = ''] = documentIds;
    const object = join(archive, 'documents', broken);
    await writeFile(object, `${await readFile(object, 'utf8')}!`);

    const told = await restore();

    expect(told.exitCode).toBe(1);
    expect(told.records).toContainEqual(
      expect.objectContaining({
        type: 'failed',
        documentId: broken,
        reason: expect.stringContaining('ChecksumMismatch'),
      }),
    );
    expect(Object.keys(await filesIn(folder))).toHaveLength(3);
  });

  it('restores those that are named, and those of a time', async () => {
    const { restore, documentIds, folder } = await archiveOf(files);
    const [one = ''] = documentIds;
    const list = join(await newFolder(), 'ids');
    await writeFile(list, `${one}\n5a3b1e00-0000-4000-8000-0000000000ff\n`);

    const named = await restore({ ids: list });
    const none = await restore({ folder: `${folder}-none`, until: '2000-01-01' });

    expect(named.exitCode).toBe(1);
    expect(named.records).toMatchObject([{ type: 'failed' }, { exported: 1, failed: 1 }]);
    expect(none.records).toMatchObject([{ exported: 0, failed: 0 }]);
  });

  it('stops at Ctrl-C with nothing half written', async () => {
    const { restore, folder } = await archiveOf(files);
    const interrupt = new AbortController();
    interrupt.abort(new Error('Stopped.'));

    await expect(restore({}, interrupt.signal)).rejects.toThrow('Stopped.');

    expect(await filesIn(folder)).toEqual({});
  });
});

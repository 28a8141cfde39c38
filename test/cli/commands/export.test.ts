import { appendFile, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { exportDocuments } from '../../../cli/commands/export.ts';
import { newFolder, runOn, startArchive } from '../world.ts';

/** An archive of these files, whose stack has been stopped. */
async function archiveOf(files: Record<string, string>) {
  const { archive, archiveAll, stop, ids } = await startArchive(files);
  await archiveAll();
  const documentIds = ids();
  await stop();
  const folder = join(await newFolder(), 'export');
  const runExport = (options: Partial<Parameters<typeof exportDocuments>[0]> = {}, signal?: AbortSignal) =>
    runOn(archive, (context) => exportDocuments({ folder, ...options }, context), signal ? { signal } : {});
  return { archive, folder, runExport, documentIds };
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
  it('exports every document to a folder of its day without a running stack', async () => {
    const { folder, runExport } = await archiveOf(files);

    const result = await runExport();

    expect(result).toMatchObject({ exitCode: 0, records: [{ exported: 4, failed: 0 }] });
    expect(Object.values(await filesIn(folder)).sort()).toEqual(['', 'a', 'another a', 'b']);
    const today = new Date().toISOString().slice(0, 4);
    expect(await readdir(folder)).toEqual([today, 'export.jsonl']);
  });

  it('skips exported files and exports a document again when its file was changed', async () => {
    const { folder, runExport } = await archiveOf(files);
    await runExport();
    const path = JSON.parse((await readFile(join(folder, 'export.jsonl'), 'utf8')).split('\n')[0] ?? '').path;

    const second = await runExport();
    await appendFile(join(folder, 'export.jsonl'), '{"documentId":"5a3b');
    await writeFile(join(folder, path), 'of another length');
    const third = await runExport();
    const fourth = await runExport({ verify: true });

    expect(second.records).toMatchObject([{ exported: 0, alreadyThere: 4 }]);
    expect(third.records).toMatchObject([{ exported: 1, alreadyThere: 3, failed: 0 }]);
    expect(fourth.records).toMatchObject([{ exported: 0, alreadyThere: 4 }]);
    // The changed file is kept.
    expect(await readFile(join(folder, path), 'utf8')).toBe('of another length');
    expect(Object.values(await filesIn(folder)).sort()).toEqual(
      ['', 'a', 'another a', 'b', 'of another length'].sort(),
    );
  });

  it('fails and writes no file when the object does not match its receipt', async () => {
    const { archive, folder, runExport, documentIds } = await archiveOf(files);
    const [broken = ''] = documentIds;
    const object = join(archive, 'documents', broken);
    await writeFile(object, `${await readFile(object, 'utf8')}!`);

    const result = await runExport();

    expect(result.exitCode).toBe(1);
    expect(result.records).toContainEqual(
      expect.objectContaining({
        type: 'failed',
        documentId: broken,
        reason: expect.stringContaining('ChecksumMismatch'),
      }),
    );
    expect(Object.keys(await filesIn(folder))).toHaveLength(3);
  });

  it('exports only the documents of --ids or before --until', async () => {
    const { runExport, documentIds, folder } = await archiveOf(files);
    const [one = ''] = documentIds;
    const list = join(await newFolder(), 'ids');
    await writeFile(list, `${one}\n5a3b1e00-0000-4000-8000-0000000000ff\n`);

    const named = await runExport({ ids: list });
    const none = await runExport({ folder: `${folder}-none`, until: '2000-01-01' });

    expect(named.exitCode).toBe(1);
    expect(named.records).toMatchObject([{ type: 'failed' }, { exported: 1, failed: 1 }]);
    expect(none.records).toMatchObject([{ exported: 0, failed: 0 }]);
  });

  it('leaves no partial file on Ctrl-C', async () => {
    const { runExport, folder } = await archiveOf(files);
    const interrupt = new AbortController();
    interrupt.abort(new Error('Stopped.'));

    await expect(runExport({}, interrupt.signal)).rejects.toThrow('Stopped.');

    expect(await filesIn(folder)).toEqual({});
  });
});

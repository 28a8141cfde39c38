import { appendFile, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { exportDocuments } from '../../../cli/commands/export.ts';
import { newFolder, runOn, startArchive } from '../world.ts';

/** Code with which a write of this text to the export folder fails; reset after each test. */
const writeFails = vi.hoisted(() => new Map<string, string>());
vi.mock('node:fs/promises', async (importOriginal) => {
  const original = await importOriginal<typeof import('node:fs/promises')>();
  const open = async (...args: Parameters<typeof original.open>) => {
    const handle = await original.open(...args);
    if (!String(args[0]).includes('/.export-')) return handle;
    const write = handle.writeFile.bind(handle);
    handle.writeFile = async (data, options) => {
      const code = writeFails.get(String(data));
      if (code !== undefined) throw Object.assign(new Error(`${code}: failed, write`), { code });
      await write(data, options);
    };
    return handle;
  };
  return { ...original, open };
});
afterEach(() => writeFails.clear());

/** An archive of these files, whose stack has been stopped. */
async function archiveOf(files: Record<string, string>, customerReference = '') {
  const { archive, archiveAll, stop, ids, stack } = await startArchive(files);
  for (const document of stack.standIn?.documents.all() ?? []) document.customerReference = customerReference;
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
    expect(none.noted).toBe('None of 4 archived documents was uploaded in this period.\n');
    expect(none.exitCode).toBe(0);
  });

  it('refuses to export into the archive, whose next audit would report the files', async () => {
    const { archive, runExport } = await archiveOf({ 'a.txt': 'a' });

    await expect(runExport({ folder: join(archive, 'export') })).rejects.toThrow(
      'The export folder is inside the archive.',
    );

    expect(await readdir(archive)).not.toContain('export');
  });

  it('refuses a folder that is not an archive', async () => {
    const archive = await newFolder();

    const exported = runOn(archive, (context) =>
      exportDocuments({ folder: join(archive, '..', 'never-created') }, context),
    );

    await expect(exported).rejects.toThrow(`There is no archive in ${archive}`);
  });

  it('lists file name and customer reference in the journal and with a failure', async () => {
    const { runExport, folder } = await archiveOf({ 'a.txt': 'a', 'b.txt': 'b' }, 'PO-4711\u001b[2J');
    writeFails.set('b', 'EFBIG');

    const result = await runExport();

    const lines = (await readFile(join(folder, 'export.jsonl'), 'utf8')).trim().split('\n');
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([
      { fileName: 'a.txt', customerReference: 'PO-4711\u001b[2J' },
    ]);
    expect(result.records).toContainEqual(
      expect.objectContaining({
        type: 'failed',
        fileName: 'b.txt',
        customerReference: 'PO-4711\u001b[2J',
        reason: expect.stringContaining('the file is too large for this file system (EFBIG)'),
      }),
    );
    expect(result.printed).toContain('b.txt · PO-4711\\u{1b}[2J');
  });

  it('exports all other documents when one cannot be written', async () => {
    const { runExport, folder } = await archiveOf(files);
    writeFails.set('another a', 'EFBIG');

    const result = await runExport();

    expect(result.exitCode).toBe(1);
    expect(Object.values(await filesIn(folder)).sort()).toEqual(['', 'a', 'b']);
  });

  it('stops at once when the disk is full, and shows how far it came', async () => {
    const { runExport } = await archiveOf(files);
    writeFails.set('another a', 'ENOSPC');

    await expect(runExport()).rejects.toThrow(/^Cannot write to .*: the disk is full \(ENOSPC\)\.$/);
  });

  it('skips damaged lines of the journal and compares their documents again', async () => {
    const { runExport, folder } = await archiveOf(files);
    await runExport();
    const journal = join(folder, 'export.jsonl');
    const [first = '', ...rest] = (await readFile(journal, 'utf8')).split('\n');
    await writeFile(journal, `${'\0'.repeat(first.length)}\n\n${rest.join('\n')}`);

    const result = await runExport();

    expect(result).toMatchObject({ exitCode: 0, records: [{ exported: 1, alreadyThere: 3, failed: 0 }] });
    expect(result.noted).toContain('1 line of export.jsonl is not valid and was ignored.');
    expect(Object.keys(await filesIn(folder))).toHaveLength(4);
  });

  it('writes nothing outside the folder for a journal that names a path outside', async () => {
    const { runExport, folder } = await archiveOf({ 'a.txt': 'a' });
    await runExport();
    const journal = join(folder, 'export.jsonl');
    const entry = JSON.parse(await readFile(journal, 'utf8'));
    await writeFile(journal, `${JSON.stringify({ ...entry, path: '../outside/2026/a.txt' })}\n`);

    const result = await runExport();

    expect(result.exitCode).toBe(0);
    expect(await readdir(join(folder, '..'))).toEqual(['export']);
  });

  it('leaves no partial file on Ctrl-C', async () => {
    const { runExport, folder } = await archiveOf(files);
    const interrupt = new AbortController();
    interrupt.abort(new Error('Stopped.'));

    await expect(runExport({}, interrupt.signal)).rejects.toThrow('Stopped.');

    expect(await filesIn(folder)).toEqual({});
  });
});

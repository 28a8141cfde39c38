import { execFileSync } from 'node:child_process';
import { constants } from 'node:fs';
import { appendFile, open, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { type Exported, openJournal } from '../../../cli/export/journal.ts';
import { ExportPaths } from '../../../cli/export/paths.ts';
import { DiskError } from '../../../local/s3/file-errors.ts';
import { propertyRuns } from '../../fuzz-runs.ts';
import { newFolder } from '../world.ts';

/** Code with which a step on the journal fails, if it does; reset after each test. */
const disk = vi.hoisted(() => ({ fails: new Map<'lstat' | 'readFile' | 'appendFile' | 'open', string>() }));
/** Journals that have been opened and not closed. */
const openHandles = vi.hoisted(() => new Set<object>());
vi.mock('node:fs/promises', async (importOriginal) => {
  const original = await importOriginal<typeof import('node:fs/promises')>();
  const fail = async (step: Parameters<typeof disk.fails.get>[0]) => {
    const code = disk.fails.get(step);
    if (code !== undefined) throw Object.assign(new Error(`${code}: failed`), { code });
  };
  const open = async (...args: Parameters<typeof original.open>) => {
    await fail('open');
    const handle = await original.open(...args);
    openHandles.add(handle);
    for (const step of ['readFile', 'appendFile'] as const) {
      const act = handle[step].bind(handle) as (...args: never[]) => Promise<never>;
      Object.assign(handle, { [step]: async (...args: never[]) => (await fail(step)) ?? act(...args) });
    }
    const close = handle.close.bind(handle);
    handle.close = async () => {
      openHandles.delete(handle);
      await close();
    };
    return handle;
  };
  const lstat = async (path: string) => (await fail('lstat')) ?? original.lstat(path);
  return { ...original, open, lstat };
});
afterEach(() => {
  disk.fails.clear();
  openHandles.clear();
});

const entryOf = (n: number, path = `2026/11/23/letter ${n}.pdf`): Exported => ({
  documentId: `5a3b1e00-0000-4000-8000-00000000000${n}`,
  path,
  bytes: n,
  sha256: String(n).repeat(64),
});

describe('openJournal', () => {
  it('reads the entries of earlier runs, with file name and customer reference', async () => {
    const folder = await newFolder();
    const named = { ...entryOf(1), fileName: 'letter\u2028 1.pdf', customerReference: 'PO-4711\n' };
    const first = await openJournal(folder);
    await first.add(named);
    await first.add(entryOf(2));
    await first.close();

    const second = await openJournal(folder);

    expect([...second.entries.values()]).toEqual([named, entryOf(2)]);
    expect(second.invalidLines).toBe(0);
    expect(second.paths.claim('2026/11/23/LETTER 1.pdf')).toBe(false);
  });

  it.each([
    ['NULs', '\0'.repeat(4096)],
    ['a blank line', '\n \n'],
    ['half a line', '{"documentId":"5a3b'],
    ['JSON of another kind', '[1]\nnull\n"text"\n3'],
    ['bytes that are not UTF-8', Buffer.from([0xff, 0xfe, 0x00, 0x80])],
  ])('skips %s and loses no entry before or after', async (_, garbage) => {
    const folder = await newFolder();
    const first = await openJournal(folder);
    await first.add(entryOf(1));
    await first.close();
    await appendFile(join(folder, 'export.jsonl'), garbage);

    const second = await openJournal(folder);
    await second.add(entryOf(2));
    await second.close();
    const third = await openJournal(folder);

    expect([...second.entries.keys()]).toEqual([entryOf(1).documentId]);
    expect([...third.entries.values()]).toEqual([entryOf(1), entryOf(2)]);
  });

  it('keeps a valid last line that has no line end', async () => {
    const folder = await newFolder();
    await writeFile(join(folder, 'export.jsonl'), JSON.stringify(entryOf(1)));

    const journal = await openJournal(folder);
    await journal.add(entryOf(2));
    await journal.close();

    expect([...(await openJournal(folder)).entries.keys()]).toHaveLength(2);
  });

  it.each([
    '../outside.pdf',
    '/etc/passwd',
    '2026/11/23/../../../../outside.pdf',
    '2026/11/23/..',
    '2026/11/23/.bashrc',
    '2026/11/23/a/b.pdf',
    '2026/11/23/..\\..\\outside.pdf',
    'C:\\outside.pdf',
    '2026/11/23/a:stream',
    '2026/11/23/a\0b',
    'export.jsonl',
  ])('ignores an entry with the path %j', async (path) => {
    const folder = await newFolder();
    await writeFile(
      join(folder, 'export.jsonl'),
      `${JSON.stringify(entryOf(1, path))}\n${JSON.stringify(entryOf(2))}\n`,
    );

    const journal = await openJournal(folder);

    expect([...journal.entries.keys()]).toEqual([entryOf(2).documentId]);
    expect(journal.invalidLines).toBe(1);
  });

  it.each([
    { documentId: '../5a3b' },
    { documentId: 7 },
    { bytes: -1 },
    { bytes: '1' },
    { sha256: 'x' },
    { fileName: 7 },
  ])('ignores an entry with %j', async (wrong) => {
    const folder = await newFolder();
    await writeFile(join(folder, 'export.jsonl'), `${JSON.stringify({ ...entryOf(1), ...wrong })}\n`);

    expect((await openJournal(folder)).entries.size).toBe(0);
  });

  it('accepts every path that an export chooses', async () => {
    const folder = await newFolder();
    const paths = new ExportPaths();
    const ids = new Map<string, string>();
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 300 }), fc.uuid(), (fileName, id) => {
        if (!ids.has(id)) ids.set(id, paths.choose({ id, fileName, at: Date.parse('2026-11-23') }));
      }),
      { numRuns: propertyRuns(300) },
    );
    const lines = [...ids].map(([id, path]) => JSON.stringify({ ...entryOf(1, path), documentId: id }));
    await writeFile(join(folder, 'export.jsonl'), `${lines.join('\n')}\n`);

    const journal = await openJournal(folder);

    expect(journal.entries.size).toBe(ids.size);
  });

  it('neither reads nor writes through a symbolic link', async () => {
    const [victim, folder] = [await newFolder(), await newFolder()];
    await writeFile(join(victim, 'file'), `${JSON.stringify(entryOf(1))}\nmine`);
    await symlink(join(victim, 'file'), join(folder, 'export.jsonl'));

    await expect(openJournal(folder)).rejects.toThrow('is not a regular file');

    expect(await readFile(join(victim, 'file'), 'utf8')).toMatch(/mine$/);
  });

  it('does not follow a link that appears after the journal was read', async () => {
    const [victim, folder] = [await newFolder(), await newFolder()];
    await writeFile(join(victim, 'file'), 'mine');
    const journal = await openJournal(folder);
    await symlink(join(victim, 'file'), join(folder, 'export.jsonl'));

    await expect(journal.add(entryOf(1))).rejects.toThrow();
    await journal.close();

    expect(await readFile(join(victim, 'file'), 'utf8')).toBe('mine');
  });

  it('creates the journal for its owner only, with the first entry', async () => {
    const folder = await newFolder();
    const journal = await openJournal(folder);
    const before = await stat(join(folder, 'export.jsonl')).catch(() => undefined);
    await journal.add(entryOf(1));
    await journal.close();

    expect(before).toBeUndefined();
    expect((await stat(join(folder, 'export.jsonl'))).mode & 0o777).toBe(0o600);
  });

  it.each([
    ['EACCES', 'permission denied'],
    ['ENOSPC', 'the disk is full'],
  ])('reports %s of an added entry as an error of the disk', async (code, reason) => {
    const folder = await newFolder();
    const journal = await openJournal(folder);
    disk.fails.set('appendFile', code);

    const error = await journal.add(entryOf(1)).catch((thrown: unknown) => thrown);
    await journal.close();

    expect(error).toBeInstanceOf(DiskError);
    expect(error).toMatchObject({ message: `Cannot write to ${folder}: ${reason} (${code}).` });
    expect(openHandles.size).toBe(0);
  });

  it('keeps what another export has added since it was read', async () => {
    const folder = await newFolder();
    const journal = await openJournal(folder);
    await writeFile(join(folder, 'export.jsonl'), `${JSON.stringify(entryOf(2))}\n`);

    await journal.add(entryOf(1));
    await journal.close();

    const { entries } = await openJournal(folder);
    expect([...entries.values()]).toEqual([entryOf(2), entryOf(1)]);
  });

  it('passes over lines of blanks', async () => {
    const folder = await newFolder();
    await writeFile(join(folder, 'export.jsonl'), ` \t\n\n${JSON.stringify(entryOf(1))}\n`);

    expect(await openJournal(folder)).toMatchObject({ invalidLines: 0 });
  });

  it('is closed without an entry, and is not created then', async () => {
    const folder = await newFolder();

    await (await openJournal(folder)).close();

    expect(await readdir(folder)).toEqual([]);
  });

  it('is closed without an error when it could not be opened for an entry', async () => {
    const journal = await openJournal(await newFolder());
    disk.fails.set('open', 'EROFS');

    await expect(journal.add(entryOf(1))).rejects.toThrow('the file system is read-only (EROFS).');

    await expect(journal.close()).resolves.toBeUndefined();
  });

  it.each([
    ['readFile', 'EIO', 'the disk reports an input/output error (EIO).'],
    ['readFile', 'EBUSY', 'EBUSY: failed'],
  ] as const)('fails instead of starting anew when %s fails with %s', async (step, code, message) => {
    const folder = await newFolder();
    await writeFile(join(folder, 'export.jsonl'), `${JSON.stringify(entryOf(1))}\n`);
    disk.fails.set(step, code);

    await expect(openJournal(folder)).rejects.toThrow(message);

    expect(openHandles.size).toBe(0);
  });

  it('fails when it cannot tell whether there is a journal', async () => {
    const folder = await newFolder();
    disk.fails.set('lstat', 'EACCES');

    await expect(openJournal(folder)).rejects.toThrow('EACCES: failed');
  });

  it('writes to no pipe that appears after the journal was read', async () => {
    const folder = await newFolder();
    const journal = await openJournal(folder);
    execFileSync('mkfifo', [join(folder, 'export.jsonl')]);
    const reader = await open(join(folder, 'export.jsonl'), constants.O_RDONLY | constants.O_NONBLOCK);

    await expect(journal.add(entryOf(1))).rejects.toThrow(
      `${join(folder, 'export.jsonl')} is not a regular file. Remove it, or export to another folder.`,
    );

    await reader.close();
    expect(openHandles.size).toBe(0);
  });
});

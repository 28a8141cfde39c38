import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, readlink, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { FileError, openExportFolder } from '../../../cli/export/folder.ts';
import type { Exported } from '../../../cli/export/journal.ts';
import { ExportPaths } from '../../../cli/export/paths.ts';
import { DiskError } from '../../../local/s3/file-errors.ts';
import { filesBelow } from '../../local/s3/fixture.ts';
import { newFolder } from '../world.ts';

/** What the file system of the test does differently; reset after each test. */
const disk = vi.hoisted(() => ({
  hasLinks: true,
  /** Longest name in bytes. */
  maxName: 255,
  /** Code with which each write to a new file fails. */
  writeFails: undefined as string | undefined,
  /** Files that have been opened and not closed. */
  open: new Set<object>(),
  /** The error with which a step fails, if it does. */
  fails: (_step: 'mkdir' | 'link' | 'read' | 'sync', _path: string): Error | undefined => undefined,
  /** Replaces `rename`. */
  rename: undefined as ((from: string, to: string) => Promise<void>) | undefined,
}));
const failure = vi.hoisted(() => (code: string) => Object.assign(new Error(`${code}: failed`), { code }));
vi.mock('node:fs/promises', async (importOriginal) => {
  const original = await importOriginal<typeof import('node:fs/promises')>();
  const checkName = (path: string) => {
    if (Buffer.byteLength(path.slice(path.lastIndexOf('/') + 1)) > disk.maxName)
      throw failure('ENAMETOOLONG');
  };
  const fail = (step: Parameters<typeof disk.fails>[0], path: string) => {
    const error = disk.fails(step, path);
    if (error) throw error;
  };
  const mkdir = async (...args: Parameters<typeof original.mkdir>) => {
    fail('mkdir', String(args[0]));
    return original.mkdir(...args);
  };
  const link = async (from: string, to: string) => {
    checkName(to);
    fail('link', to);
    if (!disk.hasLinks) throw failure('EPERM');
    await original.link(from, to);
  };
  const open = async (...args: Parameters<typeof original.open>) => {
    checkName(String(args[0]));
    if (typeof args[1] === 'number') fail('read', String(args[0]));
    const handle = await original.open(...args);
    const { writeFails } = disk;
    const close = handle.close.bind(handle);
    disk.open.add(handle);
    handle.close = async () => {
      disk.open.delete(handle);
      await close();
    };
    const sync = handle.sync.bind(handle);
    handle.sync = async () => {
      fail('sync', String(args[0]));
      await sync();
    };
    if (writeFails !== undefined && args[1] === 'wx')
      handle.writeFile = () => Promise.reject(failure(writeFails));
    return handle;
  };
  const rename = (from: string, to: string) => (disk.rename ?? original.rename)(from, to);
  return { ...original, mkdir, link, open, rename };
});
afterEach(() => {
  expect(disk.open.size).toBe(0);
  Object.assign(disk, {
    hasLinks: true,
    maxName: 255,
    writeFails: undefined,
    fails: () => undefined,
    rename: undefined,
  });
});

const documentId = '5a3b1e00-0000-4000-8000-000000000001';
const never = new AbortController().signal;

function documentOf(text: string, path = '2026/11/23/letter.pdf'): Exported {
  const sha256 = createHash('sha256').update(text).digest('hex');
  return { documentId, path, bytes: Buffer.byteLength(text), sha256 };
}

/** Exports one document as the command does. @returns its path */
async function add(folder: string, text: string, path = '2026/11/23/letter.pdf'): Promise<string> {
  const opened = await openExportFolder(folder);
  try {
    const { part } = await opened.receive(Readable.from([Buffer.from(text)]), path, never);
    const paths = new ExportPaths();
    paths.claim(path);
    const published = await opened.publish(part, documentOf(text, path), paths);
    await opened.discard(part);
    return published;
  } finally {
    await opened.close();
  }
}

describe.each([
  ['with', true],
  ['without', false],
] as const)('an export folder on a file system %s hard links', (_, hasLinks) => {
  it('writes the file and nothing else', async () => {
    disk.hasLinks = hasLinks;
    const folder = await newFolder();

    await add(folder, 'text');

    expect(await filesBelow(folder)).toEqual(['2026/11/23/letter.pdf']);
    expect(await readFile(join(folder, '2026/11/23/letter.pdf'), 'utf8')).toBe('text');
  });

  it('never replaces a file, and uses the document ID instead', async () => {
    disk.hasLinks = hasLinks;
    const folder = await newFolder();
    await mkdir(join(folder, '2026/11/23'), { recursive: true });
    await writeFile(join(folder, '2026/11/23/letter.pdf'), 'mine');

    const path = await add(folder, 'text');

    expect(path).toBe(`2026/11/23/${documentId} letter.pdf`);
    expect(await readFile(join(folder, path), 'utf8')).toBe('text');
    expect(await readFile(join(folder, '2026/11/23/letter.pdf'), 'utf8')).toBe('mine');
  });

  it('keeps the file of an interrupted run if it is complete', async () => {
    disk.hasLinks = hasLinks;
    const folder = await newFolder();
    await add(folder, 'text');

    expect(await add(folder, 'text')).toBe('2026/11/23/letter.pdf');
    expect(await filesBelow(folder)).toHaveLength(1);
  });

  it('uses the document ID where the file system does not allow so long a name', async () => {
    disk.hasLinks = hasLinks;
    disk.maxName = 143;
    const folder = await newFolder();

    const path = await add(folder, 'text', `2026/11/23/${'x'.repeat(150)}.pdf`);

    expect(path).toBe(`2026/11/23/${documentId}.pdf`);
    expect(await filesBelow(folder)).toEqual([path]);
  });

  it('creates folders and files for their owner only', async () => {
    disk.hasLinks = hasLinks;
    const folder = join(await newFolder(), 'export');

    await add(folder, 'text');

    for (const entry of ['', ...(await readdir(folder, { recursive: true }))]) {
      const found = await stat(join(folder, entry));
      expect([entry, (found.mode & 0o777).toString(8)]).toEqual([entry, found.isFile() ? '600' : '700']);
    }
  });
});

describe('an export folder', () => {
  it.each([
    ['', async () => undefined],
    [' and the name is gone', (target: string) => rm(target)],
  ])('leaves no reserved name behind when the file cannot be moved to it%s', async (_what, before) => {
    disk.hasLinks = false;
    disk.rename = async (_from, to) => {
      await before(to);
      throw failure('ENOSPC');
    };
    const folder = await newFolder();

    await expect(add(folder, 'text')).rejects.toThrow('the disk is full');

    expect(await filesBelow(folder)).toEqual([]);
  });

  it.each([
    ['ENOSPC', 'the disk is full'],
    ['EDQUOT', 'the disk quota is used up'],
    ['EROFS', 'the file system is read-only'],
    ['EIO', 'the disk reports an input/output error'],
  ])('reports %s as an error of the disk and leaves no file', async (code, reason) => {
    disk.writeFails = code;
    const folder = await newFolder();

    const error = await add(folder, 'text').catch((thrown: unknown) => thrown);

    expect(error).toBeInstanceOf(DiskError);
    expect(error).toMatchObject({ message: `Cannot write to ${folder}: ${reason} (${code}).` });
    expect(await filesBelow(folder)).toEqual([]);
  });

  it('reports a file that is too large for the file system as an error of this file', async () => {
    disk.writeFails = 'EFBIG';
    const folder = await newFolder();

    const error = await add(folder, 'text').catch((thrown: unknown) => thrown);

    expect(error).toBeInstanceOf(FileError);
    expect(error).toMatchObject({
      message: 'Cannot write 2026/11/23/letter.pdf: the file is too large for this file system (EFBIG).',
      cause: { code: 'EFBIG' },
    });
  });

  it.each([
    ['the same bytes', 'text', true, true],
    ['other bytes', 'next', false, true],
    ['fewer bytes', 'tex', false, false],
  ])(
    'is complete with a file of %s if they are verified, or their number is right',
    async (_what, content, verified, unverified) => {
      const folder = await newFolder();
      await writeFile(join(folder, 'letter.pdf'), content);
      const opened = await openExportFolder(folder);

      const isComplete = (verify: boolean) => opened.isComplete('letter.pdf', documentOf('text'), verify);

      expect([await isComplete(true), await isComplete(false)]).toEqual([verified, unverified]);
    },
  );

  it('is refused when a file has its name', async () => {
    const file = join(await newFolder(), 'file');
    await writeFile(file, 'mine');

    await expect(openExportFolder(file)).rejects.toThrow(`${file} is not a folder.`);
    await expect(openExportFolder(join(file, 'below'))).rejects.toThrow('below is not a folder.');
  });

  it('is refused with the reason when it cannot be created', async () => {
    const folder = join(await newFolder(), 'export');
    disk.fails = (step) => (step === 'mkdir' ? failure('EACCES') : undefined);

    const error = await openExportFolder(folder).catch((thrown: unknown) => thrown);

    expect(error).toBeInstanceOf(DiskError);
    expect(error).toMatchObject({ message: `Cannot write to ${folder}: permission denied (EACCES).` });
  });

  it.each([
    [failure('EACCES'), 'permission denied (EACCES)'],
    [failure('EPERM'), 'permission denied (EPERM)'],
    [failure('EIO'), 'the disk reports an input/output error (EIO)'],
    [failure('EBUSY'), 'EBUSY'],
    [new Error('x'), 'unexpected error'],
  ])('names the file that cannot be read, and the reason of %s', async (cause, reason) => {
    const folder = await newFolder();
    const opened = await openExportFolder(folder);
    disk.fails = (step) => (step === 'read' ? cause : undefined);

    const error = await opened.isComplete('letter.pdf', documentOf('text'), true).catch((thrown) => thrown);

    expect(error).toBeInstanceOf(FileError);
    expect(error).toMatchObject({ name: 'FileError', message: `Cannot read letter.pdf: ${reason}.`, cause });
  });

  it.each([
    ['link', 'EMLINK', FileError, 'Cannot write 2026/11/23/letter.pdf: EMLINK.'],
    ['link', 'EIO', DiskError, 'the disk reports an input/output error (EIO).'],
    ['sync', 'EIO', DiskError, 'the disk reports an input/output error (EIO).'],
    ['sync', 'EINVAL', FileError, 'Cannot write 2026/11/23/letter.pdf: EINVAL.'],
  ] as const)('reports a failed %s with %s and leaves no file', async (step, code, type, message) => {
    const folder = await newFolder();
    disk.fails = (failing, path) =>
      failing === step && (step === 'sync' || path.includes('letter')) ? failure(code) : undefined;

    const error = await add(folder, 'text').catch((thrown: unknown) => thrown);

    expect(error).toBeInstanceOf(type);
    expect(error).toMatchObject({ message: expect.stringContaining(message) });
    disk.fails = () => undefined;
    expect((await filesBelow(folder)).filter((path) => !path.startsWith('.export-'))).toEqual([]);
  });

  it.each(['ENAMETOOLONG', 'EILSEQ', 'EINVAL'])(
    'uses the document ID where the file system answers a name with %s',
    async (code) => {
      const folder = await newFolder();
      disk.fails = (step, path) => (step === 'link' && path.includes('letter') ? failure(code) : undefined);

      expect(await add(folder, 'text')).toBe(`2026/11/23/${documentId}.pdf`);
    },
  );

  it('refuses a document when other files have its name and those with its ID', async () => {
    const folder = await newFolder();
    await mkdir(join(folder, '2026/11/23'), { recursive: true });
    const taken = ['letter.pdf', `${documentId} letter.pdf`, `${documentId}.pdf`, documentId];
    for (const name of taken) await writeFile(join(folder, '2026/11/23', name), 'mine');

    const error = await add(folder, 'text').catch((thrown: unknown) => thrown);

    expect(error).toBeInstanceOf(FileError);
    expect(error).toMatchObject({
      message: 'Cannot write 2026/11/23/letter.pdf: other files have this name and the document ID.',
    });
    for (const name of taken) expect(await readFile(join(folder, '2026/11/23', name), 'utf8')).toBe('mine');
  });

  it('leaves a path alone that belongs to another document', async () => {
    const folder = await newFolder();
    await mkdir(join(folder, '2026/11/23'), { recursive: true });
    await writeFile(join(folder, '2026/11/23/letter.pdf'), 'mine');
    const opened = await openExportFolder(folder);
    const paths = new ExportPaths();
    paths.claim(`2026/11/23/${documentId} letter.pdf`);

    const { part } = await opened.receive(Readable.from([Buffer.from('text')]), 'letter.pdf', never);

    expect(await opened.publish(part, documentOf('text'), paths)).toBe(`2026/11/23/${documentId}.pdf`);
    await opened.close();
  });

  it('is closed without an error after its disk refused everything', async () => {
    const folder = await newFolder();
    const opened = await openExportFolder(folder);
    disk.fails = (step) => (step === 'mkdir' ? failure('EROFS') : undefined);
    const source = Readable.from([Buffer.from('text')]);

    await expect(opened.receive(source, 'letter.pdf', never)).rejects.toThrow('the file system is read-only');
    await expect(opened.close()).resolves.toBeUndefined();

    expect(source.destroyed).toBe(true);
  });

  it('reports a folder that is in fact a file as an error of the files in it', async () => {
    const folder = await newFolder();
    await writeFile(join(folder, '2026'), 'mine');

    await expect(add(folder, 'text')).rejects.toThrow(FileError);
    expect(await add(folder, 'text', '2027/01/01/letter.pdf')).toBe('2027/01/01/letter.pdf');
  });

  it('writes nothing before the first file, and leaves nothing of one that is discarded', async () => {
    const folder = await newFolder();
    await (await openExportFolder(folder)).close();
    const untouched = await readdir(folder);
    const opened = await openExportFolder(folder);
    const chunks = [Buffer.from('te'), Buffer.from('xt')];

    const { part, sha256 } = await opened.receive(Readable.from(chunks), 'letter.pdf', never);
    const written = await readFile(part, 'utf8');
    await opened.discard(part);
    await opened.discard(part);

    expect(untouched).toEqual([]);
    expect([written, sha256]).toEqual(['text', documentOf('text').sha256]);
    expect(await filesBelow(folder)).toEqual([]);
    await opened.close();
  });

  it('stops a download and leaves no file when the signal aborts', async () => {
    const folder = await newFolder();
    const opened = await openExportFolder(folder);
    const stop = new AbortController();
    const reason = new Error('Stopped.');
    const source = Readable.from(
      (async function* () {
        yield Buffer.from('te');
        stop.abort(reason);
        yield Buffer.from('xt');
      })(),
    );

    await expect(opened.receive(source, 'letter.pdf', stop.signal)).rejects.toMatchObject({ cause: reason });

    expect(source.destroyed).toBe(true);
    expect(await filesBelow(folder)).toEqual([]);
    await opened.close();
  });

  it('throws the error of the source, even if the hidden file has been removed', async () => {
    const folder = await newFolder();
    const opened = await openExportFolder(folder);
    const source = Readable.from(
      (async function* () {
        yield Buffer.from('te');
        for (const file of await filesBelow(folder)) await rm(join(folder, file));
        throw new Error('The connection broke.');
      })(),
    );

    await expect(opened.receive(source, 'letter.pdf', never)).rejects.toThrow('The connection broke.');
    await opened.close();
  });

  it('throws the error of the source and leaves no file when the download breaks', async () => {
    const folder = await newFolder();
    const opened = await openExportFolder(folder);
    const source = Readable.from(
      (async function* () {
        yield Buffer.from('te');
        throw new Error('The connection broke.');
      })(),
    );

    await expect(opened.receive(source, 'letter.pdf', never)).rejects.toThrow('The connection broke.');
    expect(await filesBelow(folder)).toEqual([]);
    await opened.close();

    expect(await readdir(folder)).toEqual([]);
  });

  it('removes the hidden files of a killed run, but no other hidden folder', async () => {
    const folder = await newFolder();
    await mkdir(join(folder, `.export-999999999-${documentId}`));
    await writeFile(join(folder, `.export-999999999-${documentId}`, 'half'), 'ha');
    await mkdir(join(folder, '.export-mine'));

    await add(folder, 'text');

    expect((await readdir(folder)).sort()).toEqual(['.export-mine', '2026']);
  });

  it.each(['2026', '2026/11', '2026/11/23'])(
    'writes nothing through a symbolic link at %s',
    async (place) => {
      const [victim, folder] = [await newFolder(), await newFolder()];
      await mkdir(join(folder, place, '..'), { recursive: true });
      await symlink(victim, join(folder, place));

      await expect(add(folder, 'text')).rejects.toThrow(FileError);

      expect(await readdir(victim)).toEqual([]);
    },
  );

  it('neither reads nor replaces a symbolic link in the place of a file', async () => {
    const [victim, folder] = [await newFolder(), await newFolder()];
    await writeFile(join(victim, 'file'), 'text');
    await mkdir(join(folder, '2026/11/23'), { recursive: true });
    await symlink(join(victim, 'file'), join(folder, '2026/11/23/letter.pdf'));
    const opened = await openExportFolder(folder);

    const isComplete = await opened.isComplete('2026/11/23/letter.pdf', documentOf('text'), true);
    const path = await add(folder, 'text');

    expect(isComplete).toBe(false);
    expect(basename(path)).toBe(`${documentId} letter.pdf`);
    expect(await readlink(join(folder, '2026/11/23/letter.pdf'))).toBe(join(victim, 'file'));
  });
});

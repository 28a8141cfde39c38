/** `export` from a bucket in memory: every decision about a document, a file and a failure. */
import { existsSync, readdirSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { S3Client } from '@aws-sdk/client-s3';
import { Command } from 'commander';
import { describe, expect, it, vi } from 'vitest';
import { type CommandContext, UsageError } from '../../../cli/command.ts';
import { type ExportOptions, exportCommand, exportDocuments } from '../../../cli/commands/export.ts';
import type { Target } from '../../../cli/target/target.ts';
import { documentKey, holdKey, receiptKey } from '../../../functions/bucket/keys.ts';
import { createBucket } from '../../../functions/bucket/store.ts';
import { type Tombstone, tombstoneObject } from '../../../functions/bucket/tombstones.ts';
import { systemTime } from '../../../functions/time.ts';
import type { ArchiveFolder } from '../../../local/s3/archive-folder.ts';
import { DiskError } from '../../../local/s3/file-errors.ts';
import { documentOf, receiptOf, written } from '../../fakes/documents.ts';
import { MemoryBucket, sha256 } from '../../fakes/memory-bucket.ts';
import { newFolder, recordingTerminal } from '../world.ts';

const createdAt = Date.parse('2026-11-20T10:00:00Z');
const [first, second, third] = [1, 2, 3].map((n) => `5a3b1e0${n}-0000-4000-8000-000000000000`) as [
  string,
  string,
  string,
];

async function startWorld() {
  const folder = join(await newFolder(), 'restored');
  const memory = new MemoryBucket(systemTime);
  const s3 = memory as unknown as S3Client;
  const time = {
    ...systemTime,
    after: (ms: number, callback: () => void) => systemTime.after(ms / 200, callback),
  };
  const target = {
    name: 'memory',
    bucket: async () => ({
      s3,
      name: 'archive',
      bucket: createBucket({ s3, name: 'archive', time: systemTime }),
    }),
  } as unknown as Target;
  const start = async (command: (context: CommandContext) => Promise<number>, signal: AbortSignal) => {
    const { terminal, result: told } = recordingTerminal();
    let progress = '';
    /** Hidden files of the folder after the last document. */
    let hidden: string[] = [];
    const watching: typeof terminal = {
      ...terminal,
      paint: (style, text) => `<${style}>${text}`,
      progress: (describe: Parameters<typeof terminal.progress>[0]) => ({
        stop: () => {
          progress = JSON.stringify(describe());
          const paths = existsSync(folder) ? readdirSync(folder, { recursive: true, encoding: 'utf8' }) : [];
          hidden = paths.filter((path) => /^\.export-.*\/./.test(path));
        },
      }),
    };
    told.exitCode = await command({ target, terminal: watching, time, random: Math.random, signal });
    return { ...told, progress, hidden };
  };
  const { signal: never } = new AbortController();
  return {
    folder,
    memory,
    target,
    archive: (
      id: string,
      content: string,
      at = createdAt,
      names: { filename?: string; customer_reference?: string } = {},
    ) => {
      const archived = documentOf(id, Buffer.from(content), { createdAt: at });
      Object.assign(archived.record, names);
      memory.put(documentKey(id), archived.body, at);
      memory.put(receiptKey(id), written(receiptOf(archived)), at);
    },
    /** Puts the tombstone at one key or both. */
    erase: (id: string, keys = [receiptKey(id), documentKey(id)]) => {
      for (const key of keys) memory.put(key, tombstoneObject(key, tombstoneOf(id)).body, createdAt + 1);
    },
    hold: (id: string, action: 'hold' | 'release') => {
      const at = createdAt + (action === 'hold' ? 1 : 2);
      const record = { v: 1, documentId: id, action, at: new Date(at).toISOString(), by: 'local' };
      const body = JSON.stringify({ ...record, reason: 'Case 1', archiver: 'test' });
      memory.put(holdKey(id, at), body, at);
    },
    run: (options: Partial<ExportOptions> = {}, signal = never) =>
      start((context) => exportDocuments({ folder, ...options }, context), signal),
    /** Runs the command with these words after its name. */
    runTyped: (...words: string[]) => {
      const parsed = exportCommand
        .configure(new Command('export').exitOverride().configureOutput({ writeErr: () => undefined }))
        .parse(words, { from: 'user' });
      return start((context) => exportCommand.run(context, parsed), never);
    },
    /** Path below the folder → content, of all files. */
    files: async () => {
      const entries = await readdir(folder, { recursive: true, withFileTypes: true });
      const paths = entries
        .filter((entry) => entry.isFile())
        .map(({ parentPath, name }) => join(parentPath, name).slice(folder.length + 1))
        .sort();
      return Object.fromEntries(
        await Promise.all(paths.map(async (path) => [path, await readFile(join(folder, path), 'utf8')])),
      );
    },
    /** Lines of the journal, sorted by document ID: documents are downloaded side by side. */
    journal: async () =>
      (await readFile(join(folder, 'export.jsonl'), 'utf8'))
        .trimEnd()
        .split('\n')
        .sort()
        .map((line) => JSON.parse(line)),
  };
}

const tombstoneOf = (documentId: string): Tombstone => ({
  v: 1,
  state: 'erased',
  documentId,
  erasedAt: '2026-11-22T09:00:00.000Z',
  erasedBy: 'local',
  basis: 'DSR-2026-114',
  erased: {},
  archiver: 'test',
});

const dayFolder = '2026/11/20';
const lineFor = (documentId: string, path: string, content: string) => ({
  documentId,
  path,
  fileName: '5a3b.pdf',
  bytes: content.length,
  sha256: sha256(content),
});

describe('archiver export of a bucket', () => {
  it('writes every document and one journal line for each, and reports counts and bytes', async () => {
    const { archive, run, files, journal, folder } = await startWorld();
    archive(first, 'one');
    archive(second, 'second');

    const told = await run();

    expect(told.exitCode).toBe(0);
    const { 'export.jsonl': _journal, ...documents } = await files();
    // Both documents are called 5a3b.pdf at Telnyx.
    const paths = [`${dayFolder}/5a3b.pdf`, `${dayFolder}/5a3b (5a3b1e02).pdf`] as const;
    expect(documents).toEqual({ [paths[0]]: 'one', [paths[1]]: 'second' });
    expect(await journal()).toEqual([lineFor(first, paths[0], 'one'), lineFor(second, paths[1], 'second')]);
    expect(told.records).toEqual([
      { type: 'end', folder, exported: 2, alreadyThere: 0, erased: 0, failed: 0, bytes: 9, held: 0 },
    ]);
    expect(told.hidden).toEqual([]);
    expect(told.printed).toBe(`2 exported (9 B), 0 already there, 0 failed.\n${folder}\n`);
    expect(JSON.parse(told.progress)).toEqual({
      ended: 2,
      total: 2,
      text: '2 exported (9 B) · 0 already there · 0 failed',
    });
  });

  it('downloads nothing that is there already and counts it', async () => {
    const { archive, run, memory, folder } = await startWorld();
    archive(first, 'one');
    await run();
    const before = memory.requests.length;

    const told = await run();

    expect(memory.requests.slice(before).filter((request) => request.startsWith('get documents/'))).toEqual(
      [],
    );
    expect(told.records).toEqual([
      { type: 'end', folder, exported: 0, alreadyThere: 1, erased: 0, failed: 0, bytes: 0, held: 0 },
    ]);
    expect(JSON.parse(told.progress).ended).toBe(1);
  });

  it.each([
    [undefined, 1],
    [false, 1],
    [true, 2],
  ])(
    'with --verify %s, of a file of other bytes and the same length, ends with %i files',
    async (verify, count) => {
      const { archive, run, files, folder } = await startWorld();
      archive(first, 'one');
      await run();
      await writeFile(join(folder, dayFolder, '5a3b.pdf'), 'two');

      await run(verify === undefined ? {} : { verify });

      const { 'export.jsonl': _journal, ...documents } = await files();
      expect(Object.values(documents).sort()).toEqual(['one', 'two'].slice(-count));
    },
  );

  it('leaves the file of somebody else at its path, and puts the document beside it', async () => {
    const { archive, run, files, journal, folder } = await startWorld();
    archive(first, 'one');
    await mkdir(join(folder, dayFolder), { recursive: true });
    await writeFile(join(folder, dayFolder, '5a3b.pdf'), 'six');

    expect((await run()).exitCode).toBe(0);

    const beside = `${dayFolder}/${first} 5a3b.pdf`;
    const { 'export.jsonl': _journal, ...documents } = await files();
    expect(documents).toEqual({ [`${dayFolder}/5a3b.pdf`]: 'six', [beside]: 'one' });
    expect(await journal()).toEqual([lineFor(first, beside, 'one')]);
    expect((await run()).records).toMatchObject([{ exported: 0, alreadyThere: 1 }]);
  });

  it('takes the file of a run that ended before its journal line for exported', async () => {
    const { archive, run, files, journal, folder } = await startWorld();
    archive(first, 'one');
    await mkdir(join(folder, dayFolder), { recursive: true });
    await writeFile(join(folder, dayFolder, '5a3b.pdf'), 'one');

    expect((await run()).exitCode).toBe(0);

    expect(Object.keys(await files())).toEqual([`${dayFolder}/5a3b.pdf`, 'export.jsonl']);
    expect(await journal()).toEqual([lineFor(first, `${dayFolder}/5a3b.pdf`, 'one')]);
  });

  it('drops a journal line that was cut off and keeps those before it', async () => {
    const { archive, run, journal, folder } = await startWorld();
    archive(first, 'one');
    await run();
    const [line] = await journal();
    await writeFile(join(folder, 'export.jsonl'), `${JSON.stringify({ ...line, note: 'ü' })}\n{"docu`);
    archive(second, 'second');

    expect(await run()).toMatchObject({ exitCode: 0, records: [{ exported: 1, alreadyThere: 1 }] });

    expect((await journal()).map(({ documentId }) => documentId)).toEqual([first, second]);
  });

  it.each([
    ['is missing', (path: string) => rm(path)],
    ['has another length', (path: string) => writeFile(path, 'longer')],
  ])('downloads a document again whose file %s', async (_what, damage) => {
    const { archive, run, files, folder } = await startWorld();
    archive(first, 'one');
    await run();
    await damage(join(folder, dayFolder, '5a3b.pdf'));

    expect((await run()).records).toMatchObject([{ exported: 1, alreadyThere: 0 }]);

    expect(Object.values(await files())).toContain('one');
    expect((await run()).records).toMatchObject([{ exported: 0, alreadyThere: 1 }]);
  });

  it('never gives the path of an earlier run to another document', async () => {
    const { archive, run, journal } = await startWorld();
    archive(second, 'second');
    await run();
    archive(first, 'one');

    await run();

    expect((await journal()).map(({ path }) => path)).toEqual([
      `${dayFolder}/5a3b (5a3b1e01).pdf`,
      `${dayFolder}/5a3b.pdf`,
    ]);
  });

  it('exports from --since on and before --until, to the millisecond', async () => {
    const { archive, run, journal } = await startWorld();
    archive(first, 'one', createdAt);
    archive(second, 'second', createdAt + 1_000);
    archive(third, 'third', createdAt + 2_000);
    const option = (ms: number) => new Date(createdAt + ms).toISOString();

    const told = await run({ since: option(1_000), until: option(2_000) });

    expect(told.records).toMatchObject([{ exported: 1, failed: 0 }]);
    expect(JSON.parse(told.progress)).toMatchObject({ ended: 1, total: 1 });
    expect(told.noted).toBe('');
    expect((await journal()).map(({ documentId }) => documentId)).toEqual([second]);
  });

  it('takes its folder and options as they are typed', async () => {
    const { archive, runTyped, folder, files } = await startWorld();
    const list = join(await newFolder(), 'ids');
    await writeFile(list, [first, second, third].join('\n'));
    archive(first, 'one', createdAt);
    archive(second, 'second', createdAt + 1_000);
    archive(third, 'third', createdAt + 2_000);
    archive('5a3b1e04-0000-4000-8000-000000000000', 'not listed', createdAt + 1_000);
    const option = (ms: number) => new Date(createdAt + ms).toISOString();
    const words = [folder, '--since', option(1_000), '--until', option(2_000), '--ids', list, '--verify'];

    const told = await runTyped(...words);
    await writeFile(join(folder, dayFolder, '5a3b.pdf'), 'forged');
    const verified = await runTyped(...words);

    expect([told, verified].map(({ records }) => records)).toMatchObject([
      [{ exported: 1 }],
      [{ exported: 1 }],
    ]);
    expect(
      Object.values(await files())
        .slice(0, 2)
        .sort(),
    ).toEqual(['forged', 'second']);
  });

  it.each([
    [{ since: 'soon' }, /^--since soon: must be a date/],
    [{ until: 'soon' }, /^--until soon: must be a date/],
  ])('refuses %j', async (options, message) => {
    const { run } = await startWorld();

    await expect(run(options)).rejects.toThrow(message);
  });

  it('requires a folder', async () => {
    const { runTyped } = await startWorld();

    expect(() => runTyped('--verify')).toThrow("missing required argument 'folder'");
  });

  it('refuses a folder inside the archive before it writes anything', async () => {
    const { run, target, folder } = await startWorld();
    const archive = await target.bucket();
    const localFolder = { contains: async (path: string) => path === folder } as ArchiveFolder;
    target.bucket = async () => ({ ...archive, localFolder });

    await expect(run()).rejects.toThrow(
      new UsageError('The export folder is inside the archive. Pass another folder.'),
    );

    await expect(readdir(folder)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it.each([
    ['\n', '1 line of export.jsonl is not valid and was ignored. The documents are compared again.\n'],
    ['\n{\n', '2 lines of export.jsonl are not valid and were ignored. The documents are compared again.\n'],
  ])('says how many lines of its journal are not valid: {%j', async (more, note) => {
    const { archive, run, folder } = await startWorld();
    archive(first, 'one');
    await mkdir(folder);
    await writeFile(join(folder, 'export.jsonl'), `{${more}`);

    expect((await run()).noted).toBe(note);
  });

  it('says why nothing was exported', async () => {
    const { archive, run } = await startWorld();
    const list = join(await newFolder(), 'ids');
    await writeFile(list, '# none\n');

    const empty = await run();
    archive(first, 'one');
    const outside = await run({ until: '2000-01-01' });

    expect([empty, outside].map(({ exitCode, noted }) => [exitCode, noted])).toEqual([
      [1, 'Nothing was exported: memory has no receipts. Check that it is the right archive.\n'],
      [0, 'None of 1 archived document was uploaded in this period.\n'],
    ]);
    await expect(run({ ids: list })).rejects.toThrow(`${list} contains no document ID.`);
  });

  it('exports the listed IDs only, and chooses their paths in the order of the IDs', async () => {
    const { archive, run, journal } = await startWorld();
    for (const id of [first, second, third]) archive(id, id);
    const list = join(await newFolder(), 'ids');
    await writeFile(list, `${third}\n${first}\n`);

    expect((await run({ ids: list })).exitCode).toBe(0);

    expect((await journal()).map(({ documentId, path }) => [documentId, path])).toEqual([
      [first, `${dayFolder}/5a3b.pdf`],
      [third, `${dayFolder}/5a3b (5a3b1e03).pdf`],
    ]);
  });

  it('passes over keys that are not receipts of documents, and lists receipts and holds alone', async () => {
    const { archive, run, memory } = await startWorld();
    archive(first, 'one');
    memory.put('receipts/notes.txt', 'x', createdAt);

    expect((await run()).records).toMatchObject([{ exported: 1, failed: 0 }]);
    expect(memory.requests.filter((request) => request.startsWith('list'))).toEqual([
      'list holds/',
      'list receipts/',
    ]);
  });
});

describe('archiver export and erased documents', () => {
  it('exports no erased document, and counts it', async () => {
    const { archive, erase, run, files, folder } = await startWorld();
    archive(first, 'one');
    archive(second, 'second');
    erase(first);

    const told = await run();

    expect(told.exitCode).toBe(0);
    expect(Object.keys(await files())).toEqual([`${dayFolder}/5a3b.pdf`, 'export.jsonl']);
    expect(told.records).toEqual([
      { type: 'erased', documentId: first, paths: [] },
      { type: 'end', folder, exported: 1, alreadyThere: 0, erased: 1, failed: 0, bytes: 6, held: 0 },
    ]);
    expect(told.printed).toBe(`1 exported (6 B), 0 already there, 1 erased, 0 failed.\n${folder}\n`);
    expect(JSON.parse(told.progress)).toMatchObject({ ended: 2, total: 2 });
  });

  it('exports no document whose erasure has only begun', async () => {
    const { archive, erase, run } = await startWorld();
    archive(first, 'one');
    erase(first, [receiptKey(first)]);

    expect((await run()).records).toMatchObject([{ type: 'erased' }, { exported: 0, erased: 1 }]);
  });

  it('does not take an archive of erased documents alone for an empty one', async () => {
    const { archive, erase, run } = await startWorld();
    archive(first, 'one');
    erase(first);

    const told = await run({ since: '2026-11-25' });

    expect(told.exitCode).toBe(0);
    expect(told.noted).toBe('');
  });

  it('names the files of earlier exports of a document that was erased since, and deletes none', async () => {
    const { archive, erase, run, files, folder } = await startWorld();
    archive(first, 'one');
    archive(second, 'second');
    await run();
    // A changed file stays, and the document is exported beside it.
    await writeFile(join(folder, dayFolder, '5a3b.pdf'), 'changed');
    await run();
    const before = await files();
    erase(first);

    const told = await run({ since: '2026-11-25' });

    const paths = [`${dayFolder}/5a3b.pdf`, `${dayFolder}/${first} 5a3b.pdf`];
    expect(told.exitCode).toBe(0);
    expect(told.records).toContainEqual({ type: 'erased', documentId: first, paths });
    expect(told.printed).toContain(
      `\n\n<yellow>1 erased document was exported into this folder before. Delete these files and their lines in export.jsonl:\n${first}  ${paths[0]}\n${first}  ${paths[1]}\n`,
    );
    expect(told.printed).not.toContain(second);
    expect(await files()).toEqual(before);
  });

  it('names the files of several documents that were erased since', async () => {
    const { archive, erase, run } = await startWorld();
    for (const id of [first, second]) archive(id, id);
    await run();
    for (const id of [first, second]) erase(id);

    expect((await run()).printed).toContain('<yellow>2 erased documents were exported into this folder');
  });

  it('counts a document as erased that is erased while it is exported', async () => {
    const { archive, erase, run, memory, files } = await startWorld();
    archive(first, 'one');
    memory.refuse = (operation, key) => {
      if (operation === 'get' && key === documentKey(first)) erase(first);
      return undefined;
    };

    const told = await run();

    expect(told.records).toMatchObject([{ type: 'erased' }, { exported: 0, erased: 1, failed: 0 }]);
    expect(await files()).toEqual({});
  });

  it('reports a tombstone that is not valid as a failure', async () => {
    const { archive, run, memory } = await startWorld();
    archive(first, 'one');
    memory.put(receiptKey(first), JSON.stringify(tombstoneOf(first)), createdAt);

    const told = await run();

    expect(told.exitCode).toBe(1);
    expect(told.records).toMatchObject([
      { type: 'failed', reason: expect.stringContaining('Run `archiver audit`') },
      { erased: 0, failed: 1 },
    ]);
  });
});

describe('archiver export of documents selected by name', () => {
  async function startNamed() {
    const world = await startWorld();
    world.archive(first, 'one', createdAt, {
      filename: 'Rechnung M\u00c4RZ.pdf',
      customer_reference: 'PO-1',
    });
    world.archive(second, 'second', createdAt, { filename: 'Re.pdf', customer_reference: 'PO-1 ' });
    world.archive(third, 'third', createdAt, { filename: '', customer_reference: 'po-1' });
    return world;
  }

  it.each<[string, Partial<ExportOptions>, string[]]>([
    ['the exact customer reference', { reference: 'PO-1' }, ['one']],
    ['a part of the file name', { name: 'RE' }, ['one', 'second']],
    ['an umlaut written in another way', { name: 'ma\u0308rz' }, ['one']],
    ['a wildcard, which is a plain character', { name: '*' }, []],
    ['all of several options', { name: 're', reference: 'PO-1 ' }, ['second']],
    ['all of several options, one of them the period', { name: 're', until: '2026-11-20' }, []],
  ])('exports the documents that match %s', async (_what, options, contents) => {
    const { run, files } = await startNamed();

    const told = await run(options);

    expect(told.exitCode).toBe(0);
    expect(told.records).toMatchObject([{ exported: contents.length, failed: 0 }]);
    const { 'export.jsonl': _journal, ...exported } = await files();
    expect(Object.values(exported).sort()).toEqual(contents);
    expect(told.noted).toBe(
      contents.length > 0 ? '' : 'None of 3 archived documents matches these options.\n',
    );
  });

  it('takes the options as they are typed', async () => {
    const { runTyped, folder } = await startNamed();

    const told = await runTyped(folder, '--name', 're', '--reference', 'PO-1', '--receipts', '--dry-run');

    expect(told.records).toMatchObject([{ dryRun: true, exported: 1 }]);
  });

  it('counts erased documents whatever the selection, and names their files', async () => {
    const { run, erase } = await startNamed();
    await run({ receipts: true });
    erase(first);

    const told = await run({ name: 'nothing' });

    expect(told.records).toMatchObject([
      { type: 'erased', documentId: first, paths: [expect.any(String), receiptKey(first)] },
      { erased: 1, exported: 0 },
    ]);
    expect(told.printed).toContain(`${first}  ${receiptKey(first)}\n`);
  });
});

describe('archiver export --dry-run', () => {
  it('states how many documents and bytes it would export, and creates nothing', async () => {
    const { archive, erase, run, folder, memory } = await startWorld();
    archive(first, 'one');
    archive(second, 'second');
    archive(third, 'third');
    erase(third);

    const told = await run({ dryRun: true, receipts: true }).catch((error: Error) => error.message);

    expect(told).toMatchObject({
      exitCode: 0,
      records: [
        { type: 'erased', documentId: third, paths: [] },
        { folder, dryRun: true, exported: 2, alreadyThere: 0, erased: 1, failed: 0, bytes: 9 },
      ],
    });
    expect(told).toMatchObject({
      printed: expect.stringContaining('Dry run: 2 to export (9 B), 0 already there, 1 erased, 0 failed.\n'),
    });
    expect(readdirSync(join(folder, '..'))).toEqual([]);
    expect(memory.requests.filter((request) => request.startsWith('get documents/'))).toEqual([]);
  });

  it('counts what an earlier run exported as already there, and changes nothing', async () => {
    const { archive, run, files } = await startWorld();
    archive(first, 'one');
    await run();
    archive(second, 'second');
    const before = await files();

    const told = await run({ dryRun: true, receipts: true, verify: true });

    expect(told.records).toMatchObject([{ exported: 1, alreadyThere: 1, bytes: 6 }]);
    expect(await files()).toEqual(before);
  });
});

describe('archiver export --receipts', () => {
  it('writes the receipt of each document byte for byte, also of those already there', async () => {
    const { archive, run, files, memory } = await startWorld();
    archive(first, 'one');
    await run();
    archive(second, 'second');

    const told = await run({ receipts: true });
    const again = await run({ receipts: true });
    const exported = await files();

    expect(told.records).toMatchObject([{ exported: 1, alreadyThere: 1, failed: 0 }]);
    expect(again.records).toMatchObject([{ exported: 0, alreadyThere: 2, failed: 0 }]);
    for (const id of [first, second]) expect(exported[receiptKey(id)]).toBe(memory.text(receiptKey(id)));
    expect(Object.keys(exported).filter((path) => path.includes('.export-'))).toEqual([]);
  });

  it('never replaces a file that has the path of a receipt', async () => {
    const { archive, run, files, folder } = await startWorld();
    archive(first, 'one');
    archive(second, 'second');
    await mkdir(join(folder, 'receipts'), { recursive: true });
    await writeFile(join(folder, receiptKey(first)), 'of somebody else');

    const told = await run({ receipts: true });

    expect(told.exitCode).toBe(1);
    expect(told.records).toMatchObject([
      {
        type: 'failed',
        documentId: first,
        reason: `Cannot write ${receiptKey(first)}: another file has this name.`,
      },
      { exported: 1, failed: 1 },
    ]);
    expect((await files())[receiptKey(first)]).toBe('of somebody else');
  });

  it('follows no link to write a receipt', async () => {
    const { archive, run, folder } = await startWorld();
    archive(first, 'one');
    const outside = await newFolder();
    await mkdir(folder, { recursive: true });
    await symlink(outside, join(folder, 'receipts'));

    const told = await run({ receipts: true });

    expect(told.records[0]).toMatchObject({ type: 'failed', reason: expect.stringContaining('ENOTDIR') });
    expect(await readdir(outside)).toEqual([]);
  });
});

describe('archiver export and documents on hold', () => {
  it('exports them, and counts those that it exported or found', async () => {
    const { archive, hold, run } = await startWorld();
    archive(first, 'one');
    hold(first, 'hold');
    await run();
    archive(second, 'second');
    hold(second, 'hold');
    archive(third, 'third');
    hold(third, 'hold');
    hold(third, 'release');

    const told = await run();

    expect(told.records).toMatchObject([{ exported: 2, alreadyThere: 1, held: 2 }]);
    expect(told.printed).toContain('2 exported (11 B), 1 already there, 0 failed; 2 on hold.\n');
  });

  it('exports all documents, and says so, when it cannot read the records of holds', async () => {
    const { archive, hold, run, memory } = await startWorld();
    archive(first, 'one');
    hold(first, 'hold');
    memory.refuse = (operation, key) =>
      operation === 'get' && key.startsWith('holds/') ? { name: 'AccessDenied', status: 403 } : undefined;

    const told = await run();

    expect(told).toMatchObject({ exitCode: 0, records: [{ exported: 1, held: 0 }] });
    expect(told.noted).toMatch(/^Not all hold records could be read: S3 denies access/);
  });
});

describe('archiver export and documents that it cannot export', () => {
  it.each<[string, (memory: MemoryBucket) => void, string, string?]>([
    ['has no receipt', (memory) => memory.objects.delete(receiptKey(first)), 'Not archived: no receipt.', ''],
    [
      'has a receipt that is not JSON',
      (memory) => memory.put(receiptKey(first), '{', createdAt),
      'Invalid receipt: not JSON. Run `archiver audit`.',
      '',
    ],
    [
      'has no object',
      (memory) => memory.objects.delete(documentKey(first)),
      'DocumentGone: The receipt exists but the object does not. Run `archiver audit`.',
    ],
    [
      'has other bytes than its receipt says',
      (memory) => memory.put(documentKey(first), 'onf', createdAt),
      'ChecksumMismatch: The object does not match the SHA-256 in its receipt (3 bytes). Run `archiver audit --read-data`.',
    ],
  ])('goes on with the others when one %s', async (_what, damage, reason, named = '  5a3b.pdf') => {
    const { archive, run, memory, files, folder } = await startWorld();
    archive(first, 'one');
    archive(second, 'second');
    damage(memory);
    const list = join(await newFolder(), 'ids');
    await writeFile(list, `${first}\n${second}\n`);

    const told = await run({ ids: list });

    expect(told.exitCode).toBe(1);
    expect(told.records).toEqual([
      expect.objectContaining({ type: 'failed', documentId: first, reason }),
      { type: 'end', folder, exported: 1, alreadyThere: 0, erased: 0, failed: 1, bytes: 6, held: 0 },
    ]);
    expect(told.printed.split('\n')[0]).toMatch(new RegExp(`^<red>failed  ${first}${named}$`));
    expect(JSON.parse(told.progress)).toMatchObject({ ended: 2, total: 2 });
    expect(told.hidden).toEqual([]);
    expect(told.noted).toBe('');
    expect(told.printed).toContain(`        ${reason}\n`);
    expect(told.printed).toContain('1 exported (6 B), 0 already there, 1 failed.');
    expect(Object.entries(await files()).filter(([path]) => path !== 'export.jsonl')).toEqual([
      [expect.stringMatching(/\.pdf$/), 'second'],
    ]);
  });

  it('names a document that it cannot export by its file and its reference', async () => {
    const { run, memory } = await startWorld();
    const lost = documentOf(first, Buffer.from('one'), { createdAt });
    lost.record.customer_reference = 'PO-1';
    memory.put(receiptKey(first), written(receiptOf(lost)), createdAt);

    expect((await run()).printed).toContain(`<red>failed  ${first}  5a3b.pdf · PO-1\n`);
  });

  it('tries a download again while S3 fails for a while', async () => {
    const { archive, run, memory } = await startWorld();
    archive(first, 'one');
    let refusals = 3;
    memory.refuse = (operation, key) =>
      operation === 'get' && key.startsWith('documents/') && refusals-- > 0
        ? { name: 'SlowDown', status: 503 }
        : undefined;

    expect((await run()).records).toMatchObject([{ exported: 1, failed: 0 }]);
    expect(refusals).toBe(-1);
  });

  it('says what S3 denies, of each document', async () => {
    const { archive, run, memory } = await startWorld();
    archive(first, 'one');
    memory.refuse = (_operation, key) =>
      key.startsWith('documents/') ? { name: 'AccessDenied', status: 403 } : undefined;

    expect((await run()).records[0]).toMatchObject({
      type: 'failed',
      documentId: first,
      reason: expect.stringMatching(/^BucketMisconfigured: S3 denies access/),
    });
  });

  it('goes on with other days when the folder of a day cannot be created', async () => {
    const { archive, run, files, folder } = await startWorld();
    archive(first, 'one');
    archive(second, 'second', Date.parse('2025-01-01T00:00:00Z'));
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, '2026'), 'in the way');

    const told = await run();

    expect(told.exitCode).toBe(1);
    expect(told.records).toMatchObject([
      {
        type: 'failed',
        documentId: first,
        fileName: '5a3b.pdf',
        reason: `Cannot write ${dayFolder}/5a3b.pdf: a file or a symbolic link has the place of its folder (ENOTDIR).`,
      },
      { exported: 1, failed: 1 },
    ]);
    expect(await files()).toMatchObject({ '2025/01/01/5a3b.pdf': 'second', '2026': 'in the way' });
  });

  it('refuses a journal that cannot be read instead of writing a second one', async () => {
    const { archive, run, folder, memory } = await startWorld();
    archive(first, 'one');
    await mkdir(join(folder, 'export.jsonl'), { recursive: true });

    await expect(run()).rejects.toThrow('export.jsonl is not a regular file');
    expect(memory.requests).toEqual([]);
  });

  it('leaves no partial file when it is interrupted during a download', async () => {
    const { archive, run, memory, files } = await startWorld();
    archive(first, 'one');
    const interrupt = new AbortController();
    memory.refuse = (operation, key) => {
      if (operation === 'get' && key.startsWith('documents/')) interrupt.abort(new Error('Stopped.'));
      return undefined;
    };

    await expect(run({}, interrupt.signal)).rejects.toThrow('Stopped.');
    expect(await files()).toEqual({});
  });

  it('takes a broken connection for a failure of S3, not of the disk, and tries again', async () => {
    const { archive, run, memory } = await startWorld();
    archive(first, 'one');
    let breaks = 2;
    memory.refuse = (operation, key) => {
      if (operation === 'get' && key.startsWith('documents/') && breaks-- > 0)
        throw Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET', syscall: 'read' });
      return undefined;
    };

    expect((await run()).records).toMatchObject([{ exported: 1, failed: 0 }]);
  });

  it('ends a download that does not end when it is interrupted', async () => {
    const { archive, run, memory, files } = await startWorld();
    archive(first, 'one');
    const interrupt = new AbortController();
    const signals: unknown[] = [];
    const send = memory.send;
    Object.assign(memory, {
      send: async (command: { input: { Key?: string } }, options: { abortSignal?: AbortSignal }) => {
        if (command.input.Key !== documentKey(first)) return send(command);
        signals.push(options.abortSignal);
        setTimeout(() => interrupt.abort(new Error('Stopped.')), 20);
        return { Body: new Readable({ read: () => undefined }) };
      },
    });

    const ended = await Promise.race([
      run({}, interrupt.signal).catch((error: Error) => error.message),
      sleep(5_000).then(() => 'It hangs.'),
    ]);

    expect(ended).toBe('Stopped.');
    expect(signals).toEqual([expect.any(AbortSignal)]);
    expect(await files()).toEqual({});
  });

  it('ends the other downloads at once when the disk is full', async () => {
    const { archive, run, memory, files, folder } = await startWorld();
    archive(first, 'one');
    archive(second, 'second');
    const full = new DiskError(folder, 'ENOSPC', undefined);
    const requested: string[] = [];
    const { send } = memory;
    Object.assign(memory, {
      send: async (command: { input: { Key?: string } }) => {
        const { Key } = command.input;
        if (!Key?.startsWith('documents/')) return send(command);
        requested.push(Key);
        const Body = new Readable({
          read: async () => {
            if (Key === documentKey(second)) return;
            await vi.waitUntil(() => requested.length === 2, { interval: 1 });
            Body.destroy(full);
          },
        });
        return { Body };
      },
    });

    await expect(run()).rejects.toBe(full);

    expect(requested).toEqual([documentKey(first), documentKey(second)]);
    expect(await files()).toEqual({});
  });

  it('writes into no path that belongs to another document', async () => {
    const { archive, run, folder, memory, journal } = await startWorld();
    archive(first, 'one');
    const other = documentOf(second, Buffer.from('second'), { createdAt });
    other.record.filename = `${first} 5a3b.pdf`;
    memory.put(documentKey(second), other.body, createdAt);
    memory.put(receiptKey(second), written(receiptOf(other)), createdAt);
    await mkdir(join(folder, dayFolder), { recursive: true });
    await writeFile(join(folder, dayFolder, '5a3b.pdf'), 'six');

    expect((await run()).exitCode).toBe(0);

    expect((await journal()).map(({ documentId, path }) => [documentId, path])).toEqual([
      [first, `${dayFolder}/${first}.pdf`],
      [second, `${dayFolder}/${first} 5a3b.pdf`],
    ]);
  });
});

import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { UsageError } from '../../cli/command.ts';
import { checkOutputFile, writeOutputFile } from '../../cli/output-file.ts';
import { ArchiveFolder } from '../../local/s3/archive-folder.ts';

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'output-file-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

it('accepts a new file and an existing one, and leaves the folder as it was', async () => {
  const folder = await newFolder();
  await writeFile(join(folder, 'old.html'), 'old');

  await checkOutputFile('--html', join(folder, 'new.html'), undefined);
  await checkOutputFile('--html', join(folder, 'old.html'), undefined);

  expect(await readdir(folder)).toEqual(['old.html']);
  expect(await readFile(join(folder, 'old.html'), 'utf8')).toBe('old');
});

it.each([
  ['in a missing folder', 'missing/report.html', /: the folder .*\/missing does not exist\.$/],
  ['in a file', 'file/report.html', /: .*\/file is not a folder\.$/],
  ['that is a folder', 'folder', /: it is not a regular file\.$/],
  ['with a name that is too long', `${'x'.repeat(250)}.html`, /: ENAMETOOLONG/],
])('refuses a path %s and names the option', async (_which, path, reason) => {
  const folder = await newFolder();
  await writeFile(join(folder, 'file'), '');
  await mkdir(join(folder, 'folder'));

  const check = checkOutputFile('--html', join(folder, path), undefined);

  await expect(check).rejects.toThrow(UsageError);
  await expect(check).rejects.toThrow(reason);
  await expect(check).rejects.toThrow(/^--html: cannot write /);
});

it('refuses a file in the archive, also through a link, and leaves it as it was', async () => {
  const folder = await newFolder();
  await mkdir(join(folder, 'archive/documents'), { recursive: true });
  await writeFile(join(folder, 'archive/documents/x'), 'archived');
  await symlink('archive/documents', join(folder, 'link'));
  const archive = new ArchiveFolder(join(folder, 'archive'));
  const check = (path: string) => checkOutputFile('--evidence', join(folder, path), archive);

  await expect(check('archive/documents/x')).rejects.toThrow('it is inside the archive.');
  await expect(check('link/x')).rejects.toThrow('it is inside the archive.');
  await expect(check('archive/new')).rejects.toThrow('it is inside the archive.');
  await check('beside');

  expect(await readdir(join(folder, 'archive'))).toEqual(['documents']);
});

it('replaces a file, and follows no link that waits beside it under a name known in advance', async () => {
  const folder = await newFolder();
  const file = join(folder, 'report.html');
  await writeFile(file, 'old');
  await writeFile(join(folder, 'victim'), 'precious');
  await symlink('victim', `${file}.part`);

  await writeOutputFile(file, 'new');

  expect(await readFile(file, 'utf8')).toBe('new');
  expect(await readFile(join(folder, 'victim'), 'utf8')).toBe('precious');
  expect((await readdir(folder)).sort()).toEqual(['report.html', 'report.html.part', 'victim']);
});

it('removes the temporary file if the file cannot be replaced', async () => {
  const folder = await newFolder();
  await mkdir(join(folder, 'report.html/x'), { recursive: true });

  await expect(writeOutputFile(join(folder, 'report.html'), 'new')).rejects.toThrow();

  expect(await readdir(folder)).toEqual(['report.html']);
});

it('says why no file can be created', async () => {
  const folder = await newFolder();

  await expect(writeOutputFile(join(folder, 'missing/report.html'), 'new')).rejects.toThrow(
    /^ENOENT: no such file or directory, open/,
  );
});

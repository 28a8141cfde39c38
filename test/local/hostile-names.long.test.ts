/** File names that others chose, on their way through the whole program to a terminal. */
import { execFile, spawn } from 'node:child_process';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it, onTestFinished, vi } from 'vitest';
import { newFolder } from '../cli/world.ts';

const main = fileURLToPath(new URL('../../local/main.ts', import.meta.url));
const archiver = fileURLToPath(new URL('../../cli/archiver.ts', import.meta.url));
/** Sets the window's title, starts a line of its own and reverses the reading direction. */
const hostileName = 'a\u001b]0;owned\u0007\nAll is well.\r\u202etxt.exe';
const environment = { PATH: process.env.PATH, HOME: '/nowhere' };

/** Control and format characters, except the ends of lines. */
const unsafeIn = (output: string) => output.replaceAll('\n', '').match(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu) ?? [];

it('never reach a terminal unescaped, in npm start and in every command that reads', async () => {
  const folder = await newFolder();
  const [archive, documents] = [join(folder, 'archive'), join(folder, 'documents')];
  await mkdir(documents);
  await writeFile(join(documents, hostileName), 'content');
  // Is skipped with a warning that names it.
  await symlink('/nowhere', join(documents, `link ${hostileName}`));
  const child = spawn(process.execPath, [main, '--archive', archive, '--documents', documents], {
    env: environment,
  });
  onTestFinished(() => void child.kill());
  let output = '';
  const read = (data: Buffer) => {
    output += data.toString();
  };
  child.stdout.on('data', read);
  child.stderr.on('data', read);
  await vi.waitFor(() => expect(output).toContain('Receiving webhooks'), { timeout: 60_000, interval: 100 });

  const run = (...args: string[]) =>
    new Promise<string>((resolve) => {
      const options = { env: environment };
      execFile(process.execPath, [archiver, ...args, '--local', archive], options, (_error, stdout, stderr) =>
        resolve(stdout + stderr),
      );
    });
  const outputs = [
    output,
    await run('audit', '--all'),
    await run('status'),
    await run('redrive', '--dry-run'),
    await run('export', join(folder, 'exported')),
    await run('audit', '--all', '--json'),
  ];

  expect(output).toContain('link a\\u{1b}]0;owned');
  expect(output).toContain('a\\u{1b}]0;owned\\u{7}\\u{a}All is well.\\u{d}\\u{202e}txt.exe');
  for (const text of outputs) {
    expect(text).not.toMatch(/^All is well/m);
    expect(unsafeIn(text)).toEqual([]);
  }
});

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, vi } from 'vitest';
import { newFolder } from './world.ts';

const entry = fileURLToPath(new URL('../../cli/archiver.ts', import.meta.url));
/** Makes a pipe look like a terminal to the process. */
const asTerminal = `data:text/javascript,${encodeURIComponent(
  'process.stdin.isTTY = process.stderr.isTTY = true; process.stdin.setRawMode = () => process.stdin;',
)}`;

interface Started {
  child: ChildProcess;
  /** Standard error so far. */
  noted: () => string;
  exitCode: Promise<number | null>;
}

function start(
  args: readonly string[],
  { flags = [] as string[], stdout = 'pipe' as 'pipe' | number } = {},
): Started {
  const env = { PATH: process.env.PATH, HOME: '/nowhere', AWS_EC2_METADATA_DISABLED: 'true' };
  const child = spawn(process.execPath, [...flags, entry, ...args], { env, stdio: ['pipe', stdout, 'pipe'] });
  let noted = '';
  child.stderr?.on('data', (data) => {
    noted += data;
  });
  return { child, noted: () => noted, exitCode: once(child, 'close').then(([code]) => code) };
}

async function newArchive(): Promise<string> {
  const folder = await newFolder();
  await mkdir(join(folder, 'receipts'));
  return folder;
}

describe('a command exits with', () => {
  it('130 when Ctrl-C is pressed at a question', async () => {
    const folder = await newFolder();
    const ids = join(folder, 'ids.txt');
    await writeFile(ids, '5a3b1e00-0000-4000-8000-000000000001\n');
    const args = ['backfill', '--ids', ids, '--local', folder];
    const { child, noted, exitCode } = start(args, { flags: ['--import', asTerminal] });
    await vi.waitFor(() => expect(noted()).toContain('Send them? [y/N]'), { timeout: 30_000 });

    child.stdin?.write('\u0003');

    expect(await exitCode).toBe(130);
    expect(noted()).toContain('Interrupted; safe to run again.');
  });

  it('130 when it is interrupted by a signal', async () => {
    const { child, noted, exitCode } = start(['status', '--watch', '1', '--local', await newArchive()]);
    await once(child.stdout ?? child, 'data');

    child.kill('SIGINT');

    expect(await exitCode).toBe(130);
    expect(noted()).toBe('Interrupted; safe to run again.\n');
  });

  it('141 and no message when its reader closes the pipe', async () => {
    const { child, noted, exitCode } = start(['status', '--watch', '1', '--local', await newArchive()]);
    await once(child.stdout ?? child, 'data');

    child.stdout?.destroy();

    expect(await exitCode).toBe(141);
    expect(noted()).toBe('');
  });

  it('2 and the reason when its output cannot be written', async () => {
    // Opened for reading only, so that every write fails, as on a full disk.
    const stdout = openSync('/dev/null', 'r');

    const { noted, exitCode } = start(['status', '--watch', '1', '--local', await newArchive()], { stdout });
    closeSync(stdout);

    expect(await exitCode).toBe(2);
    expect(noted()).toMatch(/^Cannot write the output: \w+/);
  });

  it('2 when a question cannot be asked, because the input is not a terminal', async () => {
    const folder = await newFolder();
    const args = ['backfill', '--ids', '-', '--local', folder];
    const { child, noted, exitCode } = start(args);

    child.stdin?.end('5a3b1e00-0000-4000-8000-000000000001\n');

    expect(await exitCode).toBe(2);
    expect(noted()).toContain('pass --yes');
  });

  it('2 and one escaped line for each invalid ID in a file', async () => {
    const folder = await newFolder();
    const archive = await newArchive();
    const ids = join(folder, 'ids.txt');
    await writeFile(ids, 'x\u001b]0;owned\u0007\u202ey\n');

    const { noted, exitCode } = start(['export', join(folder, 'out'), '--ids', ids, '--local', archive]);

    expect(await exitCode).toBe(2);
    expect(noted()).toContain('line 1: "x\\u001b]0;owned\\u0007\\u202ey"');
    expect(noted().replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}]/u);
  });
});

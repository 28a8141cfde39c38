import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { newFolder, startArchive } from './world.ts';

const entry = fileURLToPath(new URL('../../cli/archiver.ts', import.meta.url));

function archiver(...words: string[]): Promise<{ exitCode: number | null; stdout: string; stderr: string }> {
  const { PATH } = process.env;
  // Without credentials, region or home: what somebody has configured here is not to be found.
  const env = { PATH, HOME: '/nowhere', AWS_EC2_METADATA_DISABLED: 'true' };
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [entry, ...words], { env }, (_error, stdout, stderr) =>
      resolve({ exitCode: child.exitCode, stdout, stderr }),
    );
  });
}

describe('npm run archiver', () => {
  it.each(['backfill', 'audit', 'redrive', 'export', 'status', 'send'])(
    '%s has a help that tells the exit codes and the rights that it needs',
    async (command) => {
      const { exitCode, stdout } = await archiver(command, '--help');

      expect(exitCode).toBe(0);
      expect(stdout).toMatch(/Exit codes?: 0/);
      expect(stdout).toMatch(/(?:Rights|Permissions): /);
    },
  );

  it.each([
    [['bogus'], /unknown command/],
    [['status', '--bogus'], /unknown option/],
    [['backfill', '--local', '.'], /Pass one of --since/],
    [['status', '--local', '/nowhere'], /is not a folder/],
    [['status', '--local', '.', '--stack', 'x'], /Give one of them/],
    [['status'], /AWS_PROFILE or AWS_REGION|--local/],
    [['send', 'x', '--local', '.'], /Not a valid document ID/],
  ])('%j ends with 2 and says what to do', async (words, message) => {
    const { exitCode, stdout, stderr } = await archiver(...words);

    expect(exitCode).toBe(2);
    expect(stderr).toMatch(message);
    expect(stderr).not.toMatch(/\n\s+at /);
    expect(stdout).toBe('');
  });

  it('tells an archive on which nothing runs, for people and for programs', async () => {
    const { archive, archiveAll, stop } = await startArchive({ 'a.txt': 'a' });
    await archiveAll();
    await stop();

    const [forPeople, forPrograms, restored] = await Promise.all([
      archiver('status', '--local', archive),
      archiver('status', '--local', archive, '--json'),
      archiver('export', await newFolder(), '--local', archive, '--json'),
    ]);

    expect(forPeople).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('Archived 1') });
    expect(JSON.parse(forPrograms.stdout)).toMatchObject({ archived: { inAll: 1 } });
    expect(JSON.parse(restored.stdout)).toMatchObject({ type: 'end', exported: 1 });
  });
});

import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import * as v from 'valibot';
import { describe, expect, it } from 'vitest';
import { archiverError } from '../../cli/json-lines.ts';
import { newFolder, startArchive } from './world.ts';

const entry = fileURLToPath(new URL('../../cli/archiver.ts', import.meta.url));

function archiver(...args: string[]): Promise<{ exitCode: number | null; stdout: string; stderr: string }> {
  const { PATH } = process.env;
  // Without credentials, region or home, so that the configuration of this machine is not used.
  const env = { PATH, HOME: '/nowhere', AWS_EC2_METADATA_DISABLED: 'true' };
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [entry, ...args], { env }, (_error, stdout, stderr) =>
      resolve({ exitCode: child.exitCode, stdout, stderr }),
    );
  });
}

describe('npm run archiver', () => {
  it.each(['backfill', 'audit', 'redrive', 'doctor', 'export', 'status', 'send', 'find'])(
    'states exit codes and required permissions in the help of %s',
    async (command) => {
      const { exitCode, stdout } = await archiver(command, '--help');

      expect(exitCode).toBe(0);
      expect(stdout).toMatch(/Exit code: 0/);
      expect(stdout).toMatch(/Permissions: /);
    },
  );

  it.each([
    [['bogus'], /unknown command/],
    [['status', '--bogus'], /unknown option/],
    [['backfill', '--local', '.'], /Pass exactly one of --since/],
    [['status', '--local', '/nowhere'], /is not a folder/],
    [['status', '--local', '.', '--stack', 'x'], /cannot be combined/],
    [['redrive', '--stack', 'a', '--stack', 'b'], /works on one archiver/],
    [['status', '--stack', 'a', '--stack', 'b', '--watch'], /pass --stack once/],
    [['audit', '--stack', 'a', '--stack', 'b', '--html', 'x'], /pass --stack once/],
    [['status'], /AWS_PROFILE or AWS_REGION|--local/],
    [['send', 'x', '--local', '.'], /Not a valid document ID/],
    [['find', '--local', '.'], /Pass what to look for/],
    [['find', 'x', '--limit', '0', '--local', '.'], /whole number, at least 1/],
  ])('exits with 2 and says what to do for the arguments %j', async (args, message) => {
    const { exitCode, stdout, stderr } = await archiver(...args);

    expect(exitCode).toBe(2);
    expect(stderr).toMatch(message);
    expect(stderr).not.toMatch(/\n\s+at /);
    expect(stdout).toBe('');
  });

  it('prints the error that ended a command as JSON too', async () => {
    const { exitCode, stdout } = await archiver('status', '--local', '/nowhere', '--json');

    expect(exitCode).toBe(2);
    expect(v.parse(archiverError, JSON.parse(stdout)).message).toContain('is not a folder');
  });

  it('reads an archive without a running stack, with text or JSON output', async () => {
    const { archive, archiveAll, stop } = await startArchive({ 'a.txt': 'a' });
    await archiveAll();
    await stop();

    const [text, json, restored] = await Promise.all([
      archiver('status', '--local', archive),
      archiver('status', '--local', archive, '--json'),
      archiver('export', await newFolder(), '--local', archive, '--json'),
    ]);

    expect(text).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('Archived or erased 1') });
    expect(JSON.parse(json.stdout)).toMatchObject({ archived: { total: 1 } });
    expect(JSON.parse(restored.stdout)).toMatchObject({ type: 'end', exported: 1 });
  });
});

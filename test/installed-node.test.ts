import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import project from '../package.json' with { type: 'json' };

const check = new URL('../require-node.js', import.meta.url).href;

/** Runs the check in a process whose Node says that it is of the given version. */
function runOn(version: string) {
  const pretend = `data:text/javascript,Object.defineProperty(process.versions,'node',{value:'${version}'})`;
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--import', pretend, '--import', check, '--eval', 'console.log("started")'],
    { encoding: 'utf8' },
  );
  return { status, stdout: stdout.trim(), stderr: stderr.trim() };
}

describe('the check of the Node version', () => {
  it('exits with 2 and one line that says what to run when Node is too old', () => {
    const { status, stdout, stderr } = runOn('20.20.2');

    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr.split('\n')).toEqual([
      expect.stringMatching(
        /^Node 20\.20\.2 is too old.* Run "npm ci" without --ignore-scripts .*"npx cdk" instead of a global "cdk"\./,
      ),
    ]);
  });

  it.each([project.devDependencies.node, '26.0.0'])('starts the program on Node %s', (version) => {
    const { status, stdout, stderr } = runOn(version);

    expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: 'started', stderr: '' });
  });

  it('runs before every TypeScript program that npm or the CDK starts', () => {
    const { app, build }: Record<string, string> = JSON.parse(readFileSync('cdk.json', 'utf8'));
    const commands = [...Object.values(project.scripts), app ?? '', build ?? ''];
    const programs = commands.filter((command) => /\bnode\b.*\.ts\b/.test(command));

    expect(programs.length).toBeGreaterThan(5);
    for (const program of programs) expect(program).toContain('--import ./require-node.js');
    expect(readFileSync('vitest.config.ts', 'utf8')).toContain("import './require-node.js';");
  });
});

it('The published package requires the Node that all tests run with', () => {
  const [major] = project.devDependencies.node.split('.');

  expect(project.engines.node).toBe(`>=${major}`);
});

describe('the check of the installed Node', () => {
  const verify = (...args: string[]) => {
    const { status, stderr } = spawnSync(process.execPath, ['verify-node.js', ...args], { encoding: 'utf8' });
    return { status, stderr };
  };

  it('accepts what npm has installed', () => {
    expect(verify().status).toBe(0);
  });

  it('fails on another file, and names both digests', () => {
    const folder = mkdtempSync(join(tmpdir(), 'verify-node-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const other = join(folder, 'node');
    writeFileSync(other, 'not Node');

    const { status, stderr } = verify(other, 'linux-x64');

    expect(status).toBe(1);
    expect(stderr).toMatch(/has the SHA-256 [0-9a-f]{64}, expected [0-9a-f]{64}\./);
  });

  it('says that nothing was verified on a platform without a known digest', () => {
    expect(verify('missing', 'aix-ppc64')).toEqual({
      status: 0,
      stderr: 'No digest of Node is known for aix-ppc64; the installed one was not verified.\n',
    });
  });
});

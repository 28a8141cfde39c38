import { Command } from 'commander';
import { expect, it } from 'vitest';
import { UsageError } from '../../../cli/command.ts';
import { auditCommand, auditOptions, runMode } from '../../../cli/commands/audit.ts';
import { virtualTime } from '../../fakes/clock.ts';
import { noon } from '../../fakes/documents.ts';
import { startRunsWorld } from './runs-world.ts';

/** Parses what follows `audit` as the command does. */
function parse(...typed: string[]) {
  const command = new Command('audit').exitOverride().configureOutput({ writeErr: () => undefined });
  return auditCommand.configure(command).parse(typed, { from: 'user' });
}
const parsed = (...typed: string[]) => auditOptions(parse(...typed).opts());

const defaults = {
  quick: false,
  readData: 0,
  all: false,
  repair: false,
  dryRun: false,
  telnyx: true,
  graceMinutes: 15,
  manifest: undefined,
  acceptReceipts: false,
  expectManifest: undefined,
  html: undefined,
};
const digest = 'ab'.repeat(32);

it.each([
  ['', {}],
  ['--quick --all', { quick: true, all: true }],
  ['--read-data', { readData: 100 }],
  ['--read-data 5', { readData: 5 }],
  ['--read-data 0.25%', { readData: 0.25 }],
  ['--read-data 100', { readData: 100 }],
  ['--repair --dry-run', { repair: true, dryRun: true }],
  ['--no-telnyx --grace 0', { telnyx: false, graceMinutes: 0 }],
  ['--grace 99999', { graceMinutes: 99_999 }],
  ['--manifest --accept-receipts', { manifest: 'bucket', acceptReceipts: true }],
  ['--manifest /a/m.txt --html /a/r.html', { manifest: { file: '/a/m.txt' }, html: '/a/r.html' }],
  ['--manifest m.txt', { manifest: { file: `${process.cwd()}/m.txt` } }],
  ['--html r.html', { html: `${process.cwd()}/r.html` }],
  [`--expect-manifest ${digest.toUpperCase()}`, { expectManifest: digest }],
])('audit %s', (typed, expected) => {
  expect(parsed(...typed.split(' ').filter(Boolean))).toEqual({ ...defaults, ...expected });
});

it.each([
  ['--quick --read-data', '--quick cannot be combined with --read-data, --manifest or --html'],
  ['--quick --manifest', '--quick cannot be combined'],
  ['--quick --html r.html', '--quick cannot be combined'],
  ['--dry-run', '--dry-run requires --repair.'],
  ['--accept-receipts', '--accept-receipts requires --manifest.'],
  ['--html a --manifest ./a', '--html and --manifest name the same file.'],
])('audit refuses %s', (typed, message) => {
  const refused = () => parsed(...typed.split(' '));

  expect(refused).toThrow(message);
  expect(refused).toThrow(UsageError);
});

it.each([
  ['', undefined],
  ['--read-data --json --local a', undefined],
  ['--latest', 'latest'],
  ['--latest --html a', 'latest'],
  ['--start', 'start'],
  ['--full --start', 'start'],
  ['--since 90d', 'since'],
  ['--until 2026-10-01 --html a --since 2026-07-01', 'since'],
])('with %s, audit is about the runs of the audit function: %s', (typed, mode) => {
  const command = new Command('audit').option('--json').option('--local <folder>');

  expect(
    runMode(auditCommand.configure(command).parse(typed.split(' ').filter(Boolean), { from: 'user' })),
  ).toBe(mode);
});

it.each([
  ['--full', '--full requires --start.'],
  ['--until 2026-10-01', '--until requires --since.'],
  ['--latest --start', '--latest cannot be combined with --start.'],
  ['--latest --since 90d', '--latest cannot be combined with --since.'],
  ['--start --since 90d', '--start cannot be combined with --since.'],
  ['--start --html a', '--start cannot be combined with --html.'],
  ['--latest --full', '--latest cannot be combined with --full.'],
  ['--since 90d --full', '--since cannot be combined with --full.'],
  ['--latest --until 90d', '--latest cannot be combined with --until.'],
  ['--latest --no-telnyx', '--latest cannot be combined with --no-telnyx.'],
  ['--latest --grace 15', '--latest cannot be combined with --grace.'],
  ['--since 90d --manifest', '--since cannot be combined with --manifest.'],
  ['--start --repair', '--start cannot be combined with --repair.'],
  ['--latest --quick', '--latest cannot be combined with --quick.'],
])('audit refuses %s before it does anything', (typed, message) => {
  const refused = () => runMode(parse(...typed.split(' ')));

  expect(refused).toThrow(message);
  expect(refused).toThrow(UsageError);
});

it.each([
  ['--latest', 'run', {}],
  ['--start', 'requested', { full: false }],
  ['--start --full', 'requested', { full: true }],
  ['--since 1d', 'statement', { since: '2026-11-23T12:00:00.000Z', until: '2026-11-24T12:00:00.000Z' }],
  ['--since 2d --until 1d', 'statement', { until: '2026-11-23T12:00:00.000Z' }],
])('audit %s does not compare the archive, and needs no API key', async (typed, type, fields) => {
  const world = startRunsWorld();
  world.putRun('20261124T021500Z');

  const { records } = await world.run((context) => auditCommand.run(context, parse(...typed.split(' '))));

  expect(records.at(-1)).toMatchObject({ type, ...fields });
  expect(world.bucket.requests.some((request) => request.startsWith('list-versions'))).toBe(false);
});

it.each([
  ['--read-data 0', 'Must be a percentage above 0 and up to 100.'],
  ['--read-data 100.1', 'Must be a percentage'],
  ['--read-data 1e1', 'Must be a percentage'],
  ['--read-data 5x', 'Must be a percentage'],
  ['--read-data 5.', 'Must be a percentage'],
  ['--grace -1', 'Must be a whole number of minutes.'],
  ['--grace 1.5', 'Must be a whole number of minutes.'],
  ['--grace 100000', 'Must be a whole number of minutes.'],
  [`--expect-manifest ${digest}0`, 'Must be a SHA-256: 64 hex digits.'],
  [`--expect-manifest x${digest}`, 'Must be a SHA-256: 64 hex digits.'],
])('audit refuses the value of %s', (typed, message) => {
  expect(() => parse(...typed.split(' '))).toThrow(message);
});

it('audit describes itself and each option', () => {
  const command = auditCommand.configure(new Command('audit'));

  const descriptions = [command.description(), ...command.options.map(({ description }) => description)];

  expect(descriptions).toHaveLength(17);
  expect(descriptions).not.toContain('');
});

it('audit runs with what was typed', async () => {
  const target = {
    bucket: async (access: string) => {
      throw new Error(`Asked to ${access}.`);
    },
  };
  const context = { target, time: virtualTime(noon) } as never;

  await expect(auditCommand.run(context, parse('--manifest'))).rejects.toThrow('Asked to write.');
  await expect(auditCommand.run(context, parse())).rejects.toThrow('Asked to read.');
});

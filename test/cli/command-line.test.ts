import { expect, it } from 'vitest';
import { commandLine } from '../../cli/command-line.ts';

it.each([
  [[], 'npm run archiver -- redrive --dry-run'],
  [['--local', '/srv/archive'], 'npm run archiver -- redrive --dry-run --local /srv/archive'],
  [['--local', "/a b/it's"], "npm run archiver -- redrive --dry-run --local '/a b/it'\\''s'"],
  [['--local', '/a\u001b[2J'], "npm run archiver -- redrive --dry-run --local '/a\\u{1b}[2J'"],
])('names the command for the target with the options %j', (options, expected) => {
  expect(commandLine({ options }, 'redrive --dry-run')).toBe(expected);
});

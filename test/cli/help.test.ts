import { readdirSync } from 'node:fs';
import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import type { ArchiverCommand } from '../../cli/command.ts';
import { formatHelp } from '../../cli/help.ts';

const folder = new URL('../../cli/commands/', import.meta.url);
const modules = await Promise.all(
  readdirSync(folder).map((file): Promise<object> => import(new URL(file, folder).href)),
);
const commands = modules.flatMap((module) => Object.values(module).filter(isCommand));

function isCommand(value: unknown): value is ArchiverCommand {
  return typeof value === 'object' && value !== null && 'configure' in value;
}

it('is there for all ten commands', () => {
  expect(commands).toHaveLength(10);
});

describe.each(commands.map((command) => [command.name, command] as const))(
  'the help of %s',
  (name, { help, configure }) => {
    it('fits into 80 columns, apart from examples to copy', () => {
      const lines = formatHelp(help, 80).split('\n');

      expect(lines.filter((line) => line.length > 80 && !line.startsWith('  archiver '))).toEqual([]);
    });

    it('has examples of this command, all exit codes and the permissions', () => {
      const text = formatHelp(help, 120).replaceAll('\n', ' ');

      expect(help.examples.length).toBeGreaterThanOrEqual(2);
      for (const [invocation] of help.examples) expect(invocation).toMatch(new RegExp(`^${name}( |$)`));
      expect(text).toMatch(/Exit code: 0 .* · 1 .* · 2 error.* · 130 interrupted.* · 141 /);
      expect(text).toContain('Permissions: ');
      expect(text.split('cloudformation:DescribeStacks')).toHaveLength(
        text.split('cloudformation:ListExports').length,
      );
    });

    it('says something of the command, of each argument, option and exit code, and of each example', () => {
      const command = configure(new Command(name));
      const { text, examples, exitCodes, permissions } = help;
      const options = [...command.registeredArguments, ...command.options].map(
        ({ description }) => description,
      );

      const effects = examples.map(([, effect]) => effect);
      const said = [command.description(), ...options, text, permissions, ...effects];
      expect([...said, ...Object.values(exitCodes)].filter((part) => part.trim() === '')).toEqual([]);
    });
  },
);

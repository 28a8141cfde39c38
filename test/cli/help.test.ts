import { readdirSync } from 'node:fs';
import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import type { ArchiverCommand } from '../../cli/command.ts';
import { auditCommand } from '../../cli/commands/audit.ts';
import { backfillCommand } from '../../cli/commands/backfill.ts';
import { doctorCommand } from '../../cli/commands/doctor.ts';
import { eraseCommand } from '../../cli/commands/erase.ts';
import { exportCommand } from '../../cli/commands/export.ts';
import { findCommand } from '../../cli/commands/find.ts';
import { holdCommand } from '../../cli/commands/hold.ts';
import { proveCommand } from '../../cli/commands/prove.ts';
import { redriveCommand } from '../../cli/commands/redrive.ts';
import { releaseCommand } from '../../cli/commands/release.ts';
import { sendCommand } from '../../cli/commands/send.ts';
import { statusCommand } from '../../cli/commands/status.ts';
import { formatHelp } from '../../cli/help.ts';

// Imported one by one: Vitest finds the tests that a changed command needs by such imports only.
const commands: readonly ArchiverCommand[] = [
  auditCommand,
  backfillCommand,
  doctorCommand,
  eraseCommand,
  exportCommand,
  findCommand,
  holdCommand,
  proveCommand,
  redriveCommand,
  releaseCommand,
  sendCommand,
  statusCommand,
];

it('is there for all commands', () => {
  const files = readdirSync(new URL('../../cli/commands/', import.meta.url));

  expect(commands.map(({ name }) => `${name}.ts`)).toEqual(files.sort());
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

#!/usr/bin/env node
/** `npm run archiver -- <command>`: the operator's commands, one file each in `commands/`. */
import { Command } from 'commander';
import { systemTime as time } from '../functions/time.ts';
import packageJson from '../package.json' with { type: 'json' };
import { createTerminal } from '../terminal/terminal.ts';
import { type ArchiverCommand, UsageError } from './command.ts';
import { auditCommand } from './commands/audit.ts';
import { backfillCommand } from './commands/backfill.ts';
import { exportCommand } from './commands/export.ts';
import { redriveCommand } from './commands/redrive.ts';
import { sendCommand } from './commands/send.ts';
import { statusCommand } from './commands/status.ts';
import { explain, openTarget, type TargetOptions } from './target/open.ts';

const commands: readonly ArchiverCommand[] = [
  backfillCommand,
  auditCommand,
  redriveCommand,
  exportCommand,
  statusCommand,
  sendCommand,
];

const program = new Command('archiver')
  .description('Operate the Telnyx document archiver, deployed or on this machine.')
  .version(packageJson.version)
  .showHelpAfterError('(use --help for usage)')
  .addHelpText(
    'after',
    `
By default, a command works on the archiver that \`cdk deploy\` deployed with the name telnyx-archiver, using the
credentials and region of the AWS CLI. To work on an archive on this machine, pass --local <folder>.

No command deletes or overwrites a document or a receipt.

Exit code: 0 success · 1 problems found · 2 error · 130 interrupted with Ctrl-C`,
  );

for (const { name, configure, run } of commands) {
  const command = program
    .command(name)
    .option('--local <folder>', 'work on the archive in this folder, whether or not `npm start` is running')
    .option('--stack <name>', 'the `name` in the stage.json that was deployed')
    .option('--json', 'print results as one JSON object per line');
  configure(command).action(() => execute(command, run));
}

// Scripts must be able to distinguish an invalid command line (2) from problems found (1).
for (const command of [program, ...program.commands]) {
  command.exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2));
}
await program.parseAsync();
// Do not wait for kept-alive connections.
process.exit();

async function execute(command: Command, run: ArchiverCommand['run']): Promise<void> {
  const options = command.opts<TargetOptions & { json?: boolean }>();
  const interrupt = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.once(name, () => {
      // A second Ctrl-C exits immediately.
      process.once(name, () => process.exit(130));
      interrupt.abort(new Error('Interrupted.'));
    });
  }
  const { stdin, stdout, stderr } = process;
  // A reader such as `head` may close the pipe early.
  stdout.on('error', () => process.exit(0));
  const terminal = createTerminal({ json: options.json ?? false, time, stdin, stdout, stderr });
  const { signal } = interrupt;
  try {
    const target = await openTarget(options, process.env, time);
    try {
      process.exitCode = await run({ target, terminal, time, random: Math.random, signal }, command);
    } finally {
      await target.close();
    }
  } catch (error) {
    if (error instanceof UsageError) command.error(error.message, { exitCode: 2 });
    terminal.note(signal.aborted ? 'Interrupted; safe to run again.' : explain(error));
    process.exitCode = signal.aborted ? 130 : 2;
  }
}

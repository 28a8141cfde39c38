/** `npm run archiver -- <command>`: the operator's commands, one file each in `commands/`. */
import { Command, InvalidArgumentError } from 'commander';
import { ArchiverError, hasSystemCode } from '../functions/errors.ts';
import { systemTime as time } from '../functions/time.ts';
import packageJson from '../package.json' with { type: 'json' };
import { onInterrupts } from '../terminal/interrupts.ts';
import { InterruptedError } from '../terminal/prompts.ts';
import { createTerminal } from '../terminal/terminal.ts';
import { fitMessage } from '../terminal/wrap.ts';
import { type ArchiverCommand, UsageError } from './command.ts';
import { auditCommand } from './commands/audit.ts';
import { backfillCommand } from './commands/backfill.ts';
import { doctorCommand } from './commands/doctor.ts';
import { eraseCommand } from './commands/erase.ts';
import { exportCommand } from './commands/export.ts';
import { findCommand } from './commands/find.ts';
import { holdCommand } from './commands/hold.ts';
import { proveCommand } from './commands/prove.ts';
import { redriveCommand } from './commands/redrive.ts';
import { releaseCommand } from './commands/release.ts';
import { sendCommand } from './commands/send.ts';
import { statusCommand } from './commands/status.ts';
import { addHelp } from './help.ts';
import { explain, selectTargets, type TargetOptions } from './target/open.ts';

const commands: readonly ArchiverCommand[] = [
  backfillCommand,
  auditCommand,
  redriveCommand,
  doctorCommand,
  findCommand,
  exportCommand,
  proveCommand,
  statusCommand,
  sendCommand,
  eraseCommand,
  holdCommand,
  releaseCommand,
];

/** Exit code of a program that a closed pipe ends: 128 and the number of SIGPIPE. */
const pipeClosedCode = 141;

const program = new Command('archiver')
  .description('Operate the Telnyx document archiver, deployed or on this machine.')
  .version(packageJson.version)
  .showHelpAfterError('(use --help for usage)')
  .configureOutput({
    writeErr: (text) => process.stderr.write(fitMessage(text, process.stderr)),
  });
addHelp(program, {
  text: `
By default, a command works on the archiver that \`cdk deploy\` deployed with the name telnyx-archiver, using the
credentials and region of the AWS CLI. To work on an archive on this machine, pass --local <folder> or set
ARCHIVER_LOCAL; for another name, pass --stack <name> or set ARCHIVER_STACK. An option overrides both variables.

Only \`erase\` deletes documents and receipts.`,
  examples: [
    ['status', 'show the deployed archiver'],
    ['audit --local archive', 'check the archive in the folder archive'],
    ['redrive --help', 'show the options of a command'],
  ],
  exitCodes: {
    0: 'success',
    1: 'problems found',
    3: 'audit and doctor only: some items could not be checked',
  },
  permissions: 'each command states its own.',
});

/** Exit codes of several runs, the worst one last. */
const exitCodesByWeight = [0, 3, 1, 2];

/** Milliseconds to release what is locked, after a second Ctrl-C or an unexpected error. */
const releaseMs = 3_000;

for (const { name, help, configure, run, forOneStack } of commands) {
  const several = forOneStack ? '; may be repeated' : '';
  const command = program
    .command(name)
    .option(
      '--local <folder>',
      'work on the archive in this folder, whether or not a local stack is running on it (default: ARCHIVER_LOCAL)',
    )
    .option(
      '--stack <name>',
      `the \`name\` in the stage.json that was deployed${several} (default: ARCHIVER_STACK)`,
      (stack: string, others: readonly string[] = []) => {
        if (others.length > 0 && !forOneStack)
          throw new InvalidArgumentError('This command works on one archiver.');
        return [...others, stack];
      },
    )
    .option('--json', 'print results as one JSON object per line');
  addHelp(configure(command), help).action(async () => {
    try {
      await execute(command, run, forOneStack);
    } catch (error) {
      if (error instanceof UsageError) command.error(error.message, { exitCode: 2 });
      throw error;
    }
  });
}

program
  .command('local')
  .description('run the whole archiver on this machine (`local --help` shows its options)')
  // All options are those of the local stack, `--help` included.
  .helpOption(false)
  .allowUnknownOption()
  .allowExcessArguments()
  .action(async () => {
    process.argv.splice(process.argv.indexOf('local'), 1);
    await import('../local/main.ts');
  });

// Scripts must be able to distinguish an invalid command line (2) from problems found (1).
for (const command of [program, ...program.commands]) {
  command.exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2));
}
await program.parseAsync();
// Do not wait for kept-alive connections.
process.exit();

async function execute(
  command: Command,
  run: ArchiverCommand['run'],
  forOneStack: readonly string[] = [],
): Promise<void> {
  const options = command.opts<TargetOptions & { json?: boolean }>();
  const targets = selectTargets(options, process.env, time);
  const single = command.options.find(
    (option) =>
      forOneStack.includes(option.attributeName()) &&
      command.getOptionValueSource(option.attributeName()) === 'cli',
  );
  if (targets.length > 1 && single)
    throw new UsageError(`${single.long} is for one archiver: pass --stack once.`);
  const end = new AbortController();
  /** Set when something from outside ends the command. */
  let endCode: number | undefined;
  const endWith = (code: number, reason: Error) => {
    endCode ??= code;
    end.abort(reason);
  };
  const interrupted = new Error('Interrupted; safe to run again.');
  onInterrupts(process, time.monotonic, (interrupt) => {
    if (interrupt === 1) endWith(130, interrupted);
    // The command may be releasing what it has locked.
    else if (interrupt === 2) time.after(releaseMs, () => process.exit(130));
    else process.exit(130);
  });
  // The command must release what it has locked. readline throws here when the terminal is closed at a prompt.
  process.on('uncaughtException', (error) => {
    endWith(2, error);
    time.after(releaseMs, () => process.exit(2));
  });
  const { stdin, stdout, stderr } = process;
  // A reader such as `head` may close the pipe early. The command still releases what it holds.
  for (const stream of [stdout, stderr]) {
    stream.on('error', (error) => {
      if (hasSystemCode(error, 'EPIPE')) endWith(pipeClosedCode, new Error('The output was closed.'));
      else endWith(2, new Error(`Cannot write the output: ${error.message}`));
    });
  }
  const terminal = createTerminal({ json: options.json ?? false, time, stdin, stdout, stderr });
  const codes: number[] = [];
  for (const open of targets) {
    try {
      const target = await open();
      if (targets.length > 1) {
        terminal.record({ type: 'archiver', name: target.name });
        terminal.print('', terminal.paint('bold', `── ${target.name}`));
      }
      try {
        const context = { target, terminal, time, random: Math.random, signal: end.signal };
        codes.push(await run(context, command));
      } finally {
        await target.close();
      }
    } catch (error) {
      if (error instanceof UsageError) throw error;
      if (error instanceof InterruptedError) endWith(130, interrupted);
      if (endCode !== pipeClosedCode) {
        const cause: unknown = end.signal.aborted ? end.signal.reason : error;
        const lines = explain(cause);
        const code = cause instanceof ArchiverError ? { code: cause.code } : {};
        terminal.record({ type: 'error', ...code, message: lines.join('\n') });
        terminal.note(...lines);
      }
      codes.push(2);
    }
    // An error of one archiver does not keep the next from being looked at; Ctrl-C does.
    if (end.signal.aborted) break;
  }
  process.exitCode = endCode ?? exitCodesByWeight.findLast((code) => codes.includes(code));
}

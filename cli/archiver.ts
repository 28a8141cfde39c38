#!/usr/bin/env node
/** `npm run archiver -- <command>`: the tools of whoever runs the archiver. Each command is a file beside this one. */
import { Command } from 'commander';
import { systemTime as time } from '../functions/time.ts';
import packageJson from '../package.json' with { type: 'json' };
import { createTerminal } from '../terminal/terminal.ts';
import { audit } from './audit/audit.ts';
import { auditOptions, describeAudit } from './audit/command.ts';
import { backfill, backfillOptions, describeBackfill } from './backfill.ts';
import type { Surroundings } from './deployment.ts';
import { describeExport, exportDocuments } from './export.ts';
import { describeRedrive, redrive } from './redrive.ts';
import { describeSend, send } from './send.ts';
import { describeStatus, status } from './status.ts';
import { type Chosen, explain, openDeployment } from './target.ts';

const program = new Command('archiver')
  .description('Tools for the Telnyx document archiver, deployed or on this machine.')
  .version(packageJson.version)
  .showHelpAfterError('(--help says what there is)')
  .addHelpText(
    'after',
    `
By default a command works on the archiver that \`cdk deploy\` has deployed with the name telnyx-archiver, with the
credentials and the region that the AWS CLI would use. --local <folder>: on an archive on this machine.

No command deletes or overwrites a document or a receipt. Exit code: 0 all is well · 1 not all is well · 2 error ·
130 stopped by Ctrl-C`,
  );

describeBackfill(add('backfill')).action((parsed, command) =>
  run(command, (surroundings) =>
    backfill(backfillOptions(parsed, time.now(), failOf(command)), surroundings),
  ),
);
describeAudit(add('audit')).action((parsed, command) =>
  run(command, (surroundings) => audit(auditOptions(parsed, failOf(command)), surroundings)),
);
describeRedrive(add('redrive')).action((parsed, command) =>
  run(command, (surroundings) => redrive(parsed, surroundings)),
);
describeExport(add('export')).action((folder, parsed, command) =>
  run(command, (surroundings) => exportDocuments({ ...parsed, folder }, surroundings)),
);
describeStatus(add('status')).action((parsed, command) =>
  run(command, (surroundings) => status(parsed, surroundings)),
);
describeSend(add('send')).action((documentIds, parsed, command) =>
  run(command, (surroundings) => send({ ...parsed, documentIds }, surroundings)),
);

// A wrong command line is not a finding: scripts must be able to tell them apart.
for (const command of [program, ...program.commands]) {
  command.exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2));
}
await program.parseAsync();
// Whatever a kept-alive connection still holds open, it is over.
process.exit();

function add(name: string): Command {
  return program
    .command(name)
    .option('--local <folder>', 'an archive on this machine, whether or not `npm start` runs on it')
    .option('--stack <name>', 'the `name` in the stage.json that was deployed')
    .option('--json', 'results as one JSON object per line');
}

function failOf(command: Command): (message: string) => never {
  return (message) => command.error(message, { exitCode: 2 });
}

async function run(command: Command, work: (surroundings: Surroundings) => Promise<number>): Promise<void> {
  const chosen = command.opts<Chosen>();
  const interrupt = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.once(name, () => {
      // The second time it means it.
      process.once(name, () => process.exit(130));
      interrupt.abort(new Error('Stopped.'));
    });
  }
  const { stdin, stdout, stderr } = process;
  // A reader that has seen enough, such as `head`, is no failure.
  stdout.on('error', () => process.exit(0));
  const terminal = createTerminal({ json: chosen.json ?? false, time, stdin, stdout, stderr });
  const { signal } = interrupt;
  try {
    const deployment = await openDeployment(chosen, process.env, time);
    try {
      process.exitCode = await work({ deployment, terminal, time, random: Math.random, signal });
    } finally {
      await deployment.close();
    }
  } catch (error) {
    terminal.note(signal.aborted ? 'Stopped. Nothing is half done; it may be run again.' : explain(error));
    process.exitCode = signal.aborted ? 130 : 2;
  }
}

/** `npm start`: runs the whole archiver on this machine. */
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { keepYoungGenerationSmall } from '../functions/archive/young-generation.ts';
import { hasSystemCode } from '../functions/errors.ts';
import { serviceUrl } from '../functions/settings.ts';
import { systemTime as time } from '../functions/time.ts';
import { onInterrupts } from '../terminal/interrupts.ts';
import { createTerminal } from '../terminal/terminal.ts';
import { fitMessage } from '../terminal/wrap.ts';
import { programs } from './programs.ts';
import { runStart, type StartOptions } from './start.ts';
import { createStartOutput } from './start-output.ts';

/** Ctrl-C ends the process after this time, whatever has not ended by itself. */
const stopMs = 2_500;

const program = new Command(programs.start)
  .description(
    'Run the whole archiver on this machine: local queues, a folder as the bucket, and a stand-in for Telnyx with sample documents. Documents that have a receipt are skipped, so a second run archives nothing.',
  )
  .option('--archive <folder>', 'folder of the archive; created if missing', 'archive')
  .option('--documents <folder>', 'archive the files in this folder instead of the samples')
  .option(
    '--telnyx <url>',
    'archive a real account, for example https://api.telnyx.com/v2; requires TELNYX_API_KEY',
    asUrl,
  )
  .option('--faults', 'simulate failures of many kinds')
  .option('--once', 'exit when every document is archived or a dead letter, instead of running until Ctrl-C')
  .option('--wait', 'skip the initial archiving; wait for webhooks and sweeps')
  .option('--no-events', 'do not send events from the stand-in, so that only sweeps find new documents')
  .option('--sweep-every <seconds>', 'seconds between sweeps for new documents', asSweepSeconds, 10)
  .option(
    '--audit-every <seconds>',
    'seconds between audits of the archive, from 1 to 86400 (default: no audits)',
    asAuditSeconds,
  )
  .option(
    '--webhook-port <port>',
    'port for webhooks, for example behind a tunnel (default: any free port)',
    asPort,
  )
  .option('--json', 'print one JSON object per line; the first has all addresses, keys and queues')
  .option('--log <file>', 'append the logs of the functions to this file')
  .option(
    '--accept-weak-s3',
    'use the S3 at ARCHIVE_S3_ENDPOINT even if it lacks conditional writes or checksums',
  )
  .addHelpText(
    'after',
    `
Examples:
  ${programs.start} --documents ~/Documents --archive /tmp/archive
  ${programs.start} --faults --once --archive /tmp/faults
  ${programs.startSilently} --json

Exit code: 0 everything archived · 1 dead letters, or documents that could not
be listed · 2 could not start, the disk failed, or an invalid option · 130
interrupted with Ctrl-C · 141 output closed by the reader, as by \`| head\``,
  )
  // Before the program has parsed --json.
  .configureOutput({
    outputError: (text, write) => {
      if (!isJson) write(fitMessage(text, stderr));
    },
  })
  .exitOverride();

const isJson = process.argv.includes('--json');
const { stdin, stdout, stderr } = process;
const terminal = createTerminal({ json: isJson, time, stdin, stdout, stderr });
const output = createStartOutput(terminal, time);

try {
  program.parse();
} catch (error) {
  // `--help` is not an error. Commander has printed the message of any other one, unless it is to be JSON.
  if (!(error instanceof CommanderError)) throw error;
  if (error.exitCode !== 0 && isJson) output.error(new Error(error.message.replace(/^error: /, '')));
  process.exit(error.exitCode === 0 ? 0 : 2);
}

const end = new AbortController();
/** Set when something from outside ends the process. */
let endCode: number | undefined;
onInterrupts(process, time.monotonic, (interrupt) => {
  if (interrupt === 1) endWith(130);
  else process.exit(130);
});
for (const stream of [stdout, stderr]) {
  stream.on('error', (error) => {
    // A reader such as `head` may close the pipe early.
    if (hasSystemCode(error, 'EPIPE')) endWith(141);
    else {
      output.warning(`Cannot write the output: ${error.message}`);
      endWith(2);
    }
  });
}

keepYoungGenerationSmall();
try {
  process.exitCode = await runStart(program.opts<StartOptions>(), {
    environment: process.env,
    terminal,
    output,
    time,
    random: Math.random,
    signal: end.signal,
  });
} catch (error) {
  output.error(error);
  process.exitCode = 2;
}
process.exitCode = endCode ?? process.exitCode;
// A kept-alive connection or an interrupted invocation may still keep the process running.
process.exit();

function endWith(code: number): void {
  if (endCode !== undefined) return;
  endCode = code;
  output.stopping();
  end.abort();
  setTimeout(() => process.exit(code), stopMs);
}

function asUrl(value: string): URL {
  try {
    return serviceUrl(value);
  } catch (error) {
    throw new InvalidArgumentError(`The URL ${error instanceof Error ? error.message : 'is not valid.'}`);
  }
}

function asPort(value: string): number {
  if (!/^\d{1,5}$/.test(value) || Number(value) > 65_535) {
    throw new InvalidArgumentError('Must be a port from 0 to 65535.');
  }
  return Number(value);
}

function asSweepSeconds(value: string): number {
  // A sweep queues documents of the last two minutes: a longer interval could miss some.
  return asSeconds(value, 60);
}

function asAuditSeconds(value: string): number {
  return asSeconds(value, 86_400);
}

function asSeconds(value: string, max: number): number {
  if (!/^[1-9]\d{0,4}$/.test(value) || Number(value) > max) {
    throw new InvalidArgumentError(`Must be a whole number of seconds from 1 to ${max}.`);
  }
  return Number(value);
}

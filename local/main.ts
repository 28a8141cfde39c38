/** `npm start`: runs the whole archiver on this machine. */
import { createWriteStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { keepYoungGenerationSmall } from '../functions/archive/young-generation.ts';
import { type RetryTimings, retryTimings } from '../functions/limits.ts';
import { list, serviceUrl } from '../functions/settings.ts';
import { systemTime as time } from '../functions/time.ts';
import packageJson from '../package.json' with { type: 'json' };
import { every } from '../terminal/every.ts';
import { createTerminal } from '../terminal/terminal.ts';
import { type Change, Ledger } from './ledger.ts';
import { showTotals } from './progress.ts';
import { changeLine, documentTable, namesFromReceipts, summaryOf } from './report.ts';
import { openExternalBucket } from './s3/archive-bucket.ts';
import type { DiskError } from './s3/file-errors.ts';
import { type Stack, startStack } from './stack.ts';
import { sampleFaults, scatteredFaults } from './telnyx/faults.ts';
import { waitUntilIdle } from './wait-until-idle.ts';

interface Options {
  archive: string;
  documents?: string;
  telnyx?: URL;
  faults?: boolean;
  once?: boolean;
  wait?: boolean;
  events: boolean;
  sweepEvery: number;
  webhookPort?: number;
  json?: boolean;
  log?: string;
  acceptWeakS3?: boolean;
}

/** Short waits, so that retries with the stand-in are visible within seconds. */
const standInTimings: RetryTimings = {
  ...retryTimings,
  minWaitMs: 1_000,
  maxLiveWaitMs: 5_000,
  maxWaitMs: 5_000,
  documentFaultAfterMs: 10_000,
  attemptsSpanMs: 2_000,
};

const program = new Command('npm start --')
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
  .option('--sweep-every <seconds>', 'seconds between sweeps for new documents', asSeconds, 10)
  .option(
    '--webhook-port <port>',
    'port for webhooks, for example behind a tunnel (default: any free port)',
    asPort,
  )
  .option('--json', 'print one JSON object per line; the first has all addresses')
  .option('--log <file>', 'append the logs of the functions to this file')
  .option(
    '--accept-weak-s3',
    'use the S3 at ARCHIVE_S3_ENDPOINT even if it lacks conditional writes or checksums',
  )
  .addHelpText(
    'after',
    '\nExit code: 0 everything archived · 1 dead letters, or an invalid option · 2 could not start, or the disk failed · 130 interrupted',
  );

program.parse();
process.exitCode = await run(program.opts<Options>());
// A kept-alive connection or an interrupted invocation may still keep the process running.
process.exit();

async function run(options: Options): Promise<number> {
  keepYoungGenerationSmall();
  const interrupted = new Promise<'interrupted'>((resolveInterrupt) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.once(signal, () => {
        // A second signal exits immediately.
        process.once(signal, () => process.exit(130));
        resolveInterrupt('interrupted');
      });
    }
  });
  const { stdin, stdout, stderr } = process;
  const terminal = createTerminal({ json: options.json ?? false, time, stdin, stdout, stderr });
  const { print, record, note: warn } = terminal;
  const diskFailed = Promise.withResolvers<DiskError>();
  const ledger = new Ledger();
  const logFile = options.log === undefined ? undefined : createWriteStream(options.log, { flags: 'a' });

  let onChange: (change: Change) => void = () => undefined;
  let stack: Stack;
  try {
    stack = await startStack({
      archive: resolve(options.archive),
      bucket: await openExternalBucket(process.env, options.acceptWeakS3 ?? false, warn),
      telnyx: realTelnyx(options),
      documents: await existingFolder(options.documents),
      faults: options.faults ? (options.documents === undefined ? sampleFaults : scatteredFaults) : [],
      publicKeys: list(process.env.TELNYX_PUBLIC_KEY ?? ''),
      webhookPort: options.webhookPort,
      events: options.events,
      timings: options.telnyx ? retryTimings : standInTimings,
      onLog: (line) => {
        logFile?.write(`${line}\n`);
        const change = ledger.read(line);
        if (!change) return;
        record(change);
        onChange(change);
      },
      onProblem: warn,
      onDiskError: diskFailed.resolve,
      version: packageJson.version,
      time,
      random: Math.random,
    });
  } catch (error) {
    warn(error instanceof Error ? error.message : String(error));
    return 2;
  }

  const { addresses, signingKey } = stack;
  record({ ...addresses, publicKey: signingKey.publicKey });
  print(`Webhook ${addresses.webhookUrl}`);
  print(`Key     ${signingKey.publicKey} (public key that verifies local events)`);
  print(`Telnyx  ${addresses.telnyxUrl}${stack.standIn ? ' (stand-in)' : ''}`);
  print(`S3      ${addresses.s3Endpoint}`);
  print(`SQS     ${addresses.sqsEndpoint}`);
  print(`Archive ${addresses.archive}`, '');

  let end: 'idle' | 'interrupted' | DiskError = 'idle';
  if (!options.wait) {
    const progress = showTotals(() => ledger.totals(), terminal, time);
    await stack.discoverAll();
    const idle = waitUntilIdle(stack, time).then(() => 'idle' as const);
    end = await Promise.race([idle, interrupted, diskFailed.promise]);
    progress.stop();
    const names = await namesFromReceipts(ledger, stack.bucket);
    const table = documentTable(ledger, names, stdout.columns);
    if (table.plain !== '') print('', table);
    print(...summaryOf(ledger, addresses.archive));
    record({ summary: ledger.totals() });
  }
  if (end === 'idle' && !options.once) {
    print(
      '',
      `Receiving webhooks; sweeping for new documents every ${options.sweepEvery} s. Press Ctrl-C to stop.`,
    );
    onChange = (change) => print(changeLine(change));
    const stopSweeping = every(time, options.sweepEvery * 1_000, () => {
      stack.sweep().catch((error: unknown) => warn(`Could not queue a sweep: ${error}`));
    });
    const stopped = await Promise.race([interrupted, diskFailed.promise]);
    if (stopped instanceof Error) end = stopped;
    stopSweeping();
  }
  await stack.stop();
  if (end instanceof Error) {
    warn('', end.message, 'Stopped; safe to run again. Documents that have a receipt are not copied again.');
    return 2;
  }
  if (end === 'interrupted') {
    print('', 'Interrupted; safe to re-run. Documents that have a receipt are not copied again.');
    return 130;
  }
  return ledger.totals().deadLettered > 0 ? 1 : 0;
}

function realTelnyx({ telnyx, documents }: Options): { url: URL; apiKey: string } | undefined {
  if (telnyx === undefined) return undefined;
  if (documents !== undefined)
    throw new Error('--documents and --telnyx cannot be combined: --documents applies to the stand-in.');
  const apiKey = process.env.TELNYX_API_KEY;
  if (!apiKey) throw new Error('--telnyx requires the environment variable TELNYX_API_KEY.');
  return { url: telnyx, apiKey };
}

async function existingFolder(folder: string | undefined): Promise<string | undefined> {
  if (folder === undefined) return undefined;
  const path = resolve(folder);
  const found = await stat(path).catch(() => undefined);
  if (!found?.isDirectory()) throw new Error(`--documents ${folder}: folder not found.`);
  return path;
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

function asSeconds(value: string): number {
  // A sweep queues documents of the last two minutes: a longer interval could miss some.
  if (!/^[1-9]\d?$/.test(value) || Number(value) > 60) {
    throw new InvalidArgumentError('Must be a whole number of seconds from 1 to 60.');
  }
  return Number(value);
}

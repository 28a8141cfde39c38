/** `npm start`: the archiver on this machine, archiving while you watch. */
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
import { type Change, Ledger } from './ledger.ts';
import { showTotals } from './progress.ts';
import { changeLine, documentTable, namesFromReceipts, summaryOf } from './report.ts';
import { safeOtherBucket } from './s3/archive-bucket.ts';
import { type Stack, startStack } from './stack.ts';
import { sampleFaults, scatteredFaults } from './telnyx/faults.ts';
import { whenQuiet } from './when-quiet.ts';

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

/** With the stand-in nobody wants to wait minutes to see a retry. */
const standInTimings: RetryTimings = {
  ...retryTimings,
  leastWaitMs: 1_000,
  longestLiveWaitMs: 5_000,
  longestWaitMs: 5_000,
  documentFaultAfterMs: 10_000,
  attemptsSpanMs: 2_000,
};

const program = new Command('npm start --')
  .description(
    'Runs the whole archiver on this machine: local queues, a bucket of plain files, and a stand-in for Telnyx\n' +
      'with sample documents. Documents that have a receipt are left alone, so a second run does nothing.',
  )
  .option('--archive <folder>', 'where the archive is, or is to be', 'archive')
  .option('--documents <folder>', 'archive the files of this folder, in place of the samples')
  .option(
    '--telnyx <url>',
    'archive a real account; needs TELNYX_API_KEY, e.g. https://api.telnyx.com/v2',
    asUrl,
  )
  .option('--faults', 'let all sorts of things go wrong, to see what becomes of them')
  .option('--once', 'leave when everything is archived or given up, instead of serving until Ctrl-C')
  .option('--wait', 'archive nothing at the start: wait for webhooks and sweeps')
  .option('--no-events', 'let the stand-in announce nothing: only sweeps find new documents')
  .option('--sweep-every <seconds>', 'how often to look for new documents', asSeconds, 10)
  .option(
    '--webhook-port <port>',
    'where webhooks come in, for a tunnel to Telnyx; by default any free port',
    asPort,
  )
  .option('--json', 'one JSON object per line; the first has the addresses of everything')
  .option('--log <file>', 'append what the functions log to this file')
  .option(
    '--accept-weak-s3',
    'go on although the S3 at ARCHIVE_S3_ENDPOINT lacks conditional writes or checksums',
  )
  .addHelpText(
    'after',
    '\nExit code: 0 all is archived · 1 there are dead letters · 2 it could not start · 130 stopped before the end',
  );

program.parse();
process.exitCode = await run(program.opts<Options>());
// Whatever a kept-alive connection or an invocation cut short still holds open, it is over.
process.exit();

async function run(options: Options): Promise<number> {
  keepYoungGenerationSmall();
  const interrupted = new Promise<'interrupted'>((resolveInterrupt) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.once(signal, () => {
        // The second time it means it.
        process.once(signal, () => process.exit(130));
        resolveInterrupt('interrupted');
      });
    }
  });
  const say = options.json ? () => undefined : (text: string) => console.log(text);
  const warn = (text: string) => console.error(text);
  const ledger = new Ledger();
  const logFile = options.log === undefined ? undefined : createWriteStream(options.log, { flags: 'a' });

  let onChange: (change: Change) => void = () => undefined;
  let stack: Stack;
  try {
    stack = await startStack({
      archive: resolve(options.archive),
      bucket: await safeOtherBucket(process.env, options.acceptWeakS3 ?? false, warn),
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
        if (options.json) console.log(JSON.stringify(change));
        onChange(change);
      },
      onProblem: warn,
      version: packageJson.version,
      time,
      random: Math.random,
    });
  } catch (error) {
    warn(error instanceof Error ? error.message : String(error));
    return 2;
  }

  const { addresses, signingKey } = stack;
  if (options.json) console.log(JSON.stringify({ ...addresses, publicKey: signingKey.publicKey }));
  say(`Webhook ${addresses.webhookUrl}`);
  say(`Key     ${signingKey.publicKey} (public, of the events here)`);
  say(`Telnyx  ${addresses.telnyxUrl}${stack.standIn ? ' (stand-in)' : ''}`);
  say(`S3      ${addresses.s3Endpoint}`);
  say(`SQS     ${addresses.sqsEndpoint}`);
  say(`Archive ${addresses.archive}\n`);

  let end: 'quiet' | 'interrupted' = 'quiet';
  if (!options.wait) {
    const progress = options.json
      ? undefined
      : showTotals({ totals: () => ledger.totals(), stream: process.stdout, time });
    await stack.discoverAll();
    end = await Promise.race([whenQuiet(stack, time).then(() => 'quiet' as const), interrupted]);
    progress?.stop();
    const names = await namesFromReceipts(ledger, stack.bucket);
    const table = documentTable(ledger, names, process.stdout.columns);
    say(table && `\n${table}`);
    say(summaryOf(ledger, addresses.archive));
    if (options.json) console.log(JSON.stringify({ summary: ledger.totals() }));
  }
  if (end === 'quiet' && !options.once) {
    say(`\nServing webhooks, and looking for new documents every ${options.sweepEvery} s; Ctrl-C ends it.`);
    onChange = (change) => say(changeLine(change));
    const stopSweeping = every(time, options.sweepEvery * 1_000, () => {
      stack.sweep().catch((error: unknown) => warn(`The sweep could not be queued: ${error}`));
    });
    await interrupted;
    stopSweeping();
  }
  await stack.stop();
  if (end === 'interrupted') {
    say('\nStopped before the end. Start again to go on: what has a receipt is not copied again.');
    return 130;
  }
  return ledger.totals().deadLettered > 0 ? 1 : 0;
}

function realTelnyx({ telnyx, documents }: Options): { url: URL; apiKey: string } | undefined {
  if (telnyx === undefined) return undefined;
  if (documents !== undefined)
    throw new Error('--documents is for the stand-in: give either it or --telnyx.');
  const apiKey = process.env.TELNYX_API_KEY;
  if (!apiKey)
    throw new Error('--telnyx needs the account’s API key in the environment variable TELNYX_API_KEY.');
  return { url: telnyx, apiKey };
}

async function existingFolder(folder: string | undefined): Promise<string | undefined> {
  if (folder === undefined) return undefined;
  const path = resolve(folder);
  const found = await stat(path).catch(() => undefined);
  if (!found?.isDirectory()) throw new Error(`--documents ${folder}: there is no such folder.`);
  return path;
}

function asUrl(value: string): URL {
  try {
    return serviceUrl(value);
  } catch (error) {
    throw new InvalidArgumentError(`It ${error instanceof Error ? error.message : 'is not usable.'}`);
  }
}

function asPort(value: string): number {
  if (!/^\d{1,5}$/.test(value) || Number(value) > 65_535) {
    throw new InvalidArgumentError('It must be a port, from 0 to 65535.');
  }
  return Number(value);
}

function asSeconds(value: string): number {
  // A sweep reads the documents of the last two minutes.
  if (!/^[1-9]\d?$/.test(value) || Number(value) > 60) {
    throw new InvalidArgumentError('It must be a whole number of seconds, at most 60.');
  }
  return Number(value);
}

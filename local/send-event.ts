/** `npm run send-event -- <file>`: signs a sample event and sends it as Telnyx would. */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import pLimit from 'p-limit';
import { printable } from '../terminal/escape.ts';
import { readSession, type Session } from './session.ts';
import { importSeed, signedHeaders } from './telnyx/signing.ts';

interface Options {
  archive: string;
  url?: string;
  key?: string;
  times: number;
  concurrency: number;
  tamper?: boolean;
  late?: boolean;
}

const statusMeanings: Record<number, string> = {
  200: 'accepted',
  400: 'valid signature, unreadable body',
  401: 'signature rejected',
  413: 'too large',
  503: 'not queued; Telnyx would retry',
};

const program = new Command('npm run send-event --')
  .description('Sign an event and send it to the webhook of the local stack, as Telnyx does.')
  .argument('<file>', 'file with the event, for example events/number-order-complete.json; sent unchanged')
  .option('--archive <folder>', 'archive folder of the running `npm start`', 'archive')
  .option('--url <url>', 'URL of the webhook (default: the running stack of --archive)')
  .option('--key <seed>', 'signing key, base64 of 32 bytes (default: the key of the running stack)')
  .option('--times <n>', 'how many times to send it', wholeNumber, 1)
  .option('--concurrency <n>', 'how many requests at once', wholeNumber, 10)
  .option('--tamper', 'change one byte after signing; the webhook must reject it')
  .option('--late', 'sign with a timestamp six minutes old; the webhook must reject it')
  .addHelpText(
    'after',
    `
Exit code: 0 every request returned 200 · 1 a request returned another status ·
2 could not send, or an invalid option`,
  )
  .exitOverride();

try {
  program.parse();
  process.exitCode = await send(program.args[0] ?? '', program.opts<Options>());
} catch (error) {
  // Commander has printed the help, or what is wrong with an option.
  if (error instanceof CommanderError) process.exit(error.exitCode === 0 ? 0 : 2);
  console.error(printable(error instanceof Error ? error.message : String(error)));
  process.exitCode = 2;
}

async function send(path: string, options: Options): Promise<number> {
  const body = await readFile(path).catch((error: unknown) => {
    throw new Error(`Cannot read ${path}. Sample events are in events/.`, { cause: error });
  });
  const session =
    options.url !== undefined && options.key !== undefined
      ? { webhookUrl: options.url, signingKey: options.key }
      : await runningStack(options.archive);
  const url = options.url ?? session.webhookUrl;
  const key = importSeed(options.key ?? session.signingKey);

  const sendOne = async () => {
    const seconds = Date.now() / 1_000 - (options.late ? 360 : 0);
    const headers = signedHeaders(body, seconds, key);
    const sent = options.tamper ? tampered(body) : body;
    const startedAt = performance.now();
    const response = await fetch(url, { method: 'POST', headers, body: sent }).catch((error: unknown) => {
      throw new Error(`No response from ${url}. Is the stack still running?`, { cause: error });
    });
    await response.arrayBuffer();
    return { status: response.status, ms: performance.now() - startedAt };
  };
  const responses = await pLimit(options.concurrency).map(Array(options.times).fill(undefined), sendOne);

  const byStatus = Map.groupBy(responses, ({ status }) => status);
  for (const [status, same] of byStatus) {
    const slowest = Math.max(...same.map(({ ms }) => ms));
    console.log(
      `${same.length} × ${status} ${statusMeanings[status] ?? ''} (slowest ${slowest.toFixed(0)} ms)`,
    );
  }
  return byStatus.size === 1 && byStatus.has(200) ? 0 : 1;
}

async function runningStack(archive: string): Promise<Session> {
  const session = await readSession(resolve(archive));
  if (session) return session;
  throw new Error(
    `No local stack is running on ${archive}. Start one with \`npm start\`, or pass --url and --key.`,
  );
}

function tampered(body: Buffer): Buffer {
  const changed = Buffer.from(body);
  const middle = Math.floor(changed.length / 2);
  changed[middle] = (changed[middle] ?? 0) ^ 1;
  return changed;
}

function wholeNumber(value: string): number {
  if (!/^[1-9]\d{0,6}$/.test(value)) throw new InvalidArgumentError('Must be a whole number, at least 1.');
  return Number(value);
}

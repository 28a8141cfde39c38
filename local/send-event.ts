/** `npm run send-event -- <file>`: signs a sample event and sends it as Telnyx would. */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import pLimit from 'p-limit';
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

const meanings: Record<number, string> = {
  200: 'accepted',
  400: 'genuine, but not readable',
  401: 'refused',
  413: 'too large',
  503: 'not queued; Telnyx would send it again',
};

const program = new Command('npm run send-event --')
  .description('Signs an event and sends it to the webhook of the local stack, as Telnyx would.')
  .argument('<file>', 'the event, such as events/number-order-complete.json; its bytes are sent as they are')
  .option('--archive <folder>', 'the folder that `npm start` archives to', 'archive')
  .option('--url <url>', 'the webhook; by default that of the stack that `npm start` runs there')
  .option('--key <seed>', 'the signing key, base64 of 32 bytes; by default that of the running stack')
  .option('--times <n>', 'how often to send it', wholeNumber, 1)
  .option('--concurrency <n>', 'how many at once', wholeNumber, 10)
  .option('--tamper', 'change one byte after signing: it must be refused')
  .option('--late', 'sign for six minutes ago: it must be refused')
  .addHelpText(
    'after',
    '\nExit code: 0 every event was accepted with 200 · 1 otherwise · 2 it could not be sent',
  );

program.parse();
try {
  process.exitCode = await send(program.args[0] ?? '', program.opts<Options>());
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 2;
}

async function send(path: string, options: Options): Promise<number> {
  const body = await readFile(path).catch((error: unknown) => {
    throw new Error(`${path} cannot be read. Sample events are in events/.`, { cause: error });
  });
  const session =
    options.url !== undefined && options.key !== undefined
      ? { webhookUrl: options.url, signingKey: options.key }
      : await runningStack(options.archive);
  const url = options.url ?? session.webhookUrl;
  const key = importSeed(options.key ?? session.signingKey);

  const once = async () => {
    const seconds = Date.now() / 1_000 - (options.late ? 360 : 0);
    const headers = signedHeaders(body, seconds, key);
    const sent = options.tamper ? tampered(body) : body;
    const began = performance.now();
    const answer = await fetch(url, { method: 'POST', headers, body: sent }).catch((error: unknown) => {
      throw new Error(`${url} does not answer. Is the stack still running?`, { cause: error });
    });
    await answer.arrayBuffer();
    return { status: answer.status, ms: performance.now() - began };
  };
  const answers = await pLimit(options.concurrency).map(Array(options.times).fill(undefined), once);

  const byStatus = Map.groupBy(answers, ({ status }) => status);
  for (const [status, same] of byStatus) {
    const slowest = Math.max(...same.map(({ ms }) => ms));
    console.log(`${same.length} × ${status} ${meanings[status] ?? ''} (slowest ${slowest.toFixed(0)} ms)`);
  }
  return byStatus.size === 1 && byStatus.has(200) ? 0 : 1;
}

async function runningStack(archive: string): Promise<Session> {
  const session = await readSession(resolve(archive));
  if (session) return session;
  throw new Error(
    `No local stack is running on ${archive}. Start one with \`npm start\`, or give --url and --key.`,
  );
}

function tampered(body: Buffer): Buffer {
  const changed = Buffer.from(body);
  const middle = Math.floor(changed.length / 2);
  changed[middle] = (changed[middle] ?? 0) ^ 1;
  return changed;
}

function wholeNumber(value: string): number {
  if (!/^[1-9]\d{0,6}$/.test(value)) throw new InvalidArgumentError('It must be a whole number from 1 on.');
  return Number(value);
}

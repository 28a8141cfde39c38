/** What `npm start` does: checks its options, starts the stack, archives all documents, then waits for new ones. */
import { type RetryTimings, retryTimings } from '../functions/limits.ts';
import { list } from '../functions/settings.ts';
import type { Random, Time } from '../functions/time.ts';
import packageJson from '../package.json' with { type: 'json' };
import { formatNumber } from '../terminal/counts.ts';
import { every } from '../terminal/every.ts';
import type { Terminal } from '../terminal/terminal.ts';
import { readAuditLine } from './audit-log.ts';
import { Ledger } from './ledger.ts';
import { archivingProgress } from './progress.ts';
import { documentTable, fileNamesOf, summaryOf } from './report.ts';
import { localBucket, openExternalBucket } from './s3/archive-bucket.ts';
import type { DiskError } from './s3/file-errors.ts';
import { type Stack, startStack } from './stack.ts';
import { checkFolders, openLogFile } from './start-checks.ts';
import type { StartOutput } from './start-output.ts';
import { sampleFaults, scatteredFaults } from './telnyx/faults.ts';
import { openAccount, type TelnyxAccount } from './telnyx-account.ts';
import { waitUntilIdle } from './wait-until-idle.ts';
import { readWebhookLine } from './webhook-log.ts';

export interface StartOptions {
  archive: string;
  documents?: string;
  telnyx?: URL;
  faults?: boolean;
  once?: boolean;
  wait?: boolean;
  events: boolean;
  sweepEvery: number;
  auditEvery?: number;
  webhookPort?: number;
  log?: string;
  acceptWeakS3?: boolean;
}

export interface StartContext {
  environment: NodeJS.ProcessEnv;
  terminal: Terminal;
  output: StartOutput;
  time: Time;
  random: Random;
  /** Aborts on Ctrl-C. */
  signal: AbortSignal;
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

/** As a shell reports a process that Ctrl-C ended. */
const interruptedCode = 130;
/** Milliseconds between two lines of progress outside a terminal. */
const lineEveryMs = 1_000;
/** How long to ask Telnyx for the names of failed documents, in milliseconds. */
const namesMs = 5_000;

/**
 * @returns the exit code
 * @throws Error if an option is not valid or the stack cannot start, DiskError if the disk fails
 */
export async function runStart(options: StartOptions, outer: StartContext): Promise<number> {
  const { output, terminal } = outer;
  const disk = new AbortController();
  const signal = AbortSignal.any([outer.signal, disk.signal]);
  const context = { ...outer, signal };
  const ledger = new Ledger();
  const account = accountOf(options, context);
  const stack = await untilInterrupted(start(options, account, ledger, disk, context), signal);
  disk.signal.throwIfAborted();
  if (stack === undefined) return interruptedCode;
  try {
    showAddresses(stack, context);
    if (!options.wait) await archiveAll(stack, ledger, account, context);
    if (!options.once && !signal.aborted) {
      const { sweepEvery, auditEvery } = options;
      const audits = auditEvery === undefined ? '' : `; auditing the archive every ${auditEvery} s`;
      terminal.print(
        '',
        `Receiving webhooks; sweeping for new documents every ${sweepEvery} s${audits}. Press Ctrl-C to stop.`,
      );
      output.showAll();
      await runSchedules(stack, options, context);
    }
    disk.signal.throwIfAborted();
    if (signal.aborted) {
      terminal.print('Interrupted; safe to re-run. Documents that have a receipt are not copied again.');
      return interruptedCode;
    }
    return await exitCodeOf(ledger, stack);
  } finally {
    await stack.stop();
  }
}

/** @throws Error if the options cannot be combined */
function accountOf(
  { telnyx, documents, once, wait, auditEvery }: StartOptions,
  { environment, time }: StartContext,
): TelnyxAccount | undefined {
  if (once && wait)
    throw new Error('--once and --wait cannot be combined: --wait archives nothing at the start.');
  if (once && auditEvery !== undefined)
    throw new Error('--once and --audit-every cannot be combined: --once ends before the first audit.');
  if (telnyx === undefined) return undefined;
  if (documents !== undefined)
    throw new Error('--documents and --telnyx cannot be combined: --documents applies to the stand-in.');
  const apiKey = environment.TELNYX_API_KEY;
  if (!apiKey) throw new Error('--telnyx requires the environment variable TELNYX_API_KEY.');
  return openAccount(telnyx, apiKey, packageJson.version, time);
}

async function start(
  options: StartOptions,
  account: TelnyxAccount | undefined,
  ledger: Ledger,
  disk: AbortController,
  { environment, terminal, output, time, random, signal }: StartContext,
): Promise<Stack> {
  const { archive, documents } = await checkFolders(options);
  const writeLog =
    options.log === undefined
      ? undefined
      : openLogFile(options.log, (error) => output.warning(`--log: the logs end here: ${error}`));
  if (account) {
    output.doing(`Asking Telnyx at ${account.url.href}`);
    await account.check(signal);
  }
  if (environment.ARCHIVE_S3_ENDPOINT) output.doing(`Checking the S3 at ${environment.ARCHIVE_S3_ENDPOINT}`);
  const bucket = await openExternalBucket(environment, options.acceptWeakS3 ?? false, output.warning);
  signal.throwIfAborted();
  const files = { read: 0, total: 0 };
  const reading =
    documents === undefined
      ? undefined
      : terminal.progress(
          () => ({
            ended: files.read,
            total: files.total || undefined,
            text: `Reading the files in ${documents}${files.total === 0 ? '…' : `: ${formatNumber(files.read)} of ${formatNumber(files.total)}`}`,
          }),
          { lineEveryMs },
        );
  // The process may end before the reading does.
  signal.addEventListener('abort', () => reading?.stop(), { once: true });
  try {
    return await startStack({
      archive,
      bucket,
      telnyx: account,
      documents,
      faults: options.faults ? (documents === undefined ? sampleFaults : scatteredFaults) : [],
      publicKeys: list(environment.TELNYX_PUBLIC_KEY ?? ''),
      webhookPort: options.webhookPort,
      events: options.events,
      timings: account ? retryTimings : standInTimings,
      signal,
      onFilesRead: (read, total) => {
        Object.assign(files, { read, total });
      },
      onLog: (line) => {
        writeLog?.(line);
        const change = ledger.read(line);
        // After a failure of the disk, the functions can only blame the S3 that writes to it.
        if (change && !disk.signal.aborted) output.change(change);
        const webhook = readWebhookLine(line);
        if (webhook) output.webhook(webhook);
        const audit = readAuditLine(line);
        if (audit) output.audit(audit);
      },
      onProblem: output.warning,
      onDiskError: (error: DiskError) => disk.abort(error),
      version: packageJson.version,
      time,
      random,
    });
  } finally {
    reading?.stop();
  }
}

function showAddresses(stack: Stack, { environment, terminal, output }: StartContext): void {
  const { addresses, signingKey, standIn, standInKey, credentials, lanes } = stack;
  const { documents, backfill, discovery, spans, audit } = lanes;
  const urls = ({ queueUrl, deadLetterQueueUrl }: typeof documents) => ({ queueUrl, deadLetterQueueUrl });
  output.record({
    type: 'started',
    ...addresses,
    publicKey: signingKey.publicKey,
    standIn: standIn !== undefined,
    ...(standInKey !== undefined && { apiKey: standInKey }),
    ...(environment.ARCHIVE_S3_ENDPOINT ? {} : { bucket: localBucket }),
    queues: {
      documents: urls(documents),
      backfill: urls(backfill),
      discovery: urls(discovery),
      spans: urls(spans),
      audit: urls(audit),
    },
    region: 'us-east-1',
    credentials,
  });
  terminal.print(`Webhook ${addresses.webhookUrl}`);
  terminal.print(`Key     ${signingKey.publicKey} (public key for events)`);
  terminal.print(`Telnyx  ${addresses.telnyxUrl}${standIn ? ' (stand-in)' : ''}`);
  terminal.print(`S3      ${addresses.s3Endpoint}`);
  terminal.print(`SQS     ${addresses.sqsEndpoint}`);
  terminal.print(`Archive ${addresses.archive}`, '');
}

/** Ends early when interrupted, without the table and the summary. */
async function archiveAll(
  stack: Stack,
  ledger: Ledger,
  account: TelnyxAccount | undefined,
  { terminal, output, time, signal }: StartContext,
): Promise<void> {
  const startedAt = time.monotonic();
  const progress = terminal.progress(
    () => archivingProgress(ledger.totals(), (time.monotonic() - startedAt) / 1_000),
    { lineEveryMs },
  );
  await stack.discoverAll();
  await untilInterrupted(waitUntilIdle(stack, time), signal);
  progress.stop();
  // What was running has not been counted yet.
  if (signal.aborted) return;
  output.record({ type: 'summary', ...ledger.totals() });
  const namesSignal = AbortSignal.any([signal, AbortSignal.timeout(namesMs)]);
  const names = await untilInterrupted(
    fileNamesOf(
      ledger,
      stack.bucket,
      (id) => stack.standIn?.documents.get(id)?.fileName ?? account?.fileNameOf(id, namesSignal),
    ),
    signal,
  );
  const table = names && documentTable(ledger, names, process.stdout.columns);
  terminal.print('', ...(table ? [table] : []), ...summaryOf(ledger, stack.addresses.archive));
}

/** Queues sweeps and audits until interrupted. */
async function runSchedules(
  stack: Stack,
  { sweepEvery, auditEvery }: StartOptions,
  { output, time, signal }: StartContext,
): Promise<void> {
  const schedule = (what: string, seconds: number, queue: () => Promise<void>) =>
    every(time, seconds * 1_000, () => {
      queue().catch((error: unknown) => {
        if (!signal.aborted) output.warning(`Could not queue ${what}: ${error}`);
      });
    });
  const stops = [
    schedule('a sweep', sweepEvery, stack.sweep),
    ...(auditEvery === undefined ? [] : [schedule('an audit', auditEvery, stack.audit)]),
  ];
  await untilInterrupted(new Promise(() => undefined), signal);
  for (const stop of stops) stop();
}

/** 0 only if everything that Telnyx listed is archived. Dead letters of a crashed function are in the queues alone. */
async function exitCodeOf(ledger: Ledger, stack: Stack): Promise<number> {
  const { listed, deadLettered, unreadable } = ledger.totals();
  return listed && deadLettered === 0 && !unreadable && (await stack.deadLetterCount()) === 0 ? 0 : 1;
}

/** Resolves with undefined as soon as the signal aborts. Whatever the promise does later has no effect. */
async function untilInterrupted<Result>(
  promise: Promise<Result>,
  signal: AbortSignal,
): Promise<Result | undefined> {
  const interrupted = Promise.withResolvers<undefined>();
  const onAbort = () => interrupted.resolve(undefined);
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  try {
    return await Promise.race([interrupted.promise, promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

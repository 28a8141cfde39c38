/** `redrive`: shows dead letters, then sends their messages again or clears them. */
import { SendMessageBatchCommand } from '@aws-sdk/client-sqs';
import { InvalidArgumentError } from 'commander';
import { type LaneName, laneNames } from '../../functions/queue/lanes.ts';
import { sleep } from '../../functions/time.ts';
import { formatCount, formatNumber } from '../../terminal/counts.ts';
import { type ArchiverCommand, type CommandContext, UsageError } from '../command.ts';
import { commandLine } from '../command-line.ts';
import { acknowledge, failuresWithIds, parseNote } from '../dead-letters/acknowledge.ts';
import { batchesOf } from '../dead-letters/batches.ts';
import { type ByReceipt, describeArchived, splitByReceipt } from '../dead-letters/by-receipt.ts';
import {
  codesOf,
  countFailures,
  describeFailures,
  type Failure,
  failuresOf,
  lettersOf,
  letterToSend,
} from '../dead-letters/failures.ts';
import { showFailures } from '../dead-letters/failures-table.ts';
import {
  type DeadLetterLock,
  type LockedMessage,
  type LockOptions,
  lockSeconds,
  withDeadLetterLock,
} from '../dead-letters/lock.ts';
import { describeLockedElsewhere } from '../dead-letters/locked-elsewhere.ts';
import { type DocumentNames, readNames } from '../dead-letters/names.ts';
import { parseDocumentIds } from '../document-ids.ts';
import { type CommandHelp, findStackPermissions } from '../help.ts';
import { type ArchiverQueues, queuesOf } from '../target/target.ts';

export interface RedriveOptions {
  code?: string[];
  id?: string[];
  lane?: LaneName;
  /** Document IDs, or message IDs of messages without a document. */
  acknowledge?: string[];
  note?: string;
  /** Documents per second. */
  rate: number;
  /** Seconds to wait at the end for documents that fail again. */
  wait: number;
  /** Look up file names and customer references at Telnyx. */
  names?: boolean;
  dryRun?: boolean;
  yes?: boolean;
}

const help: CommandHelp = {
  text: `
Shows the dead letters by error code with the runbook's advice, then asks for confirmation. A document is redriven once,
however many dead letters it has. Its message is sent before its dead letters are deleted, so it is never lost. If the
first documents fail again, the rest stay in the dead-letter queue. Ctrl-C releases everything that was not redriven.

Dead letters of documents that have been archived or erased in the meantime are cleared without sending anything.

--acknowledge clears the dead letters of a document that stays unarchived, such as an infected one. No other record is
kept: save the output. With --json it is one line per document with ID, error codes, time and note.

TELNYX_API_KEY must be set for --names.`,
  examples: [
    ['redrive --dry-run', 'show the dead letters'],
    ['redrive --code LinkNotAllowed', 'send those with this error code again'],
    [
      'redrive --acknowledge <document-id> --note "infected" --yes',
      'clear those of a document that stays unarchived',
    ],
  ],
  exitCodes: {
    0: 'done, or no dead letters',
    1: 'some failed again, SQS did not accept or delete all of them, or another command has locked some',
  },
  permissions: `
on the dead-letter queues sqs:GetQueueUrl, sqs:GetQueueAttributes, sqs:ReceiveMessage and sqs:ChangeMessageVisibility;
without --dry-run also sqs:DeleteMessage on them and sqs:GetQueueUrl and sqs:SendMessage on the lanes' queues. For the
receipts s3:ListBucket and ${findStackPermissions}.`,
};

export const redriveCommand: ArchiverCommand = {
  name: 'redrive',
  help,
  configure: (command) =>
    command
      .description('show dead letters, then send their messages again or clear them')
      .option('--code <code>', 'only documents with this error code; repeatable', collect)
      .option('--id <document-id>', 'only this document; repeatable', collect)
      .option('--lane <name>', `only dead letters of this lane: ${laneNames.join(', ')}`, asLane)
      .option(
        '--acknowledge <document-id>',
        'clear the dead letters of this document and leave it unarchived; a message ID if there is no document; repeatable',
        collect,
      )
      .option('--note <text>', 'with --acknowledge: why, at most 200 characters')
      .option('--rate <per-second>', 'documents per second', asRate, 10)
      .option('--wait <seconds>', 'how long to wait at the end for documents that fail again', asNumber, 5)
      .option('--names', 'show file names and customer references; one request to Telnyx per document')
      .option('--dry-run', 'only show the dead letters')
      .option('--yes', 'skip the confirmation'),
  run: (context, parsed) => redrive(parsed.opts(), context),
};

/** Redriving stops when this many documents, and at least half of those redriven, have failed again. */
const minFailedAgain = 3;
const checkEveryMs = 2_000;

/**
 * @returns the exit code
 * @throws UsageError for options that cannot be combined; Error for an acknowledged ID without dead letters
 */
export async function redrive(options: RedriveOptions, context: CommandContext): Promise<number> {
  const { target, terminal, time, signal } = context;
  const select = createSelector(options);
  const queues = await target.queues();
  const lockOptions: LockOptions = {
    lanes: options.lane && [options.lane],
    // Letters that take longer to redrive become visible again, and the next check locks them again.
    forSeconds: options.dryRun ? lockSeconds.read : lockSeconds.redrive,
    signal,
  };
  return await withDeadLetterLock(queues, lockOptions, async (lock) => {
    await lock.acquire();
    const lockedElsewhere = await lock.countLockedElsewhere();
    const all = failuresOf(lock.letters());
    terminal.record({ type: 'total', ...countFailures(all), lockedElsewhere });
    if (lockedElsewhere > 0) {
      const lines = describeLockedElsewhere(lockedElsewhere, time.now());
      terminal.print(...lines.map((line) => terminal.paint('yellow', line)));
    }
    const { failures, note } = select(all);
    if (failures.length > 0) {
      const exitCode = await showAndRedrive(failures, note, lock, queues, options, context);
      return lockedElsewhere === 0 ? exitCode : 1;
    }
    if (all.length > 0) terminal.print(describeMismatch(all, options));
    else if (lockedElsewhere === 0)
      terminal.print(`No dead letters${options.lane ? ` in the lane ${options.lane}` : ''}.`);
    return lockedElsewhere === 0 ? 0 : 1;
  });
}

/** @returns the exit code */
async function showAndRedrive(
  failures: readonly Failure[],
  note: string | undefined,
  lock: DeadLetterLock,
  queues: ArchiverQueues,
  options: RedriveOptions,
  context: CommandContext,
): Promise<number> {
  const { terminal, signal } = context;
  const work = await splitByReceipt(failures, context);
  const names = options.names ? await readNames(work.open, context) : undefined;
  await show(work, names, context);
  if (options.dryRun) return 0;
  if (!options.yes && !(await terminal.confirm(questionFor(work, note), signal))) {
    terminal.note('Nothing was changed.');
    return 0;
  }

  const notDeleted = await clearArchived(work.archived, lock, context);
  const result =
    note === undefined
      ? await redriveAll(work.open, lock, queues, options, context)
      : { ...nothing, notDeleted: await acknowledge(work.open, note, lock, context) };
  return printResult({ ...result, notDeleted: result.notDeleted + notDeleted }, context);
}

/** Says that there are dead letters, but none that the options select. */
function describeMismatch(all: readonly Failure[], { code = [], id = [] }: RedriveOptions): string {
  const filters = [...code.map((name) => `--code ${name}`), ...id.map((name) => `--id ${name}`)];
  const codes = [...new Set(all.flatMap(codesOf))];
  return `No match for ${filters.join(' ')} among ${describeFailures(all)} with the ${codes.length === 1 ? 'code' : 'codes'} ${codes.join(', ')}.`;
}

interface Selection {
  failures: Failure[];
  /** Why the documents stay unarchived; undefined to redrive them. */
  note: string | undefined;
}

function createSelector({
  acknowledge: ids,
  note: text,
  code,
  id,
  lane,
}: RedriveOptions): (all: Failure[]) => Selection {
  if (ids !== undefined) {
    if (code ?? id ?? lane)
      throw new UsageError('--acknowledge cannot be combined with --code, --id or --lane.');
    const note = parseNote(text);
    return (all) => ({ failures: failuresWithIds(all, ids), note });
  }
  if (text !== undefined) throw new UsageError('--note requires --acknowledge.');
  const codes = code && new Set(code.map((name) => name.toLowerCase()));
  const documents = id && new Set(parseDocumentIds(id, '--id'));
  const isSelected = (failure: Failure) =>
    (codes === undefined || codesOf(failure).some((name) => codes.has(name.toLowerCase()))) &&
    (documents === undefined || documents.has(failure.id));
  return (all) => ({ failures: all.filter(isSelected), note: undefined });
}

async function show(
  { open, archived }: ByReceipt,
  names: DocumentNames | undefined,
  context: CommandContext,
): Promise<void> {
  const { terminal } = context;
  if (open.length > 0) {
    terminal.print(describeFailures(open), '');
    await showFailures(open, names, context);
  }
  if (archived.length > 0) terminal.print(describeArchived(archived, 'before'));
  for (const failure of archived) {
    const { id, letters } = failure;
    terminal.record({ type: 'archived', documentId: id, codes: codesOf(failure), letters: letters.length });
  }
}

function questionFor({ open, archived }: ByReceipt, note: string | undefined): string {
  if (open.length === 0)
    return `Clear the dead letters of ${formatCount(archived.length, 'archived or erased document')}?`;
  return note === undefined
    ? `Redrive ${describeFailures(open)}?`
    : `Clear the dead letters of ${describeFailures(open)} and leave ${open.length === 1 ? 'it' : 'them'} unarchived?`;
}

/** @returns how many dead letters SQS did not delete */
async function clearArchived(
  archived: readonly Failure[],
  lock: DeadLetterLock,
  { terminal }: CommandContext,
): Promise<number> {
  if (archived.length === 0) return 0;
  const letters = lettersOf(archived);
  const notDeleted = await lock.delete(letters);
  terminal.record({ type: 'cleared', documents: archived.length, letters: letters.length - notDeleted });
  // Stryker disable next-line StringLiteral: what is not before is after.
  if (notDeleted === 0) terminal.print(describeArchived(archived, 'after'));
  return notDeleted;
}

interface RedriveResult {
  redriven: Failure[];
  /** Messages that became dead letters again after they were sent. */
  failedAgain: number;
  /** Messages that SQS did not accept; their dead letters were kept. */
  notSent: number;
  /** Dead letters that SQS did not delete. */
  notDeleted: number;
  /** Failures that were not redriven because the first ones failed again. */
  left: number;
}

const nothing: RedriveResult = { redriven: [], failedAgain: 0, notSent: 0, notDeleted: 0, left: 0 };

async function redriveAll(
  failures: readonly Failure[],
  lock: DeadLetterLock,
  queues: ArchiverQueues,
  { rate, wait }: RedriveOptions,
  { terminal, time, signal }: CommandContext,
): Promise<RedriveResult> {
  const redriven: Failure[] = [];
  const sentBodies = new Set<string>();
  let failedAgain = 0;
  let notSent = 0;
  let notDeleted = 0;
  const check = async () => {
    for (const { body } of await lock.acquire()) if (sentBodies.has(body)) failedAgain += 1;
    return failedAgain >= minFailedAgain && 2 * failedAgain >= redriven.length;
  };

  const startedAt = time.monotonic();
  let lastCheckAt = startedAt;
  let causePersists = false;
  const progress = terminal.progress(() => ({
    ended: redriven.length,
    total: failures.length,
    text: `${redriven.length} of ${failures.length} redriven · ${failedAgain} failed again`,
  }));
  try {
    for (const batch of batchesByLane(failures)) {
      const aheadMs = ((redriven.length + notSent) * 1_000) / rate - (time.monotonic() - startedAt);
      await sleep(time, Math.max(0, aheadMs), signal);
      if (time.monotonic() - lastCheckAt > checkEveryMs) {
        causePersists = await check();
        if (causePersists) break;
        lastCheckAt = time.monotonic();
      }
      const accepted = await sendBatch(batch, queues);
      for (const { failure, letter } of accepted) {
        redriven.push(failure);
        sentBodies.add(letter.body);
      }
      notSent += batch.length - accepted.length;
      notDeleted += await lock.delete(lettersOf(accepted.map(({ failure }) => failure)));
    }
    const end = time.monotonic() + wait * 1_000;
    while (!causePersists && redriven.length > failedAgain && time.monotonic() < end) {
      await sleep(time, Math.min(1_000, end - time.monotonic()), signal);
      await check();
    }
  } finally {
    progress.stop();
  }
  const left = causePersists ? failures.length - redriven.length - notSent : 0;
  return { redriven, failedAgain, notSent, notDeleted, left };
}

interface Outgoing {
  failure: Failure;
  /** The dead letter whose message is sent. */
  letter: LockedMessage;
}

/** Creates the batches to send, each for one lane. */
function* batchesByLane(failures: readonly Failure[]): Generator<Outgoing[]> {
  const outgoing = failures.map((failure) => ({ failure, letter: letterToSend(failure) }));
  for (const outgoingOfLane of Map.groupBy(outgoing, ({ letter }) => letter.lane).values()) {
    yield* batchesOf(outgoingOfLane, ({ letter }) => Buffer.byteLength(letter.body));
  }
}

/** @returns the entries that SQS accepted: SendMessageBatch returns 200 even if entries fail */
async function sendBatch(batch: readonly Outgoing[], queues: ArchiverQueues): Promise<Outgoing[]> {
  const [first] = batch;
  // Stryker disable next-line ArrayDeclaration,ConditionalExpression: no batch is empty; required by the type.
  if (!first) return [];
  const response = await queues.sqs.send(
    new SendMessageBatchCommand({
      QueueUrl: queuesOf(queues, first.letter.lane).queueUrl,
      Entries: batch.map(({ letter }, position) => ({ Id: String(position), MessageBody: letter.body })),
    }),
  );
  const accepted = new Set(response.Successful?.map(({ Id }) => Id));
  return batch.filter((_, position) => accepted.has(String(position)));
}

/** @returns the exit code */
function printResult(
  { redriven, failedAgain, notSent, notDeleted, left }: RedriveResult,
  { terminal, target }: CommandContext,
): number {
  terminal.record({
    type: 'end',
    redriven: redriven.length,
    failedAgain,
    notSent,
    notDeleted,
    stopped: left > 0,
  });
  if (redriven.length > 0) {
    terminal.print(`${describeFailures(redriven)} redriven, ${failedAgain} failed again so far.`);
  }
  const problem = (text: string) => terminal.print(terminal.paint('red', text));
  const again = `Run \`${commandLine(target, 'redrive')}\` again`;
  if (left > 0) {
    const others = left === 1 ? 'The other one is' : `The other ${formatNumber(left)} are`;
    problem(`Stopped: the cause persists. ${others} still in the dead-letter queue.`);
  }
  if (notSent > 0) {
    const kept = notSent === 1 ? 'its dead letters were kept' : 'their dead letters were kept';
    problem(`SQS did not accept ${formatCount(notSent, 'message')}; ${kept}. ${again}.`);
  }
  if (notDeleted > 0) {
    problem(
      `SQS did not delete ${formatCount(notDeleted, 'dead letter')}. ${again}: it clears dead letters of archived or erased documents.`,
    );
  }
  return failedAgain + notSent + notDeleted > 0 ? 1 : 0;
}

function collect(value: string, before: string[] = []): string[] {
  return [...before, value];
}

function asLane(value: string): LaneName {
  const lane = laneNames.find((name) => name === value);
  if (lane) return lane;
  throw new InvalidArgumentError(`Must be one of ${laneNames.join(', ')}.`);
}

function asRate(value: string): number {
  const rate = asNumber(value);
  if (rate > 0) return rate;
  throw new InvalidArgumentError('Must be at least 1.');
}

function asNumber(value: string): number {
  if (/^\d{1,5}$/.test(value)) return Number(value);
  throw new InvalidArgumentError('Must be a whole number from 0 to 99999.');
}

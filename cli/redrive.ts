/** `redrive`: shows the dead letters, and puts them back into the lane that they come from. */
import { SendMessageBatchCommand } from '@aws-sdk/client-sqs';
import Table from 'cli-table3';
import { type Command, InvalidArgumentError } from 'commander';
import { queues as sqsLimits } from '../functions/limits.ts';
import { sleep } from '../functions/time.ts';
import { adviceFor } from './advice.ts';
import { type HeldLetter, type HoldOptions, holdDeadLetters, letGo, remove } from './dead-letters.ts';
import { type LaneName, laneNames, type Queues, type Surroundings } from './deployment.ts';
import { parseDocumentIds } from './document-ids.ts';
import { duration } from './watch.ts';

export interface RedriveOptions {
  code?: string[];
  id?: string[];
  lane?: LaneName;
  /** Messages a second. */
  rate: number;
  /** Seconds to wait at the end for what fails again. */
  settle: number;
  dryRun?: boolean;
  yes?: boolean;
}

const help = `
Shows the dead letters by their code, with what the runbook advises, then asks. A letter is in its lane again before
it leaves the dead letters: it may be in both for a moment, never in neither. Should the first ones fail again for the
same reason, the rest stay where they are.

Exit code: 0 redriven, or there were none · 1 some failed again · 2 it could not be done · 130 stopped by Ctrl-C,
after which what was not redriven is where it was

Rights: on the dead-letter queues sqs:GetQueueUrl, sqs:ReceiveMessage and sqs:ChangeMessageVisibility; unless
--dry-run, also sqs:DeleteMessage on them and sqs:GetQueueUrl and sqs:SendMessage on the lanes' queues.`;

export function describeRedrive(command: Command): Command {
  return command
    .description('show dead letters, and put them back into their lane')
    .option('--code <code>', 'only those with this error code; may be given again', gather)
    .option('--id <document-id>', 'only those of this document; may be given again', gather)
    .option('--lane <name>', 'only those of documents, backfill or discovery', asLane)
    .option('--rate <per-second>', 'how many a second', asNumber, 10)
    .option('--settle <seconds>', 'how long to wait at the end for those that fail again', asNumber, 5)
    .option('--dry-run', 'only show them')
    .option('--yes', 'do not ask')
    .addHelpText('after', help);
}

/**
 * Seconds for which letters are kept from others: while they are shown, and while they are redriven. Should this
 * take longer, they appear again and are taken again.
 */
const lookSeconds = 30;
const holdSeconds = 10 * 60;

/** So many of those redriven, and at least half of them, must have failed again for the rest to stay. */
const telling = 3;
const checkEveryMs = 2_000;

/** @returns the exit code */
export async function redrive(options: RedriveOptions, surroundings: Surroundings): Promise<number> {
  const { deployment, terminal, signal } = surroundings;
  const queues = await deployment.queues();
  const lanes = options.lane ? [options.lane] : laneNames;
  const held = new Map<string, HeldLetter>();
  try {
    const forSeconds = options.dryRun ? lookSeconds : holdSeconds;
    await hold(lanes, held, queues, { forSeconds, signal });
    const chosen = [...held.values()].filter(chooser(options));
    await show(chosen, surroundings);
    if (chosen.length === 0 || options.dryRun) return 0;
    if (!options.yes && !(await terminal.confirm(`Redrive ${chosen.length}?`, signal))) {
      terminal.note('Nothing was redriven.');
      return 0;
    }
    return await redriveAll(chosen, held, options, queues, surroundings);
  } finally {
    for (const lane of lanes) {
      const back = [...held.values()].filter((letter) => letter.lane === lane);
      await letGo(queues.sqs, queues.lanes[lane].deadLetterQueueUrl, back);
    }
  }
}

/** Takes what is in the lanes' dead letters into `held`, whatever else goes wrong. */
async function hold(
  lanes: readonly LaneName[],
  held: Map<string, HeldLetter>,
  queues: Queues,
  options: HoldOptions,
): Promise<void> {
  const ends = await Promise.allSettled(lanes.map((lane) => holdDeadLetters(queues, lane, options)));
  for (const end of ends) {
    if (end.status === 'fulfilled') for (const letter of end.value) held.set(letter.messageId, letter);
  }
  const failed = ends.find((end) => end.status === 'rejected');
  if (failed) throw failed.reason;
}

function chooser({ code, id }: RedriveOptions): (letter: HeldLetter) => boolean {
  const codes = code && new Set(code.map((name) => name.toLowerCase()));
  const ids = id && new Set(parseDocumentIds(id, '--id'));
  return (letter) =>
    (codes === undefined || codes.has((letter.code ?? noCode).toLowerCase())) &&
    (ids === undefined || ids.has(letter.documentId ?? ''));
}

/** @param held takes in what fails again, and loses what is redriven */
async function redriveAll(
  chosen: readonly HeldLetter[],
  held: Map<string, HeldLetter>,
  { rate, settle }: RedriveOptions,
  queues: Queues,
  { terminal, time, signal }: Surroundings,
): Promise<number> {
  const redriven = new Set<string>();
  const failedAgain: HeldLetter[] = [];
  const lanes = [...new Set(chosen.map(({ lane }) => lane))];
  const check = async () => {
    const before = new Set(held.keys());
    await hold(lanes, held, queues, { forSeconds: holdSeconds, signal });
    for (const letter of held.values()) {
      if (!before.has(letter.messageId) && redriven.has(letter.body)) failedAgain.push(letter);
    }
    return failedAgain.length >= telling && 2 * failedAgain.length >= redriven.size;
  };

  const began = time.monotonic();
  let checked = began;
  let persists = false;
  const progress = terminal.progress(() => ({
    ended: redriven.size,
    total: chosen.length,
    text: `${redriven.size} of ${chosen.length} redriven · ${failedAgain.length} failed again`,
  }));
  try {
    for (const wave of waves(chosen)) {
      const early = (redriven.size * 1_000) / rate - (time.monotonic() - began);
      if (early > 0) await sleep(time, early, signal);
      if (time.monotonic() - checked > checkEveryMs) {
        persists = await check();
        if (persists) break;
        checked = time.monotonic();
      }
      // By now they may have been taken once more, with another receipt handle.
      await putBack(
        wave.map((letter) => held.get(letter.messageId) ?? letter),
        queues,
      );
      for (const { messageId, body } of wave) {
        held.delete(messageId);
        redriven.add(body);
      }
    }
    const end = time.monotonic() + settle * 1_000;
    while (!persists && redriven.size > failedAgain.length && time.monotonic() < end) {
      await sleep(time, Math.min(1_000, end - time.monotonic()), signal);
      await check();
    }
  } finally {
    progress.stop();
  }

  terminal.record({
    type: 'end',
    redriven: redriven.size,
    failedAgain: failedAgain.length,
    stopped: persists,
  });
  terminal.print(`${redriven.size} redriven, ${failedAgain.length} of them failed again so far.`);
  if (persists) {
    const left = chosen.length - redriven.size;
    terminal.print(terminal.paint('red', `The cause persists. The other ${left} were left where they are.`));
  }
  return failedAgain.length > 0 ? 1 : 0;
}

/** Batches of one lane each, with no more than SQS takes. */
function* waves(letters: readonly HeldLetter[]): Generator<HeldLetter[]> {
  for (const ofLane of Map.groupBy(letters, ({ lane }) => lane).values()) {
    for (let start = 0; start < ofLane.length; start += sqsLimits.batchEntries) {
      yield ofLane.slice(start, start + sqsLimits.batchEntries);
    }
  }
}

/** First into the lane, then out of the dead letters. */
async function putBack(wave: readonly HeldLetter[], { sqs, lanes }: Queues): Promise<void> {
  const [first] = wave;
  if (!first) return;
  const { queueUrl, deadLetterQueueUrl } = lanes[first.lane];
  const answer = await sqs.send(
    new SendMessageBatchCommand({
      QueueUrl: queueUrl,
      Entries: wave.map(({ body }, position) => ({ Id: String(position), MessageBody: body })),
    }),
  );
  const taken = new Set(answer.Successful?.map(({ Id }) => Id));
  const isBack = wave.filter((_, position) => taken.has(String(position)));
  await remove(sqs, deadLetterQueueUrl, isBack);
  if (isBack.length < wave.length) {
    throw new Error(`SQS did not take ${wave.length - isBack.length} messages. Run it again later.`);
  }
}

const noCode = 'none';

async function show(letters: readonly HeldLetter[], { terminal, time }: Surroundings): Promise<void> {
  if (letters.length === 0) {
    terminal.print('There are no dead letters.');
    return;
  }
  const table = new Table({
    head: ['lane', 'code', 'letters', 'oldest', 'newest', 'for example'],
    style: { head: [], border: [], compact: true },
    colAligns: ['left', 'left', 'right', 'right', 'right', 'left'],
  });
  const byCode = Map.groupBy(letters, ({ lane, code }) => `${lane} ${code ?? noCode}`);
  const codes = new Set<string>();
  for (const same of byCode.values()) {
    const [{ lane, code = noCode, documentId = '' } = letters[0] as HeldLetter] = same;
    codes.add(code);
    const ages = same.map(({ deadSince }) => (time.now() - deadSince) / 1_000);
    const [newest, oldest] = [Math.min(...ages), Math.max(...ages)];
    table.push([lane, code, same.length, duration(oldest), duration(newest), documentId]);
    terminal.record({ type: 'group', lane, code, letters: same.length, oldestSeconds: Math.round(oldest) });
  }
  terminal.print(table.toString());
  for (const letter of letters) {
    const { lane, documentId, code, reason, attempts, deadSince, body } = letter;
    const when = new Date(deadSince).toISOString();
    terminal.record({ type: 'letter', lane, documentId, code, reason, attempts, deadSince: when, body });
  }
  for (const code of codes) {
    const reason = letters.find((letter) => letter.code === code)?.reason;
    terminal.print(`\n${terminal.paint('bold', code)}${reason === undefined ? '' : `: ${reason}`}`);
    terminal.print(`  ${(await adviceFor(code)) ?? adviceWithoutCode}`);
    terminal.print(
      terminal.paint('dim', `  docs/runbook.md#${code === noCode ? 'archiveerrors' : code.toLowerCase()}`),
    );
  }
}

const adviceWithoutCode =
  'No function has said why: SQS moved them after a function had crashed over them again and again.';

function gather(value: string, before: string[] = []): string[] {
  return [...before, value];
}

function asLane(value: string): LaneName {
  const lane = laneNames.find((name) => name === value);
  if (lane) return lane;
  throw new InvalidArgumentError(`It must be one of ${laneNames.join(', ')}.`);
}

function asNumber(value: string): number {
  if (/^\d{1,5}$/.test(value)) return Number(value);
  throw new InvalidArgumentError('It must be a whole number.');
}

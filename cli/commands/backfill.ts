/** `backfill`: have everything archived that was created in a time span, or is named. Sends messages, nothing else. */
import type { DiscoveryMessage, DocumentMessage } from '../../functions/queue/messages.ts';
import { createSender } from '../../functions/queue/send.ts';
import { SettingsError } from '../../functions/settings.ts';
import type { RetryingTelnyx } from '../../functions/telnyx/retrying-telnyx.ts';
import { formatCount } from '../../terminal/counts.ts';
import { formatDuration } from '../../terminal/durations.ts';
import { spanMessages } from '../backfill/spans.ts';
import { countCreated, idsOfReference, oldestDay } from '../backfill/telnyx-queries.ts';
import { deadLettersBefore, watchBackfill } from '../backfill/watch.ts';
import { type ArchiverCommand, type CommandContext, UsageError } from '../command.ts';
import { describeFailures } from '../dead-letters/failures.ts';
import { readDocumentIds } from '../document-ids.ts';
import { parseInstant } from '../instants.ts';
import { telnyxOfTarget } from '../retrying-telnyx.ts';

type Which =
  | { by: 'span'; from: number | undefined; to: number }
  | { by: 'ids'; file: string }
  | { by: 'reference'; reference: string };

export interface BackfillOptions {
  which: Which;
  yes: boolean;
  dryRun: boolean;
  watch: boolean;
}

interface Parsed {
  since?: string;
  until?: string;
  ids?: string;
  reference?: string;
  all?: boolean;
  yes?: boolean;
  dryRun?: boolean;
  watch?: boolean;
}

const help = `
A time span is split into one message per day, which the discover function looks through. Documents with a receipt are
left alone, so you can run a backfill again at any time. Spans and old documents have lanes of their own and delay
neither a sweep nor a live document.

An instant is a date (2026-11-24, UTC), ISO 8601 with a time, or so long ago: 90d, 12h, 30m.

Exit code: 0 sent, with --watch all archived · 1 with --watch, some became dead letters · 2 error · 130 stopped
by Ctrl-C

Rights: sqs:GetQueueUrl and sqs:SendMessage; with --watch also sqs:GetQueueAttributes and cloudwatch:GetMetricData,
and on the dead-letter queues sqs:ReceiveMessage and sqs:ChangeMessageVisibility.
TELNYX_API_KEY for --all and --reference, and to say beforehand how many documents there are.`;

export const backfillCommand: ArchiverCommand = {
  name: 'backfill',
  configure: (command) =>
    command
      .description('have everything archived that was created in a time span, or is named')
      .option('--since <instant>', 'documents created at Telnyx from then on')
      .option('--until <instant>', 'and before then (default: now)')
      .option('--all', 'from the oldest document on')
      .option('--ids <file>', 'the documents whose ids stand in a file, one per line; - for standard input')
      .option('--reference <text>', 'the documents with this customer reference')
      .option('--dry-run', 'only say what would be sent')
      .option('--yes', 'do not ask')
      .option('--watch', 'follow it until everything is archived or given up')
      .addHelpText('after', help),
  run: (context, parsed) => backfill(backfillOptions(parsed.opts(), context.time.now()), context),
};

/** @param now milliseconds since the Unix epoch */
export function backfillOptions(parsed: Parsed, now: number): BackfillOptions {
  const ways = [parsed.since, parsed.all, parsed.ids, parsed.reference].filter((way) => way !== undefined);
  if (ways.length !== 1)
    throw new UsageError('Say which documents: one of --since, --all, --ids and --reference.');
  if (parsed.until !== undefined && parsed.since === undefined)
    throw new UsageError('--until goes with --since.');
  const instant = (name: string, text: string) => {
    try {
      return parseInstant(text, now);
    } catch (error) {
      throw new UsageError(
        `${name} ${text}: it ${error instanceof Error ? error.message : 'is not usable.'}`,
      );
    }
  };
  const { yes = false, dryRun = false, watch = false } = parsed;
  const which = (): Which => {
    if (parsed.ids !== undefined) return { by: 'ids', file: parsed.ids };
    if (parsed.reference !== undefined) return { by: 'reference', reference: parsed.reference };
    const to = parsed.until === undefined ? now : instant('--until', parsed.until);
    const from = parsed.since === undefined ? undefined : instant('--since', parsed.since);
    if (from !== undefined && from >= to) throw new UsageError('The span ends before it begins.');
    return { by: 'span', from, to };
  };
  return { which: which(), yes, dryRun, watch };
}

/** What is to be sent, and what is known of it. */
interface Plan {
  lane: 'backfill' | 'spans';
  messages: readonly (DiscoveryMessage | DocumentMessage)[];
  /** Documents, as Telnyx counts them or as they were named. */
  documents: number | undefined;
  what: string;
}

/** Messages to be sent before Ctrl-C is heeded again. */
const batch = 1_000;

/** @returns the exit code */
export async function backfill(options: BackfillOptions, context: CommandContext): Promise<number> {
  const { target, terminal, time, signal } = context;
  const plan = await planFor(options.which, context);
  const documents =
    plan.documents === undefined ? 'an unknown number of documents' : formatCount(plan.documents, 'document');
  terminal.print(
    `${plan.what}: ${documents}, ${formatCount(plan.messages.length, 'message')} into the ${plan.lane} queue.`,
  );
  terminal.record({
    type: 'plan',
    lane: plan.lane,
    documents: plan.documents,
    messages: plan.messages.length,
  });
  if (plan.messages.length === 0 || options.dryRun) return 0;
  if (!options.yes && !(await terminal.confirm('Send them?', signal))) {
    terminal.note('Nothing was sent.');
    return 0;
  }

  const queues = await target.queues();
  const before = options.watch ? await deadLettersBefore(queues, signal) : undefined;
  const since = time.now();
  const sender = createSender(queues.sqs);
  let sent = 0;
  const progress = terminal.progress(() => ({
    ended: sent,
    total: plan.messages.length,
    text: `${sent} of ${plan.messages.length} messages sent`,
  }));
  try {
    while (sent < plan.messages.length) {
      const next = plan.messages.slice(sent, sent + batch);
      await sender(queues.lanes[plan.lane].queueUrl, next, signal);
      sent += next.length;
    }
  } finally {
    progress.stop();
  }
  terminal.record({ type: 'sent', messages: sent });
  if (before === undefined) {
    terminal.print('Sent. Follow it with `archiver status --watch`.');
    return 0;
  }

  const { failures, ...end } = await watchBackfill(
    {
      since,
      deadLettersBefore: before,
      asked: plan.lane === 'backfill' ? plan.messages.length : undefined,
    },
    context,
  );
  terminal.record({ type: 'end', ...end, failed: failures.length });
  terminal.print(
    `${end.archived} archived, ${end.alreadyArchived} had a receipt already, ${failures.length === 0 ? 'none' : describeFailures(failures)} failed, in ${formatDuration(end.seconds)}.`,
  );
  if (end.deadLetters === 0) return 0;
  terminal.print(terminal.paint('red', 'See why with `archiver redrive --dry-run`.'));
  return 1;
}

async function planFor(which: Which, context: CommandContext): Promise<Plan> {
  const { time } = context;
  const requestedAt = new Date(time.now()).toISOString();
  const named = (ids: readonly string[], what: string): Plan => ({
    lane: 'backfill',
    messages: ids.map((documentId) => ({
      v: 1,
      kind: 'document',
      documentId,
      trigger: 'backfill',
      requestedAt,
    })),
    documents: ids.length,
    what,
  });
  switch (which.by) {
    case 'ids':
      return named(await readDocumentIds(which.file, process.stdin), `Named in ${which.file}`);
    case 'reference': {
      const ids = await idsOfReference(await neededTelnyx(context), which.reference, time.now());
      return named(ids, `With the customer reference ${JSON.stringify(which.reference)}`);
    }
    case 'span': {
      const { telnyx, span } = await spanOf(which, context);
      return {
        lane: 'spans',
        messages: spanMessages(span, requestedAt),
        documents: telnyx && (await countCreated(telnyx, span)),
        what: `Created from ${stamp(span.from)} to ${stamp(span.to)}`,
      };
    }
  }
}

/** From a given beginning on Telnyx is only asked how many there are, and may be left out. */
async function spanOf({ from, to }: { from: number | undefined; to: number }, context: CommandContext) {
  if (from !== undefined) {
    const telnyx = await telnyxOfTarget(context).catch((error: unknown) => {
      if (error instanceof SettingsError) return undefined;
      throw error;
    });
    return { telnyx, span: { from, to } };
  }
  const telnyx = await neededTelnyx(context);
  return { telnyx, span: { from: await oldestDay(telnyx, to), to } };
}

async function neededTelnyx(context: CommandContext): Promise<RetryingTelnyx> {
  const telnyx = await telnyxOfTarget(context);
  if (telnyx) return telnyx;
  throw new Error('Telnyx has to be asked for this: set TELNYX_API_KEY, or start the local stack.');
}

/** To the second: more is not asked of Telnyx. */
function stamp(instant: number): string {
  return `${new Date(instant).toISOString().slice(0, 19)}Z`;
}

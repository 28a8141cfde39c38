/** `backfill`: queues the documents of a time span, or listed documents, for archiving. Only sends messages. */
import type { DiscoveryMessage, DocumentMessage } from '../../functions/queue/messages.ts';
import { createSender } from '../../functions/queue/send.ts';
import { SettingsError } from '../../functions/settings.ts';
import type { RetryingTelnyx } from '../../functions/telnyx/retrying-telnyx.ts';
import { formatCount, formatNumber } from '../../terminal/counts.ts';
import { formatDuration } from '../../terminal/durations.ts';
import { spanMessages } from '../backfill/spans.ts';
import { countCreated, idsOfReference, oldestDay } from '../backfill/telnyx-queries.ts';
import { readBackfillStart, watchBackfill } from '../backfill/watch.ts';
import { type ArchiverCommand, type CommandContext, UsageError } from '../command.ts';
import { commandLine } from '../command-line.ts';
import { describeFailures } from '../dead-letters/failures.ts';
import { readDocumentIds } from '../document-ids.ts';
import { type CommandHelp, findStackPermissions } from '../help.ts';
import { instantHelp, instantOption } from '../instants.ts';
import { telnyxOfTarget } from '../retrying-telnyx.ts';

type Selection =
  | { by: 'span'; from: number | undefined; to: number }
  | { by: 'ids'; file: string }
  | { by: 'reference'; reference: string };

export interface BackfillOptions {
  selection: Selection;
  yes: boolean;
  dryRun: boolean;
  watch: boolean;
}

interface ParsedOptions {
  since?: string;
  until?: string;
  ids?: string;
  reference?: string;
  all?: boolean;
  yes?: boolean;
  dryRun?: boolean;
  watch?: boolean;
}

const help: CommandHelp = {
  text: `
A time span is split into one message per day; the discover function lists the documents of each. Documents that have a
receipt are skipped, as are erased ones, so you can run a backfill again at any time. Backfills have their own lanes and
do not delay sweeps or live documents.

${instantHelp}

With --watch and --ids or --reference, the command counts receipts; an erased document counts as already archived. With
--watch and a time span, it shows the metrics, which also count what other lanes archive in the meantime.

TELNYX_API_KEY must be set for --all and --reference, and to show the number of documents before sending.`,
  examples: [
    ['backfill --since 2w --dry-run', 'show what would be sent for the last two weeks'],
    ['backfill --all --watch', 'archive every document of the account, and wait for it'],
    ['backfill --ids lost.txt --yes', 'archive the listed documents without confirmation'],
  ],
  exitCodes: { 0: 'sent; with --watch, all archived', 1: 'with --watch, not all archived' },
  permissions: `
sqs:GetQueueUrl and sqs:SendMessage; with --watch also sqs:GetQueueAttributes and cloudwatch:GetMetricData, and on the
dead-letter queues sqs:ReceiveMessage and sqs:ChangeMessageVisibility; with --ids or --reference also s3:ListBucket and
${findStackPermissions}.`,
};

export const backfillCommand: ArchiverCommand = {
  name: 'backfill',
  help,
  configure: (command) =>
    command
      .description('queue the documents of a time span, or listed documents, for archiving')
      .option('--since <instant>', 'documents created at Telnyx at or after this instant')
      .option('--until <instant>', 'documents created before this instant (default: now)')
      .option('--all', 'all documents; the oldest one is looked up at Telnyx')
      .option('--ids <file>', 'documents with the IDs in this file, one per line; - for standard input')
      .option('--reference <text>', 'documents with this customer reference')
      .option('--dry-run', 'show what would be sent; send nothing')
      .option('--yes', 'skip the confirmation')
      .option('--watch', 'wait until every document is archived or has failed'),
  run: (context, parsed) => backfill(backfillOptions(parsed.opts(), context.time.now()), context),
};

/** @param now milliseconds since the Unix epoch */
export function backfillOptions(parsed: ParsedOptions, now: number): BackfillOptions {
  const selectors = [parsed.since, parsed.all, parsed.ids, parsed.reference].filter(
    (selector) => selector !== undefined,
  );
  if (selectors.length !== 1)
    throw new UsageError('Pass exactly one of --since, --all, --ids and --reference.');
  if (parsed.until !== undefined && parsed.since === undefined)
    throw new UsageError('--until requires --since.');
  const { yes = false, dryRun = false, watch = false } = parsed;
  const selection = (): Selection => {
    if (parsed.ids !== undefined) return { by: 'ids', file: parsed.ids };
    if (parsed.reference !== undefined) return { by: 'reference', reference: parsed.reference };
    const to = parsed.until === undefined ? now : instantOption('--until', parsed.until, now);
    const from = parsed.since === undefined ? undefined : instantOption('--since', parsed.since, now);
    // Stryker disable next-line ConditionalExpression: undefined is not later than anything; required by the type.
    if (from !== undefined && from >= to) throw new UsageError('--since must be earlier than --until.');
    return { by: 'span', from, to };
  };
  return { selection: selection(), yes, dryRun, watch };
}

/** Messages to send. */
interface Plan {
  lane: 'backfill' | 'spans';
  messages: readonly (DiscoveryMessage | DocumentMessage)[];
  /** Documents that are listed one by one; undefined for a time span. */
  documentIds: readonly string[] | undefined;
  /** Number of documents, as counted by Telnyx or as listed; undefined if unknown. */
  documents: number | undefined;
  what: string;
}

/** Messages sent between two progress updates. */
const chunk = 1_000;

/** @returns the exit code */
export async function backfill(options: BackfillOptions, context: CommandContext): Promise<number> {
  const { target, terminal, signal } = context;
  const plan = await planFor(options.selection, context);
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
  const start = options.watch ? await readBackfillStart(plan.documentIds, context) : undefined;
  const sender = createSender(queues.sqs);
  let sent = 0;
  const progress = terminal.progress(() => ({
    ended: sent,
    total: plan.messages.length,
    text: `${sent} of ${formatCount(plan.messages.length, 'message')} sent`,
  }));
  try {
    while (sent < plan.messages.length) {
      const next = plan.messages.slice(sent, sent + chunk);
      await sender(queues.lanes[plan.lane].queueUrl, next, signal);
      sent += next.length;
    }
  } finally {
    progress.stop();
  }
  terminal.record({ type: 'sent', messages: sent });
  if (start === undefined) {
    terminal.print(`Sent. To follow the progress, run \`${commandLine(target, 'status --watch')}\`.`);
    return 0;
  }

  const { failures, ...end } = await watchBackfill(start, context);
  terminal.record({ type: 'end', ...end, failed: failures.length });
  terminal.print(
    [
      `${formatNumber(end.archived ?? 0)} archived`,
      `${formatNumber(end.alreadyArchived ?? 0)} already archived${plan.documentIds ? ' or erased' : ''}`,
      `${failures.length === 0 ? 'none' : describeFailures(failures)} failed`,
      ...(end.unaccounted > 0 ? [`${formatNumber(end.unaccounted)} neither archived nor failed`] : []),
    ].join(', ') +
      `, in ${formatDuration(end.seconds)}${plan.documentIds ? '' : '. Archived documents are counted in all lanes'}.`,
  );
  if (end.deadLetters > 0) {
    const command = commandLine(target, 'redrive --dry-run');
    terminal.print(terminal.paint('red', `To see why, run \`${command}\`.`));
  }
  return end.deadLetters + end.unaccounted > 0 ? 1 : 0;
}

async function planFor(selection: Selection, context: CommandContext): Promise<Plan> {
  const { time } = context;
  const requestedAt = new Date(time.now()).toISOString();
  const planForIds = (ids: readonly string[], what: string): Plan => ({
    lane: 'backfill',
    messages: ids.map((documentId) => ({
      v: 1,
      kind: 'document',
      documentId,
      trigger: 'backfill',
      requestedAt,
    })),
    documentIds: ids,
    documents: ids.length,
    what,
  });
  switch (selection.by) {
    case 'ids':
      return planForIds(await readDocumentIds(selection.file, process.stdin), `Listed in ${selection.file}`);
    case 'reference': {
      const ids = await idsOfReference(await requireTelnyx(context), selection.reference, time.now());
      return planForIds(ids, `With the customer reference "${selection.reference}"`);
    }
    case 'span': {
      const { telnyx, span } = await resolveSpan(selection, context);
      return {
        lane: 'spans',
        messages: spanMessages(span, requestedAt),
        documentIds: undefined,
        documents: telnyx && (await countCreated(telnyx, span)),
        what: `Created from ${formatInstant(span.from)} to ${formatInstant(span.to)}`,
      };
    }
  }
}

/** Finds the start of the span for --all. With a given start, Telnyx only provides the count, so a missing key is accepted. */
async function resolveSpan({ from, to }: { from: number | undefined; to: number }, context: CommandContext) {
  if (from !== undefined) {
    const telnyx = await telnyxOfTarget(context).catch((error: unknown) => {
      if (error instanceof SettingsError) return undefined;
      throw error;
    });
    return { telnyx, span: { from, to } };
  }
  const telnyx = await requireTelnyx(context);
  return { telnyx, span: { from: await oldestDay(telnyx, to), to } };
}

async function requireTelnyx(context: CommandContext): Promise<RetryingTelnyx> {
  const telnyx = await telnyxOfTarget(context);
  if (telnyx) return telnyx;
  throw new Error('This requires access to Telnyx: set TELNYX_API_KEY, or start the local stack.');
}

/** To the second, the precision of Telnyx's filter. */
function formatInstant(instant: number): string {
  return `${new Date(instant).toISOString().slice(0, 19)}Z`;
}

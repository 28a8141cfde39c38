/** Shows the progress of a backfill until its lanes are empty, then what became of its documents. */

import type { LaneName } from '../../functions/queue/lanes.ts';
import { sleep } from '../../functions/time.ts';
import { formatBytes } from '../../terminal/bytes.ts';
import { formatCount, formatNumber } from '../../terminal/counts.ts';
import type { CommandContext } from '../command.ts';
import { type Failure, failuresOf, lettersOf } from '../dead-letters/failures.ts';
import { peekDeadLetters, readDeadLetters } from '../dead-letters/lock.ts';
import { describeLockedElsewhere } from '../dead-letters/locked-elsewhere.ts';
import { type LaneCounts, queueCounts } from '../queue-counts.ts';
import type { ByLane } from '../target/target.ts';
import { findUnarchived } from '../unarchived.ts';

const backfillLanes: readonly LaneName[] = ['spans', 'backfill'];
const minuteMs = 60_000;

interface BackfillProgress {
  found: number;
  queued: number;
  /** Undefined until the end for listed documents, whose receipts are looked up at the end. */
  archived: number | undefined;
  /** As `archived`. */
  alreadyArchived: number | undefined;
  /** Dead letters added since the start, as counted by SQS. */
  deadLetters: number;
  seconds: number;
}

export interface BackfillEnd extends BackfillProgress {
  failures: Failure[];
  /** Listed documents that are neither archived nor have a new dead letter. */
  unaccounted: number;
}

/** State before the backfill, so that only its own results are counted. */
export interface BackfillStart {
  /** Documents that are listed one by one; undefined for a time span. */
  documentIds: readonly string[] | undefined;
  /** Those of them that have no receipt. */
  unarchived: readonly string[];
  /** The minute of the start, in milliseconds since the Unix epoch: metrics are sums by minute. */
  minute: number;
  sums: Sums;
  /** Number of dead letters in the lanes, as counted by SQS. */
  deadLetters: number;
  /** Message IDs of the dead letters that could be read. */
  messageIds: ReadonlySet<string>;
}

/** @param documentIds documents that are listed one by one; undefined for a time span */
export async function readBackfillStart(
  documentIds: readonly string[] | undefined,
  context: CommandContext,
): Promise<BackfillStart> {
  const { target, terminal, time, signal } = context;
  const queues = await target.queues();
  const { letters, lockedElsewhere } = await readDeadLetters(queues, { lanes: backfillLanes, signal });
  if (lockedElsewhere > 0) {
    terminal.note(
      ...describeLockedElsewhere(lockedElsewhere, time.now()),
      'This backfill may count them as its own failures.',
    );
  }
  const minute = Math.floor(time.now() / minuteMs) * minuteMs;
  return {
    documentIds,
    unarchived: [...(await findUnarchived(documentIds ?? [], context))],
    minute,
    sums: await readSums(minute, context),
    deadLetters: deadLettersIn(await queueCounts(queues)),
    messageIds: new Set(letters.map(({ messageId }) => messageId)),
  };
}

/**
 * Polls until the lanes have been empty for as long as the message counts may lag. Then reads the dead letters, because
 * one document may have several, and the receipts of listed documents: metrics do not tell which document was archived.
 *
 * @throws the signal's reason
 */
export async function watchBackfill(start: BackfillStart, context: CommandContext): Promise<BackfillEnd> {
  const { target, terminal, time, signal } = context;
  const { documentIds } = start;
  const queues = await target.queues();
  const started = time.monotonic();
  const { intervalMs, countsLagMs } = target.polling;

  const read = async () => {
    const [counts, sums] = await Promise.all([queueCounts(queues), readSums(start.minute, context)]);
    const since = (name: keyof Sums) => sums[name] - start.sums[name];
    const progress: BackfillProgress = {
      found: documentIds?.length ?? since('DocumentsFound'),
      queued: documentIds?.length ?? since('DocumentsQueued'),
      archived: documentIds ? undefined : since('DocumentsArchived'),
      alreadyArchived: documentIds ? undefined : since('DocumentsAlreadyArchived'),
      deadLetters: Math.max(0, deadLettersIn(counts) - start.deadLetters),
      seconds: (time.monotonic() - started) / 1_000,
    };
    const [spans, waiting] = [counts.spans.waiting, counts.backfill.waiting];
    return { progress, spans, waiting, bytes: since('BytesArchived') };
  };
  let now = await read();
  const bar = terminal.progress(() => ({
    ended: Math.max(0, now.progress.queued - now.waiting),
    total: now.spans > 0 ? undefined : now.progress.queued,
    text: describe(now.progress, now.spans, now.waiting, now.bytes),
  }));
  try {
    let emptySince: number | undefined;
    for (;;) {
      const isEmpty = now.spans + now.waiting === 0;
      emptySince = isEmpty ? (emptySince ?? time.monotonic()) : undefined;
      // Stryker disable next-line ConditionalExpression: a difference with undefined is never enough; required by the type.
      if (emptySince !== undefined && time.monotonic() - emptySince >= countsLagMs) break;
      terminal.record({ type: 'watch', ...now.progress, spans: now.spans, waiting: now.waiting });
      await sleep(time, intervalMs, signal);
      now = await read();
    }
  } finally {
    bar.stop();
  }
  const newFailures = failuresOf(
    (await peekDeadLetters(queues, signal, backfillLanes)).filter(
      ({ messageId }) => !start.messageIds.has(messageId),
    ),
  );
  if (documentIds === undefined) {
    // Another reader may have locked some letters, so SQS's count may be higher.
    const deadLetters = Math.max(now.progress.deadLetters, lettersOf(newFailures).length);
    return { ...now.progress, deadLetters, failures: newFailures, unaccounted: 0 };
  }
  const unarchived = await findUnarchived(start.unarchived, context);
  const failures = newFailures.filter(({ id }) => unarchived.has(id));
  return {
    ...now.progress,
    archived: start.unarchived.length - unarchived.size,
    alreadyArchived: documentIds.length - start.unarchived.length,
    deadLetters: lettersOf(failures).length,
    failures,
    unaccounted: unarchived.size - failures.length,
  };
}

const countedMetrics = [
  'DocumentsFound',
  'DocumentsQueued',
  'DocumentsArchived',
  'DocumentsAlreadyArchived',
  'BytesArchived',
] as const;
type Sums = Readonly<Record<(typeof countedMetrics)[number], number>>;

const noSums: Sums = {
  DocumentsFound: 0,
  DocumentsQueued: 0,
  DocumentsArchived: 0,
  DocumentsAlreadyArchived: 0,
  BytesArchived: 0,
};

/** Sums of all lanes. */
async function readSums(since: number, { target }: CommandContext): Promise<Sums> {
  const metrics = await target.metrics();
  return metrics ? await metrics.sums(countedMetrics, since) : noSums;
}

function deadLettersIn(counts: ByLane<LaneCounts>): number {
  return counts.backfill.deadLetters + counts.spans.deadLetters;
}

function describe(
  { found, queued, archived, deadLetters, seconds }: BackfillProgress,
  spans: number,
  waiting: number,
  bytes: number,
): string {
  const processed = archived ?? Math.max(0, queued - waiting);
  const rate = processed / Math.max(0.001, seconds);
  const parts = [
    ...(spans > 0 ? [`${formatCount(spans, 'span')} left to list`] : []),
    ...(archived === undefined
      ? [`${formatNumber(processed)} of ${formatNumber(queued)} processed`]
      : [
          `${formatNumber(found)} found`,
          `${formatNumber(queued)} queued`,
          `${formatNumber(archived)} archived (${formatBytes(bytes)})`,
        ]),
    formatCount(deadLetters, 'dead letter'),
    `${rate.toFixed(rate < 10 ? 1 : 0)}/s`,
  ];
  return parts.join(' · ');
}

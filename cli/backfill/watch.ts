/** Shows the progress of a backfill until its lanes are empty. */

import type { LaneName } from '../../functions/queue/lanes.ts';
import { sleep } from '../../functions/time.ts';
import { formatBytes } from '../../terminal/bytes.ts';
import { formatCount } from '../../terminal/counts.ts';
import type { CommandContext } from '../command.ts';
import { type Failure, failuresOf } from '../dead-letters/failures.ts';
import { peekDeadLetters } from '../dead-letters/lock.ts';
import { queueCounts } from '../queue-counts.ts';
import type { ArchiverQueues } from '../target/target.ts';

const backfillLanes: readonly LaneName[] = ['spans', 'backfill'];

export interface BackfillProgress {
  found: number;
  queued: number;
  archived: number;
  alreadyArchived: number;
  /** Dead letters added since the start, as counted by SQS. */
  deadLetters: number;
  seconds: number;
}

/** Message IDs of the dead letters that are in the lanes of a backfill before it starts. */
export async function deadLettersBefore(
  queues: ArchiverQueues,
  signal: AbortSignal,
): Promise<ReadonlySet<string>> {
  const letters = await peekDeadLetters(queues, signal, backfillLanes);
  return new Set(letters.map(({ messageId }) => messageId));
}

export interface WatchOptions {
  /** Start of the backfill, in milliseconds since the Unix epoch. */
  since: number;
  /** Result of `deadLettersBefore`. */
  deadLettersBefore: ReadonlySet<string>;
  /** Number of documents if they were listed one by one; undefined for a time span. */
  requested: number | undefined;
}

/**
 * Polls until the lanes have been empty for as long as the message counts may lag. Then reads the dead letters, because
 * one document may have several.
 *
 * @throws the signal's reason
 */
export async function watchBackfill(
  options: WatchOptions,
  context: CommandContext,
): Promise<BackfillProgress & { failures: Failure[] }> {
  const { target, terminal, time, signal } = context;
  const queues = await target.queues();
  const metrics = await target.metrics();
  const started = time.monotonic();
  const { intervalMs, countsLagMs } = target.polling;

  let spans = 0;
  let waiting = 0;
  let current: BackfillProgress = {
    found: 0,
    queued: 0,
    archived: 0,
    alreadyArchived: 0,
    deadLetters: 0,
    seconds: 0,
  };
  let bytes = 0;
  const refresh = async () => {
    const [counts, sums] = await Promise.all([
      queueCounts(queues),
      metrics?.sums(
        [
          'DocumentsFound',
          'DocumentsQueued',
          'DocumentsArchived',
          'DocumentsAlreadyArchived',
          'BytesArchived',
        ],
        options.since,
      ),
    ]);
    spans = counts.spans.waiting;
    waiting = counts.backfill.waiting;
    const deadLetters = counts.backfill.deadLetters + counts.spans.deadLetters;
    bytes = sums?.BytesArchived ?? 0;
    current = {
      found: sums?.DocumentsFound ?? 0,
      queued: options.requested ?? sums?.DocumentsQueued ?? 0,
      archived: sums?.DocumentsArchived ?? 0,
      alreadyArchived: sums?.DocumentsAlreadyArchived ?? 0,
      deadLetters: Math.max(0, deadLetters - options.deadLettersBefore.size),
      seconds: (time.monotonic() - started) / 1_000,
    };
  };
  await refresh();
  const progress = terminal.progress(() => {
    const ended = Math.max(0, current.queued - waiting);
    return {
      ended,
      total: spans > 0 ? undefined : current.queued,
      text: describe(current, spans, bytes),
    };
  });
  try {
    let emptySince: number | undefined;
    for (;;) {
      const isEmpty = spans + waiting === 0;
      emptySince = isEmpty ? (emptySince ?? time.monotonic()) : undefined;
      if (emptySince !== undefined && time.monotonic() - emptySince >= countsLagMs) break;
      terminal.record({ type: 'watch', ...current, spans, waiting });
      await sleep(time, intervalMs, signal);
      await refresh();
    }
  } finally {
    progress.stop();
  }
  const letters = (await peekDeadLetters(queues, signal, backfillLanes)).filter(
    ({ messageId }) => !options.deadLettersBefore.has(messageId),
  );
  // Another reader may have locked some letters, so SQS's count may be higher.
  return {
    ...current,
    deadLetters: Math.max(current.deadLetters, letters.length),
    failures: failuresOf(letters),
  };
}

function describe(current: BackfillProgress, spans: number, bytes: number): string {
  const rate = current.archived / Math.max(0.001, current.seconds);
  const parts = [
    ...(spans > 0 ? [`${formatCount(spans, 'span')} left to list`] : []),
    `${current.found} found`,
    `${current.queued} queued`,
    `${current.archived} archived (${formatBytes(bytes)})`,
    formatCount(current.deadLetters, 'dead letter'),
    `${rate.toFixed(rate < 10 ? 1 : 0)}/s`,
  ];
  return parts.join(' · ');
}

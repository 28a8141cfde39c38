/** Follows a backfill until its lane is empty. */

import type { LaneName } from '../../functions/queue/lanes.ts';
import { sleep } from '../../functions/time.ts';
import { formatBytes } from '../../terminal/bytes.ts';
import { formatDuration } from '../../terminal/durations.ts';
import type { CommandContext } from '../command.ts';
import { type Failure, failuresOf } from '../dead-letters/failures.ts';
import { peekDeadLetters } from '../dead-letters/lock.ts';
import { queueCounts } from '../queue-counts.ts';
import type { ArchiverQueues } from '../target/target.ts';

const backfillLanes: readonly LaneName[] = ['spans', 'backfill'];

export interface Watched {
  found: number;
  queued: number;
  archived: number;
  alreadyArchived: number;
  /** Dead letters that were not there before, as SQS counts them. */
  deadLetters: number;
  seconds: number;
}

/** Message IDs of the dead letters of the backfill's lanes. */
export async function deadLettersBefore(
  queues: ArchiverQueues,
  signal: AbortSignal,
): Promise<ReadonlySet<string>> {
  const letters = await peekDeadLetters(queues, signal, backfillLanes);
  return new Set(letters.map(({ messageId }) => messageId));
}

export interface WatchOptions {
  /** When the backfill began, milliseconds since the Unix epoch. */
  since: number;
  /** Message IDs of the dead letters that were there before. */
  deadLettersBefore: ReadonlySet<string>;
  /** Documents that were asked for, where they are known one by one. */
  asked: number | undefined;
}

/**
 * Shows what becomes of a backfill, until nothing of it has waited for as long as the target's counts may be
 * late. Then reads the dead letters, because one document may have several.
 *
 * @throws the signal's reason
 */
export async function watchBackfill(
  options: WatchOptions,
  context: CommandContext,
): Promise<Watched & { failures: Failure[] }> {
  const { target, terminal, time, signal } = context;
  const queues = await target.queues();
  const metrics = await target.metrics();
  const started = time.monotonic();
  const { pollMs, countsLagMs } = target.pace;

  let spans = 0;
  let waiting = 0;
  let now: Watched = { found: 0, queued: 0, archived: 0, alreadyArchived: 0, deadLetters: 0, seconds: 0 };
  let bytes = 0;
  const look = async () => {
    const [depths, sums] = await Promise.all([
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
    spans = depths.spans.waiting;
    waiting = depths.backfill.waiting;
    const deadLetters = depths.backfill.deadLetters + depths.spans.deadLetters;
    bytes = sums?.BytesArchived ?? 0;
    now = {
      found: sums?.DocumentsFound ?? 0,
      queued: options.asked ?? sums?.DocumentsQueued ?? 0,
      archived: sums?.DocumentsArchived ?? 0,
      alreadyArchived: sums?.DocumentsAlreadyArchived ?? 0,
      deadLetters: Math.max(0, deadLetters - options.deadLettersBefore.size),
      seconds: (time.monotonic() - started) / 1_000,
    };
  };
  await look();
  const progress = terminal.progress(() => {
    const ended = Math.max(0, now.queued - waiting);
    return { ended, total: spans > 0 ? undefined : now.queued, text: describe(now, spans, waiting, bytes) };
  });
  try {
    let emptySince: number | undefined;
    for (;;) {
      const isEmpty = spans + waiting === 0;
      emptySince = isEmpty ? (emptySince ?? time.monotonic()) : undefined;
      if (emptySince !== undefined && time.monotonic() - emptySince >= countsLagMs) break;
      terminal.record({ type: 'watch', ...now, spans, waiting });
      await sleep(time, pollMs, signal);
      await look();
    }
  } finally {
    progress.stop();
  }
  const letters = (await peekDeadLetters(queues, signal, backfillLanes)).filter(
    ({ messageId }) => !options.deadLettersBefore.has(messageId),
  );
  // SQS's count stands if somebody else has locked the letters.
  return { ...now, deadLetters: Math.max(now.deadLetters, letters.length), failures: failuresOf(letters) };
}

function describe(now: Watched, spans: number, waiting: number, bytes: number): string {
  const rate = now.archived / Math.max(0.001, now.seconds);
  const parts = [
    ...(spans > 0 ? [`${spans} spans to look through`] : []),
    `${now.found} found`,
    `${now.queued} queued`,
    `${now.archived} archived (${formatBytes(bytes)})`,
    `${now.deadLetters} dead letters`,
    `${rate.toFixed(rate < 10 ? 1 : 0)}/s`,
  ];
  if (spans === 0 && waiting > 0 && rate > 0) parts.push(`about ${formatDuration(waiting / rate)} left`);
  return parts.join(' · ');
}

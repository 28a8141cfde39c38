/** Follows a backfill until its lane is empty. */

import { sleep } from '../functions/time.ts';
import { formatBytes } from '../local/progress.ts';
import type { Surroundings } from './deployment.ts';
import { depthsOf } from './depths.ts';

export interface Watched {
  found: number;
  queued: number;
  archived: number;
  alreadyArchived: number;
  failed: number;
  seconds: number;
}

export interface WatchOptions {
  /** When the backfill began, milliseconds since the Unix epoch. */
  since: number;
  /** Dead letters that were there before. */
  deadLettersBefore: number;
  /** Documents that were asked for, where they are known one by one. */
  asked: number | undefined;
}

/**
 * Shows what becomes of a backfill, until nothing of it has waited for as long as the deployment's counts may be
 * late.
 *
 * @throws the signal's reason
 */
export async function watchBackfill(options: WatchOptions, surroundings: Surroundings): Promise<Watched> {
  const { deployment, terminal, time, signal } = surroundings;
  const queues = await deployment.queues();
  const metrics = await deployment.metrics();
  const started = time.monotonic();
  const { pollMs, settledAfterMs } = deployment.pace;

  let spans = 0;
  let waiting = 0;
  let now: Watched = { found: 0, queued: 0, archived: 0, alreadyArchived: 0, failed: 0, seconds: 0 };
  let bytes = 0;
  const look = async () => {
    const [depths, sums] = await Promise.all([
      depthsOf(queues),
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
    spans = depths.discovery.waiting;
    waiting = depths.backfill.waiting;
    const deadLetters = depths.backfill.deadLetters + depths.discovery.deadLetters;
    bytes = sums?.BytesArchived ?? 0;
    now = {
      found: sums?.DocumentsFound ?? 0,
      queued: options.asked ?? sums?.DocumentsQueued ?? 0,
      archived: sums?.DocumentsArchived ?? 0,
      alreadyArchived: sums?.DocumentsAlreadyArchived ?? 0,
      failed: Math.max(0, deadLetters - options.deadLettersBefore),
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
      if (emptySince !== undefined && time.monotonic() - emptySince >= settledAfterMs) return now;
      terminal.record({ type: 'watch', ...now, spans, waiting });
      await sleep(time, pollMs, signal);
      await look();
    }
  } finally {
    progress.stop();
  }
}

function describe(now: Watched, spans: number, waiting: number, bytes: number): string {
  const rate = now.archived / Math.max(0.001, now.seconds);
  const parts = [
    ...(spans > 0 ? [`${spans} spans to look through`] : []),
    `${now.found} found`,
    `${now.queued} queued`,
    `${now.archived} archived (${formatBytes(bytes)})`,
    `${now.failed} failed`,
    `${rate.toFixed(rate < 10 ? 1 : 0)}/s`,
  ];
  if (spans === 0 && waiting > 0 && rate > 0) parts.push(`about ${duration(waiting / rate)} left`);
  return parts.join(' · ');
}

/** `40 s`, `12 min` or `3.5 h`. */
export function duration(seconds: number): string {
  if (seconds < 100) return `${Math.round(seconds)} s`;
  if (seconds < 100 * 60) return `${Math.round(seconds / 60)} min`;
  if (seconds < 72 * 3_600) return `${(seconds / 3_600).toFixed(1)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}

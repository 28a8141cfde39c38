import { createSender } from '../../functions/queue/send.ts';
import { formatCount } from '../../terminal/counts.ts';
import type { CommandContext } from '../command.ts';
import type { ArchiverQueues } from '../target/target.ts';

/** More documents than this would delay live documents, so they are sent to the backfill lane. */
const maxLiveDocuments = 1_000;

/**
 * Queues documents for archiving, and prints how many. Safe to repeat.
 *
 * @param queues undefined for a dry run, which queues nothing
 * @throws ArchiverError QueueUnavailable
 */
export async function queueRepairs(
  documentIds: readonly string[],
  queues: ArchiverQueues | undefined,
  { time, signal, terminal }: Pick<CommandContext, 'time' | 'signal' | 'terminal'>,
): Promise<void> {
  const lane =
    documentIds.length === 0 ? undefined : documentIds.length > maxLiveDocuments ? 'backfill' : 'documents';
  if (lane !== undefined && queues !== undefined) {
    const requestedAt = new Date(time.now()).toISOString();
    await createSender(queues.sqs)(
      queues.lanes[lane].queueUrl,
      documentIds.map((documentId) => ({
        v: 1,
        kind: 'document',
        documentId,
        trigger: 'operator',
        requestedAt,
      })),
      signal,
    );
  }
  const repairable = documentIds.length;
  const dryRun = queues === undefined;
  const inLane = lane ? ` in the lane ${lane}` : '';
  terminal.print(
    '',
    dryRun
      ? `Dry run: ${formatCount(repairable, 'document')} would be queued${inLane}. Nothing was queued.`
      : `${formatCount(repairable, 'document')} queued${inLane}.`,
  );
  terminal.record({ type: 'repair', dryRun, repairable, queued: dryRun ? 0 : repairable, lane });
}

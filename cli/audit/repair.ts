import type { Inspection } from '../../functions/audit/inspect.ts';
import { createSender } from '../../functions/queue/send.ts';
import { formatCount } from '../../terminal/counts.ts';
import type { CommandContext } from '../command.ts';
import type { ArchiverQueues } from '../target/target.ts';

/** More documents than this would delay live documents, so they are sent to the backfill lane. */
const maxLiveDocuments = 1_000;

/**
 * Whether the archiver can repair the document. It skips documents that have a receipt. Missing documents are not
 * included: they are looked up a second time first.
 */
export function isRepairable({ evidence, findings }: Inspection): boolean {
  const hasNoReceipt = findings.some(({ code }) => code === 'no-receipt' || code === 'lost');
  return hasNoReceipt && evidence.telnyx !== undefined;
}

/**
 * Queues documents for archiving, and prints how many. Safe to repeat.
 *
 * @throws ArchiverError QueueUnavailable
 */
export async function queueRepairs(
  documentIds: readonly string[],
  { sqs, lanes }: ArchiverQueues,
  { time, signal, terminal }: Pick<CommandContext, 'time' | 'signal' | 'terminal'>,
): Promise<void> {
  const lane =
    documentIds.length === 0 ? undefined : documentIds.length > maxLiveDocuments ? 'backfill' : 'documents';
  if (lane !== undefined) {
    const requestedAt = new Date(time.now()).toISOString();
    await createSender(sqs)(
      lanes[lane].queueUrl,
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
  terminal.print(
    '',
    `${formatCount(documentIds.length, 'document')} queued${lane ? ` in the lane ${lane}` : ''}.`,
  );
  terminal.record({ type: 'repair', queued: documentIds.length, lane });
}

import { type BatchDependencies, instantOf, type Job } from '../queue/batch.ts';
import { createBatchHandler } from '../queue/batch-handler.ts';
import { type DocumentMessage, parseDocumentMessage } from '../queue/messages.ts';
import type { TelnyxClient } from '../telnyx/client.ts';
import { type ArchiveDependencies, archiveDocument, type Outcome } from './archive-document.ts';

export type ArchiveHandlerDependencies = ArchiveDependencies &
  BatchDependencies & {
    /** For documents of the low lane: leaves at least half of Telnyx's rate limit to live work. */
    lowLaneTelnyx: TelnyxClient;
  };

/** The archive function: takes messages of the documents and backfill lanes, returns those that must be redelivered. */
export function createArchiveHandler(dependencies: ArchiveHandlerDependencies) {
  return createBatchHandler(
    dependencies,
    (deadline) => createJob(dependencies, deadline),
    'The invocation ran out of time before the document was archived. The message returns to its queue.',
  );
}

function createJob(dependencies: ArchiveHandlerDependencies, deadline: number): Job<DocumentMessage> {
  return {
    parse: (record) =>
      parseDocumentMessage(record.body, new Date(instantOf(record.attributes.SentTimestamp))),
    describe: ({ documentId, trigger, event }) => ({
      documentId,
      trigger,
      eventId: event?.id,
      eventType: event?.type,
    }),
    work: async (message, { lane, receives, ageMs, signal }) => {
      const { telnyx, lowLaneTelnyx } = dependencies;
      const outcome = await archiveDocument(
        message,
        { receives, ageMs, deadline, signal },
        { ...dependencies, telnyx: lane.live ? telnyx : lowLaneTelnyx },
      );
      countOutcome(outcome, message, dependencies);
      // Stryker disable next-line ConditionalExpression: the others have no bytes; required by the type.
      return { outcome: outcome.outcome, bytes: outcome.outcome === 'archived' ? outcome.bytes : undefined };
    },
  };
}

function countOutcome(
  outcome: Outcome,
  message: DocumentMessage,
  { log, time }: ArchiveHandlerDependencies,
): void {
  if (outcome.outcome === 'already-archived') {
    log.count('DocumentsAlreadyArchived');
    return;
  }
  if (outcome.outcome === 'erased') {
    log.count('DocumentsErased');
    return;
  }
  log.count('DocumentsArchived');
  log.count('BytesArchived', outcome.bytes);
  // Stryker disable next-line StringLiteral: neither text is a date.
  const createdAt = Date.parse(outcome.createdAt ?? '');
  const isLive = message.trigger === 'webhook' || message.trigger === 'sweep';
  if (isLive && Number.isFinite(createdAt)) log.count('ArchiveLatency', Math.max(0, time.now() - createdAt));
}

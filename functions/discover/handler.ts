import type { BatchDependencies, Job } from '../queue/batch.ts';
import { createBatchHandler } from '../queue/batch-handler.ts';
import { type DiscoveryMessage, parseDiscoveryMessage } from '../queue/messages.ts';
import { type DiscoverDependencies, discover } from './discover.ts';

export type DiscoverHandlerDependencies = DiscoverDependencies &
  BatchDependencies & {
    /** For the spans lane: leaves at least half of Telnyx's rate limit to live work. */
    lowLaneTelnyx: DiscoverDependencies['telnyx'];
    spansQueueUrl: string;
  };

/** Processes messages of the discovery and spans lanes; the handler reports failed messages as `batchItemFailures`. */
export function createDiscoverHandler(dependencies: DiscoverHandlerDependencies) {
  return createBatchHandler(
    dependencies,
    (deadline) => createJob(dependencies, deadline),
    'The invocation ran out of time before the list was read; the message returns to the queue. Split a span that never completes into shorter spans.',
  );
}

function createJob(dependencies: DiscoverHandlerDependencies, deadline: number): Job<DiscoveryMessage> {
  return {
    parse: (record) => parseDiscoveryMessage(record.body),
    describe: (message) => {
      const event = 'event' in message ? message.event : undefined;
      return { kind: message.kind, eventId: event?.id, eventType: event?.type };
    },
    work: async (message, { lane, receivedAt, signal }) => {
      const { telnyx, lowLaneTelnyx, send, spansQueueUrl } = dependencies;
      if (message.kind === 'span' && lane.live) {
        // Sent by version 0.1.0 or by an operator. Processed here, it would delay sweeps.
        await send(spansQueueUrl, [message], signal);
        return { queued: 1 };
      }
      const { unreadable, ...result } = await discover(
        message,
        { receivedAt, deadline, signal },
        { ...dependencies, telnyx: lane.live ? telnyx : lowLaneTelnyx },
      );
      return { ...result, problems: unreadable };
    },
  };
}

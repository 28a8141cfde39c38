import middy from '@middy/core';
import type { Context, SQSEvent } from 'aws-lambda';
import { ArchiverError } from '../errors.ts';
import { timeouts } from '../limits.ts';
import { type BatchDependencies, consumeBatch, type Job } from '../queue/batch.ts';
import { type DiscoveryMessage, parseDiscoveryMessage } from '../queue/messages.ts';
import { nextTurn, withDeadline } from '../time.ts';
import { type DiscoverDependencies, discover } from './discover.ts';

export type DiscoverHandlerDependencies = DiscoverDependencies &
  BatchDependencies & {
    /** For spans: leaves at least half of Telnyx's rate limit to live work. */
    lowLaneTelnyx: DiscoverDependencies['telnyx'];
    spansQueueUrl: string;
  };

/** The discover function: messages of the discovery and spans lanes in, what is not done out. */
export function createDiscoverHandler(dependencies: DiscoverHandlerDependencies) {
  const { time } = dependencies;
  const handle = async (event: SQSEvent, context: Context, { signal }: { signal: AbortSignal }) => {
    await nextTurn();
    const forDiscovery = context.getRemainingTimeInMillis() - timeouts.reserveMs;
    const deadline = time.monotonic() + forDiscovery;
    return withDeadline(time, forDiscovery, signal, outOfTime, (limited) =>
      consumeBatch(event, limited, discovering(dependencies, deadline), dependencies),
    );
  };
  return middy(handle, { timeoutEarlyInMillis: timeouts.lastResortMs });
}

function discovering(dependencies: DiscoverHandlerDependencies, deadline: number): Job<DiscoveryMessage> {
  return {
    parse: (record) => parseDiscoveryMessage(record.body),
    describe: (message) => {
      const event = 'event' in message ? message.event : undefined;
      return { kind: message.kind, eventId: event?.id, eventType: event?.type };
    },
    work: async (message, { lane, receivedAt, signal }) => {
      const { telnyx, lowLaneTelnyx, send, spansQueueUrl } = dependencies;
      if (message.kind === 'span' && lane.live) {
        // Sent by version 0.1.0, or by hand: here it would hold up sweeps.
        await send(spansQueueUrl, [message], signal);
        return { queued: 1 };
      }
      const { unreadable, ...done } = await discover(
        message,
        { receivedAt, deadline, signal },
        { ...dependencies, telnyx: lane.live ? telnyx : lowLaneTelnyx },
      );
      return { ...done, problems: unreadable };
    },
  };
}

function outOfTime(): ArchiverError {
  return new ArchiverError(
    'OutOfTime',
    'The invocation ended before the list was read; the message comes back. A span that never fits must be cut into shorter ones.',
  );
}

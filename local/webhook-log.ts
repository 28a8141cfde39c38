/** Webhook requests, read from the structured logs and metrics of the webhook function. */
import { type RefusalReason, refusalStatus, type WebhookOutcome } from '../functions/webhook/handler.ts';
import type { StartEventOf } from './start-lines.ts';

/** Fields of a log line about an event, and of the metric of a refused request, which has no log line. */
interface Line {
  outcome?: WebhookOutcome;
  lane?: string;
  reason?: string;
  eventType?: string;
  eventId?: string;
  queued?: number;
  WebhooksRefused?: number;
  Reason?: RefusalReason;
}

/**
 * Reads one log line of a function.
 *
 * @returns undefined if it is not about a webhook request
 */
export function readWebhookLine(text: string): StartEventOf<'webhook'> | undefined {
  const { outcome, lane, reason, eventType, eventId, queued, WebhooksRefused, Reason }: Line =
    JSON.parse(text);
  if (WebhooksRefused !== undefined && Reason !== undefined)
    return { type: 'webhook', outcome: 'refused', status: refusalStatus[Reason], reason: Reason };
  // Lines about a queue message have an outcome too, and a lane.
  if (outcome === undefined || lane !== undefined) return undefined;
  // Of an event that is ignored in part, the next line has the status.
  const status = outcome === 'deferred' ? 503 : outcome === 'ignored' && queued !== 0 ? undefined : 200;
  return {
    type: 'webhook',
    outcome,
    ...(status !== undefined && { status }),
    ...(reason !== undefined && { reason }),
    ...(eventType !== undefined && { eventType }),
    ...(eventId !== undefined && { eventId }),
    ...(queued !== undefined && { queued }),
  };
}

import { documentSettings } from '../document-settings.ts';
import { type Environment, queueUrl, readSettings } from '../settings.ts';

/** Environment variables of the discover function. `infra/` sets exactly these. */
export const discoverSettings = {
  ...documentSettings,
  /** Queue for documents found by a sweep or through an order. */
  documentsQueueUrl: { variable: 'DOCUMENTS_QUEUE_URL', read: queueUrl },
  /** Queue for documents found in a span. */
  backfillQueueUrl: { variable: 'BACKFILL_QUEUE_URL', read: queueUrl },
  discoveryQueueUrl: { variable: 'DISCOVERY_QUEUE_URL', read: queueUrl },
  discoveryDeadLetterQueueUrl: { variable: 'DISCOVERY_DEAD_LETTER_QUEUE_URL', read: queueUrl },
  spansQueueUrl: { variable: 'SPANS_QUEUE_URL', read: queueUrl },
  spansDeadLetterQueueUrl: { variable: 'SPANS_DEAD_LETTER_QUEUE_URL', read: queueUrl },
};

export type DiscoverSettings = ReturnType<typeof readDiscoverSettings>;

export function readDiscoverSettings(environment: Environment) {
  return readSettings(discoverSettings, environment);
}

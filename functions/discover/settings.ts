import { documentSettings } from '../document-settings.ts';
import { queueUrl, readSettings } from '../settings.ts';

/** The environment of the discover function. `infra/` passes exactly these. */
export const discoverSettings = {
  ...documentSettings,
  /** Where documents go that were found recently, or by an order. */
  documentsQueueUrl: { variable: 'DOCUMENTS_QUEUE_URL', read: queueUrl },
  /** Where documents go that a span has found. */
  backfillQueueUrl: { variable: 'BACKFILL_QUEUE_URL', read: queueUrl },
  discoveryQueueUrl: { variable: 'DISCOVERY_QUEUE_URL', read: queueUrl },
  discoveryDeadLetterQueueUrl: { variable: 'DISCOVERY_DEAD_LETTER_QUEUE_URL', read: queueUrl },
  spansQueueUrl: { variable: 'SPANS_QUEUE_URL', read: queueUrl },
  spansDeadLetterQueueUrl: { variable: 'SPANS_DEAD_LETTER_QUEUE_URL', read: queueUrl },
};

export function readDiscoverSettings(environment: NodeJS.ProcessEnv) {
  return readSettings(discoverSettings, environment);
}

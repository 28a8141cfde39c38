import { sweep } from '../limits.ts';
import { queueUrl, readSettings, serviceUrl, text, wholeNumber } from '../settings.ts';

/** The environment of the discover function. `infra/` passes exactly these. */
export const discoverSettings = {
  bucketName: { variable: 'BUCKET_NAME', read: text },
  /** Twelve-digit account id that must own the bucket; requests to any other owner's bucket fail. */
  bucketOwner: { variable: 'BUCKET_OWNER', read: text, fallback: undefined },
  /** Where documents go that were found recently, or by an order. */
  documentsQueueUrl: { variable: 'DOCUMENTS_QUEUE_URL', read: queueUrl },
  /** Where documents go that a span has found. */
  backfillQueueUrl: { variable: 'BACKFILL_QUEUE_URL', read: queueUrl },
  discoveryQueueUrl: { variable: 'DISCOVERY_QUEUE_URL', read: queueUrl },
  discoveryDeadLetterQueueUrl: { variable: 'DISCOVERY_DEAD_LETTER_QUEUE_URL', read: queueUrl },
  apiKeySecretArn: { variable: 'TELNYX_API_KEY_SECRET_ARN', read: text },
  telnyxUrl: {
    variable: 'TELNYX_API_URL',
    read: serviceUrl,
    fallback: new URL('https://api.telnyx.com/v2'),
  },
  /** How often the schedule asks for a sweep. A document older than this without a receipt has been missed. */
  sweepIntervalMinutes: {
    variable: 'SWEEP_INTERVAL_MINUTES',
    read: wholeNumber(1, 24 * 60),
    fallback: sweep.intervalMinutes,
  },
  /** How far back from now a sweep looks. */
  sweepLookBackMinutes: {
    variable: 'SWEEP_LOOK_BACK_MINUTES',
    read: wholeNumber(1, 7 * 24 * 60),
    fallback: sweep.lookBackMinutes,
  },
};

export function readDiscoverSettings(environment: NodeJS.ProcessEnv) {
  return readSettings(discoverSettings, environment);
}

import { concurrency, singlePutBytes } from '../limits.ts';
import { flag, queueUrl, readSettings, serviceUrl, text, wholeNumber } from '../settings.ts';

/** The environment of the discover function. `infra/` passes exactly these. */
export const discoverSettings = {
  /** The archiver's name: its metrics are in the namespace `TelnyxArchiver/<name>`. */
  archiverName: { variable: 'ARCHIVER_NAME', read: text },
  bucketName: { variable: 'BUCKET_NAME', read: text },
  /** Twelve-digit account id that must own the bucket; requests to any other owner's bucket fail. */
  bucketOwner: { variable: 'BUCKET_OWNER', read: text, fallback: undefined },
  /** Where documents go that were found recently, or by an order. */
  documentsQueueUrl: { variable: 'DOCUMENTS_QUEUE_URL', read: queueUrl },
  /** Where documents go that a span has found. */
  backfillQueueUrl: { variable: 'BACKFILL_QUEUE_URL', read: queueUrl },
  discoveryQueueUrl: { variable: 'DISCOVERY_QUEUE_URL', read: queueUrl },
  discoveryDeadLetterQueueUrl: { variable: 'DISCOVERY_DEAD_LETTER_QUEUE_URL', read: queueUrl },
  spansQueueUrl: { variable: 'SPANS_QUEUE_URL', read: queueUrl },
  spansDeadLetterQueueUrl: { variable: 'SPANS_DEAD_LETTER_QUEUE_URL', read: queueUrl },
  apiKeySecretArn: { variable: 'TELNYX_API_KEY_SECRET_ARN', read: text },
  telnyxUrl: {
    variable: 'TELNYX_API_URL',
    read: serviceUrl,
    fallback: new URL('https://api.telnyx.com/v2'),
  },
  /** Whether documents that Telnyx's scanner calls infected are archived too; if not, sweeps do not queue them. */
  archiveInfected: { variable: 'ARCHIVE_INFECTED', read: flag, fallback: false },
  /** Sweeps do not queue what is larger. */
  maxDocumentBytes: {
    variable: 'MAX_DOCUMENT_BYTES',
    read: wholeNumber(1, singlePutBytes),
    fallback: singlePutBytes,
  },
  /** Invocations of the low lanes, spans and backfill, that may run at once. */
  lowLaneInvocations: {
    variable: 'LOW_LANE_INVOCATIONS',
    read: wholeNumber(1, 1_000),
    fallback: concurrency.backfill + concurrency.spans,
  },
  /** Sent with every request to Telnyx. */
  version: { variable: 'ARCHIVER_VERSION', read: text },
};

export function readDiscoverSettings(environment: NodeJS.ProcessEnv) {
  return readSettings(discoverSettings, environment);
}

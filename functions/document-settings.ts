import { concurrency, singlePutBytes } from './limits.ts';
import { flag, serviceUrl, text, wholeNumber } from './settings.ts';

/** What the discover and the archive function both take from their environment: the account, the bucket, the bounds. */
export const documentSettings = {
  /** The archiver's name: its metrics are in the namespace `TelnyxArchiver/<name>`. */
  archiverName: { variable: 'ARCHIVER_NAME', read: text },
  bucketName: { variable: 'BUCKET_NAME', read: text },
  /** Twelve-digit account id that must own the bucket; requests to any other owner's bucket fail. */
  bucketOwner: { variable: 'BUCKET_OWNER', read: text, fallback: undefined },
  apiKeySecretArn: { variable: 'TELNYX_API_KEY_SECRET_ARN', read: text },
  telnyxUrl: {
    variable: 'TELNYX_API_URL',
    read: serviceUrl,
    fallback: new URL('https://api.telnyx.com/v2'),
  },
  /** Whether documents that Telnyx's scanner calls infected are archived too; if not, sweeps do not queue them. */
  archiveInfected: { variable: 'ARCHIVE_INFECTED', read: flag, fallback: false },
  /** What is larger is not archived, and sweeps do not queue it. */
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
  /** Sent with every request to Telnyx and its storage, and written into every receipt. */
  version: { variable: 'ARCHIVER_VERSION', read: text },
};

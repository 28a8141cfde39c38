import { concurrency, singlePutBytes } from './limits.ts';
import { flag, serviceUrl, text, wholeNumber } from './settings.ts';

/** Settings that the discover and the archive function share: the account, the bucket, the limits. */
export const documentSettings = {
  /** The archiver's name: its metrics are in the namespace `TelnyxArchiver/<name>`. */
  archiverName: { variable: 'ARCHIVER_NAME', read: text },
  bucketName: { variable: 'BUCKET_NAME', read: text },
  /** 12-digit ID of the account that must own the bucket. Requests fail if another account owns it. */
  bucketOwner: { variable: 'BUCKET_OWNER', read: text, fallback: undefined },
  apiKeySecretArn: { variable: 'TELNYX_API_KEY_SECRET_ARN', read: text },
  telnyxUrl: {
    variable: 'TELNYX_API_URL',
    read: serviceUrl,
    fallback: new URL('https://api.telnyx.com/v2'),
  },
  /** Whether to archive documents that Telnyx's scanner reports as infected. If false, sweeps do not queue them. */
  archiveInfected: { variable: 'ARCHIVE_INFECTED', read: flag, fallback: false },
  /** Larger documents are not archived, and sweeps do not queue them. */
  maxDocumentBytes: {
    variable: 'MAX_DOCUMENT_BYTES',
    read: wholeNumber(1, singlePutBytes),
    fallback: singlePutBytes,
  },
  /** Maximum concurrent invocations of the low lanes (spans and backfill) together. */
  lowLaneInvocations: {
    variable: 'LOW_LANE_INVOCATIONS',
    read: wholeNumber(1, 1_000),
    fallback: concurrency.backfill + concurrency.spans,
  },
  /** Sent with every request to Telnyx and its storage, and written into every receipt. */
  version: { variable: 'ARCHIVER_VERSION', read: text },
};

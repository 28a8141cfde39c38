import { concurrency, defaultDownloadHosts, singlePutBytes } from '../limits.ts';
import { flag, list, queueUrl, readSettings, serviceUrl, text, wholeNumber } from '../settings.ts';

/** The environment of the archive function. `infra/` passes exactly these. */
export const archiveSettings = {
  /** The archiver's name: its metrics are in the namespace `TelnyxArchiver/<name>`. */
  archiverName: { variable: 'ARCHIVER_NAME', read: text },
  bucketName: { variable: 'BUCKET_NAME', read: text },
  /** Twelve-digit account id that must own the bucket; requests to any other owner's bucket fail. */
  bucketOwner: { variable: 'BUCKET_OWNER', read: text, fallback: undefined },
  documentsQueueUrl: { variable: 'DOCUMENTS_QUEUE_URL', read: queueUrl },
  documentsDeadLetterQueueUrl: { variable: 'DOCUMENTS_DEAD_LETTER_QUEUE_URL', read: queueUrl },
  backfillQueueUrl: { variable: 'BACKFILL_QUEUE_URL', read: queueUrl },
  backfillDeadLetterQueueUrl: { variable: 'BACKFILL_DEAD_LETTER_QUEUE_URL', read: queueUrl },
  apiKeySecretArn: { variable: 'TELNYX_API_KEY_SECRET_ARN', read: text },
  telnyxUrl: {
    variable: 'TELNYX_API_URL',
    read: serviceUrl,
    fallback: new URL('https://api.telnyx.com/v2'),
  },
  /** Patterns of host names that download links may lead to, see `download-hosts.ts`. */
  downloadHosts: { variable: 'DOWNLOAD_HOSTS', read: list, fallback: defaultDownloadHosts },
  /** One origin that is taken as it is, http and loopback included: the local stack. Never set by `infra/`. */
  trustedDownloadOrigin: { variable: 'TRUSTED_DOWNLOAD_ORIGIN', read: serviceUrl, fallback: undefined },
  /** Whether documents that Telnyx's scanner calls infected are archived too. */
  archiveInfected: { variable: 'ARCHIVE_INFECTED', read: flag, fallback: false },
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
  /** Written into every receipt, and sent with every request to Telnyx and its storage. */
  version: { variable: 'ARCHIVER_VERSION', read: text },
};

export function readArchiveSettings(environment: NodeJS.ProcessEnv) {
  return readSettings(archiveSettings, environment);
}

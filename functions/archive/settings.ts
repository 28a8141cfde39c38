import { documentSettings } from '../document-settings.ts';
import { defaultDownloadHosts } from '../limits.ts';
import { type Environment, list, queueUrl, readSettings, serviceUrl } from '../settings.ts';

/** Environment variables of the archive function. `infra/` sets these and no others. */
export const archiveSettings = {
  ...documentSettings,
  documentsQueueUrl: { variable: 'DOCUMENTS_QUEUE_URL', read: queueUrl },
  documentsDeadLetterQueueUrl: { variable: 'DOCUMENTS_DEAD_LETTER_QUEUE_URL', read: queueUrl },
  backfillQueueUrl: { variable: 'BACKFILL_QUEUE_URL', read: queueUrl },
  backfillDeadLetterQueueUrl: { variable: 'BACKFILL_DEAD_LETTER_QUEUE_URL', read: queueUrl },
  /** Patterns for the hosts that download links may lead to; see `download-hosts.ts`. */
  downloadHosts: { variable: 'DOWNLOAD_HOSTS', read: list, fallback: defaultDownloadHosts },
  /** One origin that is always allowed, even with http or a loopback address: that of the local stack. `infra/` never sets it. */
  trustedDownloadOrigin: { variable: 'TRUSTED_DOWNLOAD_ORIGIN', read: serviceUrl, fallback: undefined },
};

export type ArchiveSettings = ReturnType<typeof readArchiveSettings>;

export function readArchiveSettings(environment: Environment) {
  return readSettings(archiveSettings, environment);
}

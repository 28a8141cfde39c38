import { documentSettings } from '../document-settings.ts';
import { defaultDownloadHosts } from '../limits.ts';
import { type Environment, list, queueUrl, readSettings, serviceUrl } from '../settings.ts';

/** The environment of the archive function. `infra/` passes exactly these. */
export const archiveSettings = {
  ...documentSettings,
  documentsQueueUrl: { variable: 'DOCUMENTS_QUEUE_URL', read: queueUrl },
  documentsDeadLetterQueueUrl: { variable: 'DOCUMENTS_DEAD_LETTER_QUEUE_URL', read: queueUrl },
  backfillQueueUrl: { variable: 'BACKFILL_QUEUE_URL', read: queueUrl },
  backfillDeadLetterQueueUrl: { variable: 'BACKFILL_DEAD_LETTER_QUEUE_URL', read: queueUrl },
  /** Patterns of host names that download links may lead to, see `download-hosts.ts`. */
  downloadHosts: { variable: 'DOWNLOAD_HOSTS', read: list, fallback: defaultDownloadHosts },
  /** One origin that download links may always lead to, http and loopback included: the local stack's. Never set by `infra/`. */
  trustedDownloadOrigin: { variable: 'TRUSTED_DOWNLOAD_ORIGIN', read: serviceUrl, fallback: undefined },
};

export type ArchiveSettings = ReturnType<typeof readArchiveSettings>;

export function readArchiveSettings(environment: Environment) {
  return readSettings(archiveSettings, environment);
}

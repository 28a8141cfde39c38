import { documentSettings } from '../document-settings.ts';
import { nightlyAudit } from '../limits.ts';
import { type Environment, flag, queueUrl, readSettings, text, wholeNumber } from '../settings.ts';

const { archiverName, bucketName, bucketOwner, apiKeySecretArn, telnyxUrl, lowLaneInvocations, version } =
  documentSettings;

/** Environment variables of the audit function. `infra/` sets exactly these. */
export const auditSettings = {
  archiverName,
  bucketName,
  bucketOwner,
  apiKeySecretArn,
  telnyxUrl,
  lowLaneInvocations,
  version,
  /** Days within which every object is read back once; 0: objects are never read back. */
  fixityDays: { variable: 'FIXITY_DAYS', read: wholeNumber(0, 3_650), fallback: nightlyAudit.fixityDays },
  /** Whether documents that are missing and still at Telnyx are queued for archiving. */
  repair: { variable: 'REPAIR', read: flag, fallback: false },
  /** Bucket of the catalogue. If it is not set, the function keeps no catalogue. */
  catalogueBucketName: { variable: 'CATALOGUE_BUCKET_NAME', read: text, fallback: undefined },
  auditQueueUrl: { variable: 'AUDIT_QUEUE_URL', read: queueUrl },
  auditDeadLetterQueueUrl: { variable: 'AUDIT_DEAD_LETTER_QUEUE_URL', read: queueUrl },
  /** Queue for the documents to repair. Without `repair`, the function may not send to it. */
  backfillQueueUrl: { variable: 'BACKFILL_QUEUE_URL', read: queueUrl },
};

export type AuditSettings = ReturnType<typeof readAuditSettings>;

export function readAuditSettings(environment: Environment) {
  return readSettings(auditSettings, environment);
}

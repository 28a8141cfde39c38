/**
 * The CloudWatch metrics of the functions. Alarms and the dashboard use the same names. Imports nothing, so that `infra/`
 * can import it.
 */

/** Each archiver has its own namespace, `TelnyxArchiver/<name>`: several in one account do not hide each other. */
export const metricNamespacePrefix = 'TelnyxArchiver/';

export type Dimension = 'Code' | 'Lane' | 'Reason';

/**
 * Unit of each metric, and the dimensions by which it is also split, each separately. Dimension values come from fixed
 * sets.
 */
export const metrics = {
  /** Documents copied and verified, with their receipt written. */
  DocumentsArchived: { unit: 'Count' },
  /** Messages whose document already had a receipt. */
  DocumentsAlreadyArchived: { unit: 'Count' },
  /** Messages whose document was erased. */
  DocumentsErased: { unit: 'Count' },
  /** Messages that a function has sent to the dead-letter queue of their lane. */
  DeadLetters: { unit: 'Count', dimensions: ['Code', 'Lane'] },
  /** Receives that failed, by error code. */
  ReceivesFailed: { unit: 'Count', dimensions: ['Code'] },
  /** Of these, the ones with policy `wait` that ended `limits.waitingAfterMs` or more after the first receive. */
  MessagesWaiting: { unit: 'Count', dimensions: ['Code'] },
  BytesArchived: { unit: 'Bytes' },
  /** From Telnyx's `created_at` to the receipt, for live documents. Must stay far below 30 minutes. */
  ArchiveLatency: { unit: 'Milliseconds' },
  /** Fields of Telnyx's records that do not follow its specification and were treated as missing. */
  FieldsMalformed: { unit: 'Count' },
  /** Receipts with a truncated copy of Telnyx's record, because it was too large or too deeply nested. */
  RecordsCut: { unit: 'Count' },

  /** Webhook events whose messages were queued. */
  WebhooksAccepted: { unit: 'Count' },
  /** Webhook requests refused without an event being read, by reason. */
  WebhooksRefused: { unit: 'Count', dimensions: ['Reason'] },
  /** Genuine events that were ignored, in whole or in part, by reason. */
  WebhooksIgnored: { unit: 'Count', dimensions: ['Reason'] },
  /** Genuine events that could not be queued. The 503 makes Telnyx send them again. */
  WebhooksDeferred: { unit: 'Count' },

  /** Completed sweeps. The heartbeat of discovery. */
  SweepsCompleted: { unit: 'Count' },
  /** Documents that discovery found at Telnyx. */
  DocumentsFound: { unit: 'Count' },
  /** Documents without a receipt that discovery queued. */
  DocumentsQueued: { unit: 'Count' },
  /** Facts about whose document it is that discovery wrote. */
  ContextsWritten: { unit: 'Count' },
  /** Documents 10 to 15 minutes old without a receipt, found by the sweep of every fifth minute. Each counts once. */
  DocumentsOverdue: { unit: 'Count' },
  /** Age of the oldest document without a receipt that a sweep found. For the dashboard. */
  OldestUnarchived: { unit: 'Milliseconds' },

  /** Completed runs of the audit. Its heartbeat. */
  AuditCompleted: { unit: 'Count' },
  /** Documents that a completed run compared. */
  AuditedDocuments: { unit: 'Count' },
  /** Problems of a completed run, and what it could not check, by code. Published with the run, also if it is 0. */
  AuditFindings: { unit: 'Count', dimensions: ['Code'] },
  /** Documents that the audit queued for archiving. */
  AuditRepairs: { unit: 'Count' },
  /** Shards and rows of the catalogue that the audit could not bring up to date. The next night tries again. */
  CatalogueFailures: { unit: 'Count' },
} as const satisfies Record<
  string,
  { unit: 'Count' | 'Bytes' | 'Milliseconds'; dimensions?: readonly Dimension[] }
>;

export type MetricName = keyof typeof metrics;

/**
 * What the functions count, as CloudWatch metrics. Alarms and the dashboard use the same names. Imports
 * nothing, so that `infra/` may read it.
 */

/** Metrics of one archiver are in `TelnyxArchiver/<name>`: several in one account do not hide each other. */
export const metricNamespacePrefix = 'TelnyxArchiver/';

export type Dimension = 'Code' | 'Lane' | 'Reason';

/**
 * Name → unit, and the dimensions by which it is also split, each on its own. Dimension values come from fixed sets.
 */
export const metrics = {
  /** Documents copied, verified and receipted. */
  DocumentsArchived: { unit: 'Count' },
  /** Messages whose document had a receipt already. */
  DocumentsAlreadyArchived: { unit: 'Count' },
  /** Messages of any lane that a function has sent to the dead letters. */
  DeadLetters: { unit: 'Count', dimensions: ['Code', 'Lane'] },
  /** Receives that ended without the message being done, by error code. */
  ReceivesFailed: { unit: 'Count', dimensions: ['Code'] },
  /** Of these, through somebody else's fault (policy `wait`) and `limits.waitingAfterMs` or more after the first. */
  MessagesWaiting: { unit: 'Count', dimensions: ['Code'] },
  BytesArchived: { unit: 'Bytes' },
  /** From `created_at` at Telnyx to the receipt, for live documents: must stay far below 30 minutes. */
  ArchiveLatency: { unit: 'Milliseconds' },
  /** Fields of Telnyx's records that are not as its specification says, and were taken as not stated. */
  FieldsMalformed: { unit: 'Count' },
  /** Receipts whose copy of Telnyx's record was cut, because it was too large or too deeply nested. */
  RecordsCut: { unit: 'Count' },

  /** Webhook events whose messages are in the queue. */
  WebhooksAccepted: { unit: 'Count' },
  /** Webhook requests refused before their body meant anything, by reason. */
  WebhooksRefused: { unit: 'Count', dimensions: ['Reason'] },
  /** Genuine events, or parts of them, that are not acted upon, by reason. */
  WebhooksIgnored: { unit: 'Count', dimensions: ['Reason'] },
  /** Genuine events that could not be queued, so that Telnyx was asked to send them again. */
  WebhooksDeferred: { unit: 'Count' },

  /** The heartbeat: one per sweep that read all it was to read. */
  SweepsCompleted: { unit: 'Count' },
  /** Documents seen at Telnyx by discovery. */
  DocumentsFound: { unit: 'Count' },
  /** Documents that are not settled, queued by discovery. */
  DocumentsQueued: { unit: 'Count' },
  /** Documents 10 to 15 minutes old that a five-minute sweep found not settled; each counts once. */
  DocumentsOverdue: { unit: 'Count' },
  /** Age of the oldest document that a sweep found not settled. For the dashboard. */
  OldestUnarchived: { unit: 'Milliseconds' },
} as const satisfies Record<
  string,
  { unit: 'Count' | 'Bytes' | 'Milliseconds'; dimensions?: readonly Dimension[] }
>;

export type MetricName = keyof typeof metrics;

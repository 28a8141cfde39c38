/**
 * What the functions count, as CloudWatch metrics. Alarms and the dashboard use the same names. Imports
 * nothing, so that `infra/` may read it.
 */

export const metricNamespace = 'TelnyxArchiver';

/** Name → unit and the one dimension by which it is also split, if any. Dimension values come from fixed sets. */
export const metrics = {
  /** Documents copied, proven and receipted. */
  DocumentsArchived: { unit: 'Count' },
  /** Messages whose document had a receipt already. */
  DocumentsAlreadyArchived: { unit: 'Count' },
  /** Documents given up, by error code. */
  DocumentsDeadLettered: { unit: 'Count', dimension: 'Code' },
  /** Receives that ended without the document being done, by error code. */
  ReceivesFailed: { unit: 'Count', dimension: 'Code' },
  BytesArchived: { unit: 'Bytes' },
  /** From `created_at` at Telnyx to the receipt, for live documents: must stay far below 30 minutes. */
  ArchiveLatency: { unit: 'Milliseconds' },

  /** Webhook events whose messages are in the queue. */
  WebhooksAccepted: { unit: 'Count' },
  /** Webhook requests refused before their body meant anything, by reason. */
  WebhooksRefused: { unit: 'Count', dimension: 'Reason' },
  /** Genuine events that name no document and no order that we know how to read. */
  WebhooksIgnored: { unit: 'Count', dimension: 'Reason' },
  /** Genuine events that could not be queued, so that Telnyx was asked to send them again. */
  WebhooksDeferred: { unit: 'Count' },

  /** The heartbeat: one per `recent` sweep that read its whole window. */
  SweepsCompleted: { unit: 'Count' },
  /** Documents seen at Telnyx by discovery. */
  DocumentsFound: { unit: 'Count' },
  /** Documents without a receipt, queued by discovery. */
  DocumentsQueued: { unit: 'Count' },
  /** Documents without a receipt although older than one sweep: something is being missed. */
  DocumentsMissed: { unit: 'Count' },
} as const satisfies Record<
  string,
  { unit: 'Count' | 'Bytes' | 'Milliseconds'; dimension?: 'Code' | 'Reason' }
>;

export type MetricName = keyof typeof metrics;

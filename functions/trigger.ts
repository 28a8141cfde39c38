/** Why a document is archived. Part of queue messages and receipts. */

/** The source of the request. */
export const triggers = ['webhook', 'sweep', 'backfill', 'operator'] as const;
export type Trigger = (typeof triggers)[number];

/** The Telnyx event that led to the document. */
export interface EventOrigin {
  id: string;
  type: string;
  /** As stated by the event, unchecked. */
  occurredAt: string;
}

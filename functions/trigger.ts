/** Why a document is archived. Travels in queue messages and is kept in the receipt. */

/** What asked for the document. */
export const triggers = ['webhook', 'sweep', 'backfill', 'operator'] as const;
export type Trigger = (typeof triggers)[number];

/** The Telnyx event that led to the document. */
export interface EventOrigin {
  id: string;
  type: string;
  /** As the event states it, unchecked. */
  occurredAt: string;
}

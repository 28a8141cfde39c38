/**
 * The receipt of an archived document, its chain of custody in one file. It is written last: a document is archived if
 * and only if its receipt exists.
 */

import * as v from 'valibot';
import { ArchiverError } from '../errors.ts';
import type { EventOrigin, Trigger } from '../trigger.ts';
import { receiptKey } from './keys.ts';
import { type Bucket, objectInMemory } from './store.ts';
import { parseTombstone } from './tombstones.ts';

export interface Receipt {
  v: 1;
  documentId: string;
  /** ISO 8601. */
  archivedAt: string;
  object: {
    key: string;
    bytes: number;
    /** Lower-case hex. */
    sha256: string;
    /** `telnyx` if Telnyx stated the digest before the transfer, `archiver` if the archiver computed it from the bytes. */
    sha256StatedBy: 'telnyx' | 'archiver';
    etag: string | undefined;
    versionId: string | undefined;
  };
  /** Why it was archived: the trigger, the Telnyx event, the time of the request, and the receive that succeeded. */
  request: {
    trigger: Trigger;
    event?: EventOrigin | undefined;
    requestedAt: string;
    receives: number;
  };
  /** Version of the archiver that wrote the receipt. */
  archiver: string;
  /** True if Telnyx's record was too large or too deeply nested to keep in full; absent otherwise. */
  telnyxCut?: true | undefined;
  /** Telnyx's record of the document, including the file name, as Telnyx wrote it. */
  telnyx: Readonly<Record<string, unknown>>;
}

/** A receipt before it is written. */
export interface NewReceipt extends Omit<Receipt, 'telnyx'> {
  /** JSON text of Telnyx's record, of bounded size. */
  telnyx: string;
}

/** A receipt has about 2 kB, most of it Telnyx's record. A larger object is not read. */
export const maxReceiptBytes = 1024 ** 2;

/** The text of a receipt: the archiver's part indented, followed by Telnyx's record unchanged. */
export function receiptText({ telnyx, ...own }: NewReceipt): string {
  const opened = JSON.stringify(own, undefined, 2).slice(0, -'\n}'.length);
  return `${opened},\n  "telnyx": ${telnyx}\n}\n`;
}

const receiptDigest = v.pipe(
  v.string(),
  v.parseJson(),
  v.object({ object: v.object({ sha256: v.string() }) }),
);

/** Both are final: the document needs no further work. `erased` means that a tombstone has replaced the receipt. */
export type ReceiptState = 'archived' | 'erased';

export interface Receipts {
  /** @returns undefined if there is neither a receipt nor a tombstone */
  state(documentId: string, signal: AbortSignal): Promise<ReceiptState | undefined>;
  /**
   * Writes the receipt unless one for the same bytes, or a tombstone, exists.
   *
   * @returns `written` if the bucket now has this receipt, otherwise what it has instead
   * @throws ArchiverError KeyCollision if a receipt for other bytes exists, and the errors of `Bucket`
   */
  writeOnce(receipt: NewReceipt, signal: AbortSignal): Promise<'written' | ReceiptState>;
}

export function createReceipts(bucket: Bucket): Receipts {
  return {
    state: async (documentId, signal) => {
      const existing = await bucket.head(receiptKey(documentId), signal);
      return existing && (existing.state ?? 'archived');
    },

    writeOnce: async (receipt, signal) => {
      const { documentId } = receipt;
      const key = receiptKey(documentId);
      const object = objectInMemory(key, receiptText(receipt), 'application/json');
      const stored = await bucket.putOnce(object, signal);
      if (stored !== 'exists') return 'written';
      const existing = await bucket.read(key, signal);
      if (existing === undefined) {
        throw new ArchiverError(
          'BucketConflict',
          'The receipt existed during the write, but was gone when it was read.',
        );
      }
      // The S3 client repeats a request whose response was lost.
      if (existing.equals(object.body)) return 'written';
      if (digestIn(existing) === receipt.object.sha256) return 'archived';
      if (typeof parseTombstone(documentId, existing) === 'object') return 'erased';
      throw new ArchiverError(
        'KeyCollision',
        'A receipt for other bytes exists under this document ID. Nothing was overwritten. Compare the two by hand.',
      );
    },
  };
}

function digestIn(receipt: Buffer): string | undefined {
  const result = v.safeParse(receiptDigest, receipt.toString('utf8'));
  // Otherwise the archiver did not write it: the caller reports the collision.
  return result.success ? result.output.object.sha256 : undefined;
}

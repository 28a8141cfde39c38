/**
 * The receipt of an archived document: written last, so a document is archived if and only if its receipt exists.
 * The chain of custody in one file.
 */

import { createHash } from 'node:crypto';
import * as v from 'valibot';
import { ArchiverError } from '../errors.ts';
import type { EventOrigin, Trigger } from '../trigger.ts';
import { receiptKey } from './keys.ts';
import type { Bucket } from './store.ts';

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
    /** Who said what the digest must be: `telnyx` before the transfer, or only the archiver's own reading of the bytes. */
    sha256StatedBy: 'telnyx' | 'archiver';
    etag: string | undefined;
    versionId: string | undefined;
  };
  /** Why it was archived: what triggered it, which Telnyx event, when it was asked for, in which receive it succeeded. */
  request: {
    trigger: Trigger;
    event?: EventOrigin | undefined;
    requestedAt: string;
    receives: number;
  };
  /** Version of the archiver that did it. */
  archiver: string;
  /** There where Telnyx's record was too large or too deeply nested to be kept whole. */
  telnyxCut?: true | undefined;
  /** Telnyx's record of the document, file name and all. Its text is Telnyx's own. */
  telnyx: Readonly<Record<string, unknown>>;
}

/** A receipt to be written. */
export interface NewReceipt extends Omit<Receipt, 'telnyx'> {
  /** JSON text of Telnyx's record, bounded. */
  telnyx: string;
}

/** A receipt's text: the archiver's own part indented, Telnyx's record verbatim behind it. */
export function receiptText({ telnyx, ...own }: NewReceipt): string {
  const opened = JSON.stringify(own, undefined, 2).slice(0, -'\n}'.length);
  return `${opened},\n  "telnyx": ${telnyx}\n}\n`;
}

const receiptDigest = v.object({ object: v.object({ sha256: v.string() }) });

export interface Receipts {
  exists(documentId: string, signal: AbortSignal): Promise<boolean>;
  /**
   * Writes the receipt unless there is one for the same bytes.
   *
   * @returns whether it is this one that stands there now
   * @throws ArchiverError KeyCollision where there is one for other bytes, and those of `Bucket`
   */
  writeOnce(receipt: NewReceipt, signal: AbortSignal): Promise<boolean>;
}

export function createReceipts(bucket: Bucket): Receipts {
  return {
    exists: async (documentId, signal) => (await bucket.head(receiptKey(documentId), signal)) !== undefined,

    writeOnce: async (receipt, signal) => {
      const key = receiptKey(receipt.documentId);
      const body = Buffer.from(receiptText(receipt));
      const stored = await bucket.putOnce(
        {
          key,
          body,
          bytes: body.length,
          sha256: createHash('sha256').update(body).digest('hex'),
          contentType: 'application/json',
        },
        signal,
      );
      if (stored !== 'exists') return true;
      const existing = await bucket.read(key, signal);
      if (existing === undefined) {
        throw new ArchiverError('BucketConflict', 'The receipt was there and is gone again.');
      }
      // The S3 client sends a receipt again when the first answer was lost.
      if (existing.equals(body)) return true;
      if (digestIn(existing) === receipt.object.sha256) return false;
      throw new ArchiverError(
        'KeyCollision',
        'There is a receipt for other bytes under this document id. Nothing was overwritten; compare both by hand.',
      );
    },
  };
}

function digestIn(receipt: Buffer): string | undefined {
  try {
    const result = v.safeParse(receiptDigest, JSON.parse(receipt.toString('utf8')));
    return result.success ? result.output.object.sha256 : undefined;
  } catch {
    // Not JSON, so not a receipt of ours: the caller reports the collision.
    return undefined;
  }
}

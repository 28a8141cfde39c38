/**
 * Where things lie in the bucket. A key holds the document's id and nothing that anyone else has written: 512
 * characters of Unicode do not fit into S3's 1,024 bytes, and `..` passes the SDK unharmed.
 */
import { isUuid } from '../uuid.ts';

export const documentPrefix = 'documents/';
export const receiptPrefix = 'receipts/';
/** Written by the operator's audit, never by a function. */
export const manifestPrefix = 'manifests/';
const receiptSuffix = '.json';

/** `documents/<id>` */
export function documentKey(documentId: string): string {
  return documentPrefix + checked(documentId);
}

/** `receipts/<id>.json` */
export function receiptKey(documentId: string): string {
  return receiptPrefix + checked(documentId) + receiptSuffix;
}

/** The document id in a receipt's key, or undefined where the key is not one of ours. */
export function documentIdOfReceipt(key: string): string | undefined {
  if (!key.startsWith(receiptPrefix) || !key.endsWith(receiptSuffix)) return undefined;
  const id = key.slice(receiptPrefix.length, -receiptSuffix.length);
  return isUuid(id) ? id : undefined;
}

function checked(documentId: string): string {
  // Every message and every answer is checked before; a key is built from nothing else all the same.
  if (!isUuid(documentId)) throw new RangeError('A key is built from a lower-case UUID only.');
  return documentId;
}

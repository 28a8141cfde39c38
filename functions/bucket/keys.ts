/**
 * The keys of the objects in the bucket. A key contains the document ID and no text from elsewhere, such as a file
 * name: 512 characters of Unicode exceed S3's limit of 1,024 bytes, and the SDK does not reject `..`.
 */
import { isUuid } from '../uuid.ts';

export const documentPrefix = 'documents/';
export const receiptPrefix = 'receipts/';
/** Written by the `audit` command, never by a function. */
export const manifestPrefix = 'manifests/';
const receiptSuffix = '.json';

/** `documents/<id>` */
export function documentKey(documentId: string): string {
  return documentPrefix + checkId(documentId);
}

/** `receipts/<id>.json` */
export function receiptKey(documentId: string): string {
  return receiptPrefix + checkId(documentId) + receiptSuffix;
}

/** The document ID in the key of an archived document, or undefined for any other key. */
export function documentIdOfObject(key: string): string | undefined {
  const id = key.startsWith(documentPrefix) ? key.slice(documentPrefix.length) : '';
  return isUuid(id) ? id : undefined;
}

/** The document ID in the key of a receipt, or undefined for any other key. */
export function documentIdOfReceipt(key: string): string | undefined {
  if (!key.startsWith(receiptPrefix) || !key.endsWith(receiptSuffix)) return undefined;
  const id = key.slice(receiptPrefix.length, -receiptSuffix.length);
  return isUuid(id) ? id : undefined;
}

function checkId(documentId: string): string {
  // Messages and responses are validated earlier; this is a second line of defence.
  if (!isUuid(documentId)) throw new RangeError('The document ID is not a lower-case UUID.');
  return documentId;
}

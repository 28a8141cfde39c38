/**
 * The keys of the objects in the bucket. A key contains the document ID and no text from elsewhere, such as a file
 * name: 512 characters of Unicode exceed S3's limit of 1,024 bytes, and the SDK does not reject `..`.
 */
import { isUuid } from '../uuid.ts';

export const documentPrefix = 'documents/';
export const receiptPrefix = 'receipts/';
/** Written by the `audit` command, never by a function. */
export const manifestPrefix = 'manifests/';
/** Written by the `hold` and `release` commands, never by a function. */
export const holdPrefix = 'holds/';
const jsonSuffix = '.json';

/** `documents/<id>` */
export function documentKey(documentId: string): string {
  return documentPrefix + checkId(documentId);
}

/** `receipts/<id>.json` */
export function receiptKey(documentId: string): string {
  return receiptPrefix + checkId(documentId) + jsonSuffix;
}

/** The document ID in the key of an archived document, or undefined for any other key. */
export function documentIdOfObject(key: string): string | undefined {
  if (!key.startsWith(documentPrefix)) return undefined;
  const id = key.slice(documentPrefix.length);
  return isUuid(id) ? id : undefined;
}

/** The document ID in the key of a receipt, or undefined for any other key. */
export function documentIdOfReceipt(key: string): string | undefined {
  if (!key.startsWith(receiptPrefix) || !key.endsWith(jsonSuffix)) return undefined;
  const id = key.slice(receiptPrefix.length, -jsonSuffix.length);
  return isUuid(id) ? id : undefined;
}

/** `holds/<id>/`, the prefix of all hold records of a document. */
export function holdsOfPrefix(documentId: string): string {
  return `${holdPrefix}${checkId(documentId)}/`;
}

/** `holds/<id>/<instant>.json`: the keys of one document sort by time. @param at milliseconds since the Unix epoch */
export function holdKey(documentId: string, at: number): string {
  return `${holdsOfPrefix(documentId)}${new Date(at).toISOString()}${jsonSuffix}`;
}

const holdKeyPattern = /^holds\/([^/]+)\/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\.json$/;

/** The document ID in the key of a hold record, or undefined for any other key. */
export function documentIdOfHold(key: string): string | undefined {
  return holdKeyPattern.exec(key)?.find(isUuid);
}

function checkId(documentId: string): string {
  // Messages and responses are validated earlier; this is a second line of defence.
  if (!isUuid(documentId)) throw new RangeError('The document ID is not a lower-case UUID.');
  return documentId;
}

/** PutObjectRetention, GetObjectRetention, PutObjectLegalHold and GetObjectLegalHold. */
import { text } from 'node:stream/consumers';
import { bypassesGovernance } from './delete-object.ts';
import { isObjectPath } from './object-key.ts';
import {
  isLegalHold,
  isRetentionMode,
  noLockConfiguration,
  parseDate,
  type Retention,
  requireRetentionChange,
} from './object-lock.ts';
import { isObject, notAnObject, type ObjectReader } from './object-reader.ts';
import type { ObjectStore } from './object-store.ts';
import { Payload } from './payload.ts';
import type { S3Request } from './request.ts';
import { emptyResponse, type S3Response, xmlResponse } from './response.ts';
import { malformedXml, noSuchKey } from './s3-error.ts';
import { parseFlatXml, s3Namespace, xmlDocument } from './xml.ts';

/**
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectRetention.html
 * @throws {S3Error} NoSuchObjectLockConfiguration, NoSuchKey, NoSuchVersion or MethodNotAllowed
 */
export async function getRetention(
  request: S3Request,
  key: string,
  bucket: ObjectReader,
): Promise<S3Response> {
  const { retention } = (await lockOf(request, key, bucket)) ?? {};
  if (!retention) throw noLockConfiguration();
  const children = [
    ['Mode', retention.mode],
    ['RetainUntilDate', new Date(retention.until).toISOString()],
  ] as const;
  return xmlResponse(200, xmlDocument('Retention', children, s3Namespace));
}

/**
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectLegalHold.html
 * @throws {S3Error} NoSuchObjectLockConfiguration, NoSuchKey, NoSuchVersion or MethodNotAllowed
 */
export async function getLegalHold(
  request: S3Request,
  key: string,
  bucket: ObjectReader,
): Promise<S3Response> {
  const { legalHold } = (await lockOf(request, key, bucket)) ?? {};
  if (!legalHold) throw noLockConfiguration();
  return xmlResponse(200, xmlDocument('LegalHold', [['Status', legalHold]], s3Namespace));
}

/**
 * An empty retention removes the one that the version has.
 *
 * @param now milliseconds since the epoch
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectRetention.html
 * @throws {S3Error} AccessDenied, MalformedXML, InvalidArgument, or those of `ObjectStore.changeLock`
 */
export async function putRetention(
  request: S3Request,
  key: string,
  bucket: ObjectStore,
  body: AsyncIterable<Buffer>,
  now: number,
): Promise<S3Response> {
  if (!isObjectPath(key)) throw noSuchKey(key);
  const retention = retentionIn(await readXml(request, body, 'Retention'));
  const bypass = { governance: bypassesGovernance(request), now };
  await bucket.changeLock(key, request.query.get('versionId'), ({ retention: current, ...rest }) => {
    requireRetentionChange(current, retention, bypass);
    return { ...rest, ...(retention && { retention }) };
  });
  return emptyResponse(200);
}

/**
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectLegalHold.html
 * @throws {S3Error} MalformedXML, or those of `ObjectStore.changeLock`
 */
export async function putLegalHold(
  request: S3Request,
  key: string,
  bucket: ObjectStore,
  body: AsyncIterable<Buffer>,
): Promise<S3Response> {
  if (!isObjectPath(key)) throw noSuchKey(key);
  const status = (await readXml(request, body, 'LegalHold')).get('Status');
  if (!isLegalHold(status)) throw malformedXml();
  await bucket.changeLock(key, request.query.get('versionId'), (lock) => ({ ...lock, legalHold: status }));
  return emptyResponse(200);
}

async function lockOf(request: S3Request, key: string, bucket: ObjectReader) {
  if (!isObjectPath(key)) throw noSuchKey(key);
  const versionId = request.query.get('versionId');
  const found = await bucket.describe(key, versionId);
  if (!isObject(found)) throw notAnObject(key, versionId, found);
  return found.lock;
}

const MAX_XML_BYTES = 64 * 1024;

async function readXml(
  request: S3Request,
  body: AsyncIterable<Buffer>,
  root: string,
): Promise<ReadonlyMap<string, string>> {
  const payload = new Payload(request, MAX_XML_BYTES);
  const document = await text(payload.read(body));
  payload.verify();
  const fields = parseFlatXml(document, root);
  if (!fields) throw malformedXml();
  return fields;
}

function retentionIn(fields: ReadonlyMap<string, string>): Retention | undefined {
  const [mode, date] = [fields.get('Mode'), fields.get('RetainUntilDate')];
  if (fields.size === 0) return undefined;
  if (fields.size > 2 || !isRetentionMode(mode) || date === undefined) throw malformedXml();
  return { mode, until: parseDate(date) };
}

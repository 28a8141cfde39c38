import { checkKey } from './object-key.ts';
import { isObject } from './object-reader.ts';
import type { ObjectStore } from './object-store.ts';
import { header, type S3Request } from './request.ts';
import { emptyResponse, type S3Response } from './response.ts';
import { headerNotImplemented } from './s3-error.ts';

/** Conditions and multi-factor authentication: to ignore them could delete too much. */
const UNSUPPORTED_HEADERS = /^(if-.+|x-amz-if-.+|x-amz-mfa)$/;

/**
 * DeleteObject. Without a version ID it adds a delete marker, also for a key that does not exist. With one it deletes that
 * version for good; a version that does not exist counts as deleted.
 *
 * @param now milliseconds since the epoch
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObject.html
 * @throws {S3Error} AccessDenied if the version is locked, or ConditionalRequestConflict
 */
export async function deleteObject(
  request: S3Request,
  key: string,
  bucket: ObjectStore,
  now: number,
): Promise<S3Response> {
  checkKey(key);
  const unsupported = Object.keys(request.headerValues).find((name) => UNSUPPORTED_HEADERS.test(name));
  if (unsupported !== undefined) throw headerNotImplemented(unsupported);
  const versionId = request.query.get('versionId');
  if (versionId === undefined) {
    const marker = await bucket.putDeleteMarker(key, now);
    return emptyResponse(204, { 'x-amz-delete-marker': 'true', 'x-amz-version-id': marker.versionId });
  }
  const deleted = await bucket.deleteVersion(key, versionId, {
    governance: bypassesGovernance(request),
    now,
  });
  return emptyResponse(204, {
    // An ID is returned only if this server wrote it: a header cannot contain everything.
    ...(deleted && { 'x-amz-version-id': deleted.versionId }),
    ...(deleted && !isObject(deleted) && { 'x-amz-delete-marker': 'true' }),
  });
}

export const bypassesGovernance = (request: S3Request) =>
  header(request, 'x-amz-bypass-governance-retention')?.toLowerCase() === 'true';

import { checksumHeader } from './checksums.ts';
import { storedHeader } from './metadata.ts';
import { checkKey } from './object-key.ts';
import { type DefaultRetention, requestedLock } from './object-lock.ts';
import type { ObjectInfo } from './object-reader.ts';
import type { ObjectStore, WriteCondition } from './object-store.ts';
import { Payload } from './payload.ts';
import { header, type S3Request } from './request.ts';
import { emptyResponse, type S3Response } from './response.ts';
import { headerNotImplemented, invalidRequest, S3Error } from './s3-error.ts';

/** @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html, 5 GiB in one PUT */
const MAX_OBJECT_BYTES = 5 * 1024 ** 3;

/**
 * PutObject. Checks the headers before it reads the body. The body is streamed into a hidden file; the object becomes
 * visible once all bytes have arrived and match every digest.
 *
 * @param body request body; reading the first byte sends 100 Continue
 * @param now milliseconds since the epoch
 * @throws {S3Error} in which case nothing is stored
 */
export async function putObject(
  request: S3Request,
  key: string,
  bucket: ObjectStore,
  body: AsyncIterable<Buffer>,
  now: () => number,
  defaultRetention: DefaultRetention | undefined,
): Promise<S3Response> {
  checkKey(key);
  rejectUnsupportedHeaders(request);
  const headers = storedHeaders(request);
  const condition = writeCondition(request);
  const lockAt = (time: number) => requestedLock(request, defaultRetention, time);
  const isLocked = lockAt(now()) !== undefined;
  const payload = new Payload(request, MAX_OBJECT_BYTES);
  if (isLocked && !payload.hasChecksum) {
    throw invalidRequest(
      'Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters',
    );
  }
  await bucket.requireCondition(key, condition);

  const upload = await bucket.upload();
  try {
    for await (const chunk of payload.read(body)) await upload.write(chunk);
    const { md5, checksum } = payload.verify();
    const lastModified = now();
    const lock = lockAt(lastModified);
    const stored = await upload.commit({ key, md5, checksum, headers, condition, lock, lastModified });
    return successResponse(stored);
  } finally {
    await upload.discard();
  }
}

function successResponse(stored: ObjectInfo): S3Response {
  const { checksum } = stored;
  return emptyResponse(200, {
    etag: `"${stored.etag}"`,
    'x-amz-version-id': stored.versionId,
    ...(checksum && {
      [checksumHeader(checksum.algorithm)]: checksum.value,
      'x-amz-checksum-type': 'FULL_OBJECT',
    }),
    ...Object.fromEntries(
      Object.entries(stored.headers).filter(([name]) => name.startsWith('x-amz-server-side-encryption')),
    ),
  });
}

function writeCondition(request: S3Request): WriteCondition | undefined {
  const [ifMatch, ifNoneMatch] = [header(request, 'if-match'), header(request, 'if-none-match')];
  // Like S3, accept only an ETag or only `*`.
  if (ifNoneMatch !== undefined && (ifNoneMatch !== '*' || ifMatch !== undefined)) {
    throw headerNotImplemented('If-None-Match');
  }
  if (ifMatch === '*') throw headerNotImplemented('If-Match');
  if (ifMatch !== undefined) return { etag: ifMatch.replace(/^"(.*)"$/, '$1') };
  return ifNoneMatch === undefined ? undefined : 'absent';
}

const SUPPORTED_HEADERS =
  /^x-amz-(content-sha256|date|checksum-.+|sdk-checksum-algorithm|trailer|decoded-content-length|expected-bucket-owner|user-agent|meta-.+|object-lock-(mode|retain-until-date|legal-hold)|server-side-encryption(-aws-kms-key-id|-bucket-key-enabled)?)$/;

/** Rejects requests for features that this server lacks, instead of ignoring them. */
function rejectUnsupportedHeaders(request: S3Request): void {
  const unsupported = Object.keys(request.headerValues).find(
    (name) => name === 'content-range' || (name.startsWith('x-amz-') && !SUPPORTED_HEADERS.test(name)),
  );
  if (unsupported !== undefined) throw headerNotImplemented(unsupported);
}

function storedHeaders(request: S3Request): Record<string, string> {
  const headers: Record<string, string> = { 'content-type': 'binary/octet-stream' };
  let metadataBytes = 0;
  for (const [name, values] of Object.entries(request.headerValues)) {
    const value = values?.join(',') ?? '';
    if (!storedHeader.test(name) || name === 'content-encoding') continue;
    headers[name] = value;
    if (name.startsWith('x-amz-meta-')) metadataBytes += name.length - 'x-amz-meta-'.length + value.length;
  }
  if (metadataBytes > 2048) {
    throw new S3Error(
      400,
      'MetadataTooLarge',
      'Your metadata headers exceed the maximum allowed metadata size',
      {
        Size: String(metadataBytes),
        MaxSizeAllowed: '2048',
      },
    );
  }
  const sse = headers['x-amz-server-side-encryption'];
  if (sse !== undefined && sse !== 'AES256' && sse !== 'aws:kms') {
    throw invalidRequest('The encryption method specified is not supported');
  }
  const codings = (header(request, 'content-encoding') ?? '')
    .split(',')
    .map((coding) => coding.trim())
    .filter((coding) => coding !== '' && coding !== 'aws-chunked');
  if (codings.length > 0) headers['content-encoding'] = codings.join(',');
  return headers;
}

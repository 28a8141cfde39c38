import { checksumHeader } from './checksums.ts';
import { isObjectPath, keyTooLong, maxKeyBytes } from './object-key.ts';
import { lockHeaders } from './object-lock.ts';
import { isObject, notAnObject, type ObjectInfo, type ObjectReader } from './object-reader.ts';
import { header, type S3Request } from './request.ts';
import { noBytes, type S3Response } from './response.ts';
import { noSuchKey, preconditionFailed, S3Error } from './s3-error.ts';

/**
 * GetObject and HeadObject.
 *
 * @throws {S3Error} NoSuchKey, NoSuchVersion, MethodNotAllowed, InvalidRange, PreconditionFailed or KeyTooLongError
 */
export async function getObject(request: S3Request, key: string, bucket: ObjectReader): Promise<S3Response> {
  if (Buffer.byteLength(key) > maxKeyBytes) throw keyTooLong(key);
  if (!isObjectPath(key)) throw noSuchKey(key);
  const versionId = request.query.get('versionId');
  if (request.method === 'HEAD') {
    const found = await bucket.describe(key, versionId);
    if (!isObject(found)) throw notAnObject(key, versionId, found);
    return { ...responseHead(request, found), body: noBytes };
  }
  const found = await bucket.read(key, versionId);
  if (!found || !('object' in found)) throw notAnObject(key, versionId, found);
  try {
    const { range, ...head } = responseHead(request, found.object);
    return {
      ...head,
      body: () => (head.length === 0 ? noBytes() : found.stream(range.start, range.end)),
      release: found.close,
    };
  } catch (error) {
    await found.close();
    throw error;
  }
}

function responseHead(request: S3Request, object: ObjectInfo) {
  const identity = {
    etag: `"${object.etag}"`,
    'last-modified': new Date(object.lastModified).toUTCString(),
    'x-amz-version-id': object.versionId,
  };
  if (isUnchanged(request, object)) {
    return { status: 304, headers: identity, length: 0, range: { start: 0, end: 0, partial: false } };
  }
  const range = requestedRange(header(request, 'range'), object.size);
  const isWhole = range.start === 0 && range.end === object.size;
  const wantsChecksum = header(request, 'x-amz-checksum-mode')?.toUpperCase() === 'ENABLED';
  const { checksum } = object;
  return {
    status: range.partial ? 206 : 200,
    headers: {
      'accept-ranges': 'bytes',
      'content-type': 'binary/octet-stream',
      ...object.headers,
      ...identity,
      ...lockHeaders(object.lock),
      ...(range.partial && { 'content-range': `bytes ${range.start}-${range.end - 1}/${object.size}` }),
      // The checksum covers the whole object, so it is omitted for a range.
      ...(wantsChecksum &&
        isWhole &&
        checksum && {
          [checksumHeader(checksum.algorithm)]: checksum.value,
          'x-amz-checksum-type': 'FULL_OBJECT',
        }),
    },
    length: range.end - range.start,
    range,
  };
}

/**
 * Evaluates the conditions of a read (RFC 9110, section 13.2.2).
 *
 * @returns whether the response is 304: the client has this object already
 * @throws {S3Error} PreconditionFailed
 */
function isUnchanged(request: S3Request, { etag, lastModified }: ObjectInfo): boolean {
  const ifMatch = header(request, 'if-match');
  const ifNoneMatch = header(request, 'if-none-match');
  // HTTP dates have whole seconds. A date that is not valid is ignored.
  const modifiedAt = Math.floor(lastModified / 1000) * 1000;
  const dateIn = (name: string) => Date.parse(header(request, name) ?? '');
  if (ifMatch !== undefined) {
    if (!includesETag(ifMatch, etag)) throw preconditionFailed('If-Match');
  } else if (modifiedAt > dateIn('if-unmodified-since')) throw preconditionFailed('If-Unmodified-Since');
  if (ifNoneMatch !== undefined) return includesETag(ifNoneMatch, etag);
  return modifiedAt <= dateIn('if-modified-since');
}

/** Whether a list of ETags names this one. Like S3, accepts them without quotes. */
function includesETag(list: string, etag: string): boolean {
  return list.split(',').some((entry) => ['*', etag].includes(entry.trim().replace(/^(W\/)?"(.*)"$/, '$2')));
}

/** From `start`, inclusive, to `end`, exclusive. */
interface ByteRange {
  readonly start: number;
  readonly end: number;
  readonly partial: boolean;
}

/**
 * Parses one range of bytes (RFC 9110, section 14). Like S3, ignores multiple ranges and malformed ones.
 *
 * @throws {S3Error} InvalidRange if the range contains no byte of the object
 */
function requestedRange(text: string | undefined, size: number): ByteRange {
  const whole = { start: 0, end: size, partial: false };
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(text?.trim() ?? '');
  if (!match) return whole;
  const [, first = '', last = ''] = match;
  if (first === '' && last === '') return whole;
  if (first !== '' && last !== '' && Number(last) < Number(first)) return whole;
  const start = first === '' ? Math.max(0, size - Number(last)) : Number(first);
  const end = first === '' || last === '' ? size : Math.min(size, Number(last) + 1);
  if (start >= end) {
    throw new S3Error(416, 'InvalidRange', 'The requested range is not satisfiable', {
      RangeRequested: text ?? '',
      ActualObjectSize: String(size),
    });
  }
  return { start, end, partial: true };
}

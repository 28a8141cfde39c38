import { checksumHeader } from './checksums.ts';
import { checkKey, type ObjectInfo, type ObjectStore } from './object-store.ts';
import { header, type S3Request } from './request.ts';
import type { S3Response } from './response.ts';
import { bytesOf } from './response.ts';
import { headerNotImplemented, S3Error } from './s3-error.ts';

/**
 * GetObject and HeadObject.
 *
 * @throws {S3Error} NoSuchKey, NoSuchVersion, InvalidRange, or NotImplemented for conditional reads
 */
export async function getObject(request: S3Request, key: string, bucket: ObjectStore): Promise<S3Response> {
  checkKey(key);
  for (const name of ['if-match', 'if-none-match', 'if-modified-since', 'if-unmodified-since']) {
    if (header(request, name) !== undefined) throw headerNotImplemented(name);
  }
  if (request.method === 'HEAD') {
    const found = await bucket.describe(key);
    if (!found) throw noSuchKey(key);
    return { ...responseHead(request, key, found), body: () => bytesOf(Buffer.alloc(0)) };
  }
  const found = await bucket.read(key);
  if (!found) throw noSuchKey(key);
  try {
    const { range, ...head } = responseHead(request, key, found.object);
    return {
      ...head,
      body: () => (head.length === 0 ? bytesOf(Buffer.alloc(0)) : found.stream(range.start, range.end)),
      release: found.close,
    };
  } catch (error) {
    await found.close();
    throw error;
  }
}

function responseHead(request: S3Request, key: string, object: ObjectInfo) {
  const versionId = request.query.get('versionId');
  if (versionId !== undefined && versionId !== object.versionId) {
    throw new S3Error(404, 'NoSuchVersion', 'The specified version does not exist.', {
      Key: key,
      VersionId: versionId,
    });
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
      ...overrides(request),
      etag: `"${object.etag}"`,
      'last-modified': new Date(object.lastModified).toUTCString(),
      'x-amz-version-id': object.versionId,
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

/** Headers from query parameters such as `response-content-disposition`, which a presigned link may contain. */
function overrides(request: S3Request): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [name, value] of request.query) {
    if (/^response-(content-(type|disposition|language|encoding)|cache-control|expires)$/.test(name)) {
      headers[name.slice('response-'.length)] = value;
    }
  }
  return headers;
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

const noSuchKey = (key: string) =>
  new S3Error(404, 'NoSuchKey', 'The specified key does not exist.', { Key: key });

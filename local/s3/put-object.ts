import { AwsChunkedDecoder } from './aws-chunked.ts';
import { BodyDigests, checksumHeader, expectedDigests } from './checksums.ts';
import { checkKey, type ObjectInfo, type ObjectStore, storedHeader } from './object-store.ts';
import { header, type S3Request } from './request.ts';
import type { S3Response } from './response.ts';
import { bytesOf } from './response.ts';
import { headerNotImplemented, invalidRequest, preconditionFailed, S3Error } from './s3-error.ts';

/** @see https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html, 5 GiB in one PUT */
const MAX_OBJECT_BYTES = 5 * 1024 ** 3;

/**
 * PutObject. Checks the headers before it reads the body. The body is streamed into a hidden file; the object becomes
 * visible once all bytes have arrived and match every digest.
 *
 * @param body request body; reading the first byte sends 100 Continue
 * @param now milliseconds since the epoch, read at the commit
 * @throws {S3Error} in which case nothing is stored
 */
export async function putObject(
  request: S3Request,
  key: string,
  bucket: ObjectStore,
  body: AsyncIterable<Buffer>,
  now: () => number,
): Promise<S3Response> {
  checkKey(key);
  rejectUnsupportedHeaders(request);
  const headers = storedHeaders(request);
  const ifAbsent = requiresAbsence(request);
  const digests = new BodyDigests(expectedDigests(request));
  const framing = bodyFraming(request);
  if (framing.length > MAX_OBJECT_BYTES) {
    throw new S3Error(400, 'EntityTooLarge', 'Your proposed upload exceeds the maximum allowed size', {
      ProposedSize: String(framing.length),
      MaxSizeAllowed: String(MAX_OBJECT_BYTES),
    });
  }
  if (ifAbsent && (await bucket.exists(key))) throw preconditionFailed();

  const upload = await bucket.upload();
  try {
    let received = 0;
    for await (const chunk of decoded(body, framing.decoder)) {
      received += chunk.length;
      if (received > framing.length) throw incompleteBody();
      digests.update(chunk);
      await upload.write(chunk);
    }
    if (received !== framing.length) throw incompleteBody();
    const { md5, checksum } = digests.verify(framing.decoder?.trailers ?? new Map());
    const stored = await upload.commit({ key, md5, checksum, headers, ifAbsent, lastModified: now() });
    if (!stored) throw preconditionFailed();
    return successResponse(stored);
  } finally {
    await upload.discard();
  }
}

function successResponse(stored: ObjectInfo): S3Response {
  const { checksum } = stored;
  return {
    status: 200,
    headers: {
      etag: `"${stored.etag}"`,
      'x-amz-version-id': stored.versionId,
      ...(checksum && {
        [checksumHeader(checksum.algorithm)]: checksum.value,
        'x-amz-checksum-type': 'FULL_OBJECT',
      }),
      ...Object.fromEntries(
        Object.entries(stored.headers).filter(([name]) => name.startsWith('x-amz-server-side-encryption')),
      ),
    },
    length: 0,
    body: () => bytesOf(Buffer.alloc(0)),
  };
}

async function* decoded(
  body: AsyncIterable<Buffer>,
  decoder: AwsChunkedDecoder | undefined,
): AsyncGenerator<Buffer, void, undefined> {
  if (!decoder) {
    yield* body;
    return;
  }
  for await (const piece of body) yield* decoder.push(piece);
  decoder.end();
}

interface Framing {
  /** Bytes of the object, as announced. */
  readonly length: number;
  readonly decoder?: AwsChunkedDecoder;
}

function bodyFraming(request: S3Request): Framing {
  const payload = header(request, 'x-amz-content-sha256') ?? 'UNSIGNED-PAYLOAD';
  if (payload === 'STREAMING-UNSIGNED-PAYLOAD-TRAILER') {
    return {
      length: lengthIn(request, 'x-amz-decoded-content-length'),
      decoder: new AwsChunkedDecoder(),
    };
  }
  if (payload.startsWith('STREAMING-')) {
    // Signed chunks: the SDK for JavaScript does not send them.
    throw headerNotImplemented('x-amz-content-sha256');
  }
  if (payload !== 'UNSIGNED-PAYLOAD' && !/^[0-9a-f]{64}$/.test(payload)) {
    throw new S3Error(
      400,
      'InvalidArgument',
      'x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, or a valid sha256 value.',
      { ArgumentName: 'x-amz-content-sha256', ArgumentValue: payload },
    );
  }
  if (header(request, 'x-amz-trailer') !== undefined) throw headerNotImplemented('x-amz-trailer');
  if (header(request, 'transfer-encoding') !== undefined) throw headerNotImplemented('Transfer-Encoding');
  return { length: lengthIn(request, 'content-length') };
}

function lengthIn(request: S3Request, name: string): number {
  const text = header(request, name);
  if (text === undefined || !/^\d{1,15}$/.test(text)) {
    throw new S3Error(411, 'MissingContentLength', 'You must provide the Content-Length HTTP header.');
  }
  return Number(text);
}

function requiresAbsence(request: S3Request): boolean {
  const value = header(request, 'if-none-match');
  // Like S3, accept an ETag only for reads.
  if (value !== undefined && value !== '*') throw headerNotImplemented('If-None-Match');
  return value === '*';
}

const SUPPORTED_HEADERS =
  /^x-amz-(content-sha256|date|checksum-.+|sdk-checksum-algorithm|trailer|decoded-content-length|expected-bucket-owner|user-agent|meta-.+|server-side-encryption(-aws-kms-key-id|-bucket-key-enabled)?)$/;

/** Rejects requests for features that this server lacks, instead of ignoring them. */
function rejectUnsupportedHeaders(request: S3Request): void {
  const unsupported = Object.keys(request.headerValues).find(
    (name) =>
      name === 'if-match' ||
      name === 'content-range' ||
      (name.startsWith('x-amz-') && !SUPPORTED_HEADERS.test(name)),
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

const incompleteBody = () =>
  new S3Error(
    400,
    'IncompleteBody',
    'You did not provide the number of bytes specified by the Content-Length HTTP header',
  );

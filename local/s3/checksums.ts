import { createHash, type Hash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { malformedTrailer } from './aws-chunked.ts';
import { header, type S3Request } from './request.ts';
import { headerNotImplemented, invalidRequest, S3Error } from './s3-error.ts';

/**
 * Digests that a client sends with its data: `x-amz-checksum-*` in a header or the trailer, `Content-MD5`, and
 * `x-amz-content-sha256` with a hash.
 *
 * @see https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
 */

/** The two that the archiver uses. Requests with another algorithm of S3 get 501. */
export const checksumAlgorithms = ['SHA256', 'CRC32'] as const;
export type ChecksumAlgorithm = (typeof checksumAlgorithms)[number];

export interface Checksum {
  readonly algorithm: ChecksumAlgorithm;
  /** Base64, as on the wire. */
  readonly value: string;
}

const DIGEST_BYTES: Readonly<Record<ChecksumAlgorithm, number>> = { SHA256: 32, CRC32: 4 };

export const checksumHeader = (algorithm: ChecksumAlgorithm) => `x-amz-checksum-${algorithm.toLowerCase()}`;

/** Digests announced by the client. `value` is missing if it follows in the trailer. */
export interface ExpectedDigests {
  readonly checksum?: { readonly algorithm: ChecksumAlgorithm; readonly value?: string };
  /** Base64. */
  readonly md5?: string;
  /** Hex, from `x-amz-content-sha256`. */
  readonly contentSha256?: string;
}

/** @throws {S3Error} InvalidRequest, InvalidDigest or NotImplemented, before the body is read */
export function expectedDigests(request: S3Request): ExpectedDigests {
  const md5 = header(request, 'content-md5');
  if (md5 !== undefined && !isBase64Of(md5, 16)) {
    throw new S3Error(400, 'InvalidDigest', 'The Content-MD5 you specified was invalid.');
  }
  const contentSha256 = header(request, 'x-amz-content-sha256');
  const checksum = expectedChecksum(request);
  return {
    ...(checksum && { checksum }),
    ...(md5 !== undefined && { md5 }),
    ...(contentSha256 !== undefined && /^[0-9a-f]{64}$/.test(contentSha256) && { contentSha256 }),
  };
}

function expectedChecksum(request: S3Request): ExpectedDigests['checksum'] {
  const upFront = Object.keys(request.headerValues).filter((name) => CHECKSUM_NAME.test(name));
  const trailer = header(request, 'x-amz-trailer')?.toLowerCase();
  if (upFront.length > 1 || (upFront.length === 1 && trailer !== undefined)) {
    throw invalidRequest(
      'Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.',
    );
  }
  const name = trailer ?? upFront[0];
  const declared = header(request, 'x-amz-sdk-checksum-algorithm')?.toUpperCase();
  if (name === undefined) {
    if (declared === undefined) return undefined;
    throw invalidRequest(
      'x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.',
    );
  }
  const algorithm = algorithmOf(name);
  if (declared !== undefined && declared !== algorithm) {
    throw invalidRequest('Value for x-amz-sdk-checksum-algorithm header is invalid.');
  }
  if (trailer !== undefined) return { algorithm };
  const value = header(request, name) ?? '';
  if (!isBase64Of(value, DIGEST_BYTES[algorithm])) {
    throw invalidRequest(`Value for ${name} header is invalid.`);
  }
  return { algorithm, value };
}

const CHECKSUM_NAME = /^x-amz-checksum-(?!type$|mode$)/;

function algorithmOf(name: string): ChecksumAlgorithm {
  if (name === 'x-amz-checksum-sha256') return 'SHA256';
  if (name === 'x-amz-checksum-crc32') return 'CRC32';
  if (CHECKSUM_NAME.test(name)) throw headerNotImplemented(name);
  throw invalidRequest('The value specified in the x-amz-trailer header is not supported');
}

const isBase64Of = (text: string, bytes: number) => {
  const decoded = Buffer.from(text, 'base64');
  return decoded.length === bytes && decoded.toString('base64') === text;
};

/** Computes the digests of a body while it is written. */
export class BodyDigests {
  readonly #expected: ExpectedDigests;
  readonly #md5 = createHash('md5');
  readonly #sha256: Hash | undefined;
  #crc32 = 0;

  constructor(expected: ExpectedDigests) {
    this.#expected = expected;
    const needed = expected.contentSha256 !== undefined || expected.checksum?.algorithm === 'SHA256';
    this.#sha256 = needed ? createHash('sha256') : undefined;
  }

  update(chunk: Buffer): void {
    this.#md5.update(chunk);
    this.#sha256?.update(chunk);
    if (this.#expected.checksum?.algorithm === 'CRC32') this.#crc32 = crc32(chunk, this.#crc32);
  }

  /**
   * Compares with all announced digests. Call it once, after the last byte.
   *
   * @param trailers of an aws-chunked body
   * @returns the MD5 in hex, which is the ETag, and the checksum sent by the client, if any
   * @throws {S3Error} BadDigest, XAmzContentSHA256Mismatch, MalformedTrailerError, or InvalidRequest for a
   *   malformed value in the trailer
   */
  verify(trailers: ReadonlyMap<string, string>): { md5: string; checksum: Checksum | undefined } {
    const { contentSha256, checksum, md5: expectedMd5 } = this.#expected;
    const sha256 = this.#sha256?.digest();
    if (contentSha256 !== undefined && sha256?.toString('hex') !== contentSha256) {
      throw new S3Error(
        400,
        'XAmzContentSHA256Mismatch',
        "The provided 'x-amz-content-sha256' header does not match what was computed.",
        {
          ClientComputedContentSHA256: contentSha256,
          S3ComputedContentSHA256: sha256?.toString('hex') ?? '',
        },
      );
    }
    const md5 = this.#md5.digest();
    if (expectedMd5 !== undefined && md5.toString('base64') !== expectedMd5) {
      throw new S3Error(400, 'BadDigest', 'The Content-MD5 you specified did not match what we received.', {
        ExpectedDigest: expectedMd5,
        CalculatedDigest: md5.toString('base64'),
      });
    }
    if (checksum === undefined) return { md5: md5.toString('hex'), checksum: undefined };
    const { algorithm } = checksum;
    const given = checksum.value ?? trailers.get(checksumHeader(algorithm));
    if (given === undefined) throw malformedTrailer();
    if (!isBase64Of(given, DIGEST_BYTES[algorithm])) {
      throw invalidRequest(`Value for ${checksumHeader(algorithm)} trailing header is invalid.`);
    }
    if (given !== this.#calculated(algorithm, sha256)) {
      throw new S3Error(
        400,
        'BadDigest',
        `The ${algorithm} you specified did not match the calculated checksum.`,
      );
    }
    return { md5: md5.toString('hex'), checksum: { algorithm, value: given } };
  }

  #calculated(algorithm: ChecksumAlgorithm, sha256: Buffer | undefined): string | undefined {
    if (algorithm === 'SHA256') return sha256?.toString('base64');
    const bytes = Buffer.alloc(DIGEST_BYTES.CRC32);
    bytes.writeUInt32BE(this.#crc32);
    return bytes.toString('base64');
  }
}

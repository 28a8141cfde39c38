import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { header, type S3Request } from './request.ts';
import { accessDenied, invalidArgument, invalidRequest, S3Error } from './s3-error.ts';

/**
 * AWS Signature Version 4, in the `Authorization` header and in the query of a presigned URL.
 *
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
 */

export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

const ALGORITHM = 'AWS4-HMAC-SHA256';
const MAX_SKEW_MS = 15 * 60 * 1000;
const WEEK_SECONDS = 7 * 24 * 60 * 60;

/**
 * Verifies the signature of a request.
 *
 * @param now milliseconds since the epoch
 * @param sqsBody body of a request to SQS: unlike S3's, its clients need not state its hash in a header
 * @throws {S3Error} as S3 does: AccessDenied (unsigned, expired, unsigned x-amz headers),
 *   InvalidAccessKeyId, SignatureDoesNotMatch, RequestTimeTooSkewed, or a 400 for a malformed authorization
 */
export function verifySignature(
  request: S3Request,
  credentials: readonly Credentials[],
  now: number,
  sqsBody?: Buffer,
): void {
  const inHeader = header(request, 'authorization');
  const inQuery = request.query.has('X-Amz-Algorithm') || request.query.has('X-Amz-Signature');
  if (inHeader !== undefined && inQuery) {
    throw invalidArgument('Only one auth mechanism allowed', 'Authorization', ALGORITHM);
  }
  if (inHeader !== undefined) verifyHeader(request, inHeader, credentials, now, sqsBody);
  else if (inQuery && sqsBody === undefined) verifyQuery(request, credentials, now);
  else throw accessDenied();
}

function verifyHeader(
  request: S3Request,
  authorization: string,
  credentials: readonly Credentials[],
  now: number,
  sqsBody: Buffer | undefined,
): void {
  const match =
    /^AWS4-HMAC-SHA256 +Credential=([^,\s]+) *, *SignedHeaders=([^,\s]+) *, *Signature=([0-9a-f]{64})$/.exec(
      authorization,
    );
  const scope = parseScope(match?.[1], sqsBody === undefined ? 's3' : 'sqs');
  if (!match || !scope) {
    throw new S3Error(400, 'AuthorizationHeaderMalformed', 'The authorization header is malformed.');
  }
  const payloadHash =
    sqsBody === undefined
      ? header(request, 'x-amz-content-sha256')
      : createHash('sha256').update(sqsBody).digest('hex');
  if (payloadHash === undefined) {
    throw invalidRequest('Missing required header for this request: x-amz-content-sha256');
  }
  const stamp = header(request, 'x-amz-date') ?? '';
  const signedAt = parseStamp(stamp);
  if (signedAt === undefined || !stamp.startsWith(scope.date)) {
    throw accessDenied('AWS authentication requires a valid Date or x-amz-date header');
  }
  const secret = secretOf(scope, credentials);
  if (Math.abs(now - signedAt) > MAX_SKEW_MS) {
    throw new S3Error(
      403,
      'RequestTimeTooSkewed',
      'The difference between the request time and the current time is too large.',
      {
        RequestTime: stamp,
        ServerTime: isoSeconds(now),
        MaxAllowedSkewMilliseconds: String(MAX_SKEW_MS),
      },
    );
  }
  compare(request, { scope, stamp, signedHeaders: match[2] ?? '', payloadHash, secret }, match[3] ?? '');
}

function verifyQuery(request: S3Request, credentials: readonly Credentials[], now: number): void {
  const parameter = (name: string) => request.query.get(name) ?? '';
  const scope = parseScope(parameter('X-Amz-Credential'), 's3');
  const stamp = parameter('X-Amz-Date');
  const signedAt = parseStamp(stamp);
  const seconds = Number(/^\d{1,9}$/.exec(parameter('X-Amz-Expires'))?.[0] ?? Number.NaN);
  if (
    parameter('X-Amz-Algorithm') !== ALGORITHM ||
    !scope ||
    signedAt === undefined ||
    !stamp.startsWith(scope.date) ||
    Number.isNaN(seconds) ||
    parameter('X-Amz-SignedHeaders') === '' ||
    !/^[0-9a-f]{64}$/.test(parameter('X-Amz-Signature'))
  ) {
    throw new S3Error(
      400,
      'AuthorizationQueryParametersError',
      'Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.',
    );
  }
  if (seconds > WEEK_SECONDS) {
    throw new S3Error(
      400,
      'AuthorizationQueryParametersError',
      'X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds',
    );
  }
  const secret = secretOf(scope, credentials);
  if (signedAt - now > MAX_SKEW_MS) throw accessDenied('Request is not yet valid');
  const expiresAt = signedAt + seconds * 1000;
  if (now > expiresAt) {
    throw accessDenied('Request has expired', {
      'X-Amz-Expires': String(seconds),
      Expires: isoSeconds(expiresAt),
      ServerTime: isoSeconds(now),
    });
  }
  const payloadHash = header(request, 'x-amz-content-sha256') ?? 'UNSIGNED-PAYLOAD';
  compare(
    request,
    { scope, stamp, signedHeaders: parameter('X-Amz-SignedHeaders'), payloadHash, secret },
    parameter('X-Amz-Signature'),
  );
}

interface Scope {
  readonly accessKeyId: string;
  /** `YYYYMMDD` */
  readonly date: string;
  readonly region: string;
  readonly service: 's3' | 'sqs';
}

function parseScope(credential: string | undefined, service: Scope['service']): Scope | undefined {
  const match = /^([^/]+)\/(\d{8})\/([a-z0-9-]+)\/([a-z0-9]+)\/aws4_request$/.exec(credential ?? '');
  if (match?.[4] !== service) return undefined;
  const [, accessKeyId = '', date = '', region = ''] = match;
  return { accessKeyId, date, region, service };
}

function secretOf(scope: Scope, credentials: readonly Credentials[]): string {
  const known = credentials.find(({ accessKeyId }) => accessKeyId === scope.accessKeyId);
  if (known) return known.secretAccessKey;
  throw new S3Error(
    403,
    'InvalidAccessKeyId',
    'The AWS Access Key Id you provided does not exist in our records.',
    { AWSAccessKeyId: scope.accessKeyId },
  );
}

interface Claim {
  readonly scope: Scope;
  /** `YYYYMMDDThhmmssZ` */
  readonly stamp: string;
  /** Lower-case names joined by `;`. */
  readonly signedHeaders: string;
  readonly payloadHash: string;
  readonly secret: string;
}

function compare(request: S3Request, claim: Claim, signature: string): void {
  const names = claim.signedHeaders.split(';');
  const unsigned = Object.keys(request.headerValues).filter(
    (name) => name.startsWith('x-amz-') && !names.includes(name),
  );
  if (unsigned.length > 0 || !names.includes('host')) {
    throw accessDenied('There were headers present in the request which were not signed', {
      HeadersNotSigned: unsigned.join(', ') || 'host',
    });
  }
  const headers = names.map((name): [string, string] => [name, (request.headerValues[name] ?? []).join(',')]);
  const query = [...request.query].filter(([name]) => name !== 'X-Amz-Signature');
  const expected = sign(claim, request.method, request.path, query, headers);
  if (timingSafeEqual(Buffer.from(expected, 'hex'), Buffer.from(signature, 'hex'))) return;
  throw new S3Error(
    403,
    'SignatureDoesNotMatch',
    'The request signature we calculated does not match the signature you provided. Check your key and signing method.',
    { AWSAccessKeyId: claim.scope.accessKeyId },
  );
}

function sign(
  claim: Claim,
  method: string,
  path: string,
  query: readonly (readonly [string, string])[],
  headers: readonly (readonly [string, string])[],
): string {
  const canonicalRequest = [
    method,
    encodePath(path),
    canonicalQuery(query),
    ...headers.map(([name, value]) => `${name}:${value.trim().replace(/ +/g, ' ')}`),
    '',
    claim.signedHeaders,
    claim.payloadHash,
  ].join('\n');
  const { date, region, service } = claim.scope;
  const stringToSign = [
    ALGORITHM,
    claim.stamp,
    `${date}/${region}/${service}/aws4_request`,
    // Node decodes header bytes as Latin-1; encoding them the same way restores the bytes on the wire.
    createHash('sha256').update(canonicalRequest, 'latin1').digest('hex'),
  ].join('\n');
  const key = [date, region, service, 'aws4_request'].reduce<string | Buffer>(
    (parent, part) => createHmac('sha256', parent).update(part).digest(),
    `AWS4${claim.secret}`,
  );
  return createHmac('sha256', key).update(stringToSign).digest('hex');
}

export interface PresignOptions {
  /** `http://127.0.0.1:9000` */
  readonly endpoint: string;
  readonly bucket: string;
  readonly key: string;
  readonly credentials: Credentials;
  /** Whole seconds, 0 to 604,800. */
  readonly expiresInSeconds: number;
  /** Start of validity, in milliseconds since the epoch. */
  readonly now: number;
  /** @default 'us-east-1' */
  readonly region?: string;
}

/** Creates a URL that grants GET access to one object until it expires. */
export function presignGet(options: PresignOptions): string {
  const { endpoint, bucket, key, credentials, expiresInSeconds, now, region = 'us-east-1' } = options;
  const stamp = new Date(now).toISOString().replace(/[-:]|\.\d{3}/g, '');
  const scope: Scope = {
    accessKeyId: credentials.accessKeyId,
    date: stamp.slice(0, 8),
    region,
    service: 's3',
  };
  const query: [string, string][] = Object.entries({
    'X-Amz-Algorithm': ALGORITHM,
    'X-Amz-Content-Sha256': 'UNSIGNED-PAYLOAD',
    'X-Amz-Credential': `${scope.accessKeyId}/${scope.date}/${region}/s3/aws4_request`,
    'X-Amz-Date': stamp,
    'X-Amz-Expires': String(expiresInSeconds),
    'X-Amz-SignedHeaders': 'host',
  });
  const path = `/${bucket}/${key}`;
  const signature = sign(
    {
      scope,
      stamp,
      signedHeaders: 'host',
      payloadHash: 'UNSIGNED-PAYLOAD',
      secret: credentials.secretAccessKey,
    },
    'GET',
    path,
    query,
    [['host', new URL(endpoint).host]],
  );
  return `${endpoint}${encodePath(path)}?${canonicalQuery(query)}&X-Amz-Signature=${signature}`;
}

/** Percent-encodes everything except unreserved characters (RFC 3986). */
const encode = (text: string) =>
  encodeURIComponent(text).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );

const encodePath = (path: string) => path.split('/').map(encode).join('/');

const canonicalQuery = (query: readonly (readonly [string, string])[]) =>
  query
    .map(([name, value]) => `${encode(name)}=${encode(value)}`)
    .sort()
    .join('&');

function parseStamp(stamp: string): number | undefined {
  const match = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(stamp);
  if (!match) return undefined;
  const [, year, month, day, hour, minute, second] = match;
  const time = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  return Number.isNaN(time) ? undefined : time;
}

const isoSeconds = (ms: number) => new Date(ms).toISOString().replace(/\.\d{3}/, '');

import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { invalidArgument, S3Error } from './s3-error.ts';

/** A request as passed to an interceptor. */
export interface S3RequestInfo {
  readonly method: string;
  /** S3's name of the operation, such as `PutObject`; also for unsupported operations. */
  readonly operation: string;
  readonly bucket: string | undefined;
  readonly key: string | undefined;
  /** Decoded query parameters, including the signature of a presigned request. */
  readonly query: ReadonlyMap<string, string>;
  readonly headers: IncomingHttpHeaders;
}

export interface S3Request extends S3RequestInfo {
  /** Values of each header as received, for the signature. */
  readonly headerValues: Readonly<Record<string, readonly string[] | undefined>>;
  /** Decoded path with its leading slash. */
  readonly path: string;
}

/**
 * @param hostBucket bucket that the host names, in virtual-hosted style
 * @throws {S3Error} InvalidURI if the request target is not a path or not valid percent-encoded UTF-8
 */
export function parseRequest(message: IncomingMessage, hostBucket?: string): S3Request {
  const target = message.url ?? '';
  const mark = target.indexOf('?');
  // Not `new URL`, which would resolve `..` before it can be rejected.
  const path = decode(mark === -1 ? target : target.slice(0, mark));
  if (!path.startsWith('/')) throw invalidUri();
  const query = parseQuery(mark === -1 ? '' : target.slice(mark + 1));
  const bucket = hostBucket ?? path.slice(1).split('/', 1)[0] ?? '';
  const key = path.slice(hostBucket === undefined ? bucket.length + 2 : 1);
  const method = message.method ?? '';
  return {
    method,
    operation: operationName(method, bucket, key, query, message.headers),
    bucket: bucket || undefined,
    key: key || undefined,
    query,
    headers: message.headers,
    headerValues: message.headersDistinct,
    path,
  };
}

function parseQuery(text: string): ReadonlyMap<string, string> {
  const query = new Map<string, string>();
  for (const pair of text.split('&')) {
    if (pair === '') continue;
    const equals = pair.indexOf('=');
    const name = decode((equals === -1 ? pair : pair.slice(0, equals)).replaceAll('+', ' '));
    const value = equals === -1 ? '' : decode(pair.slice(equals + 1).replaceAll('+', ' '));
    if (query.has(name)) throw invalidArgument('A query parameter was given twice.', name, value);
    query.set(name, value);
  }
  return query;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw invalidUri();
  }
}

const invalidUri = () => new S3Error(400, 'InvalidURI', "Couldn't parse the specified URI.");

/** What a request may ask of the path: the service, a bucket or an object. */
type Resource = 'Service' | 'Bucket' | 'Object';

interface Operation {
  readonly method: string;
  readonly resource: Resource;
  /** Parameter that selects the operation. */
  readonly selector?: string;
  /** Other parameters that it may have. */
  readonly parameters?: readonly string[];
}

const LISTING = ['prefix', 'delimiter', 'max-keys', 'encoding-type'] as const;
/** The operations that are served. A request with any other parameter is for another one. */
const OPERATIONS = {
  PutObject: { method: 'PUT', resource: 'Object' },
  GetObject: { method: 'GET', resource: 'Object', parameters: ['versionId'] },
  HeadObject: { method: 'HEAD', resource: 'Object', parameters: ['versionId'] },
  DeleteObject: { method: 'DELETE', resource: 'Object', parameters: ['versionId'] },
  GetObjectRetention: {
    method: 'GET',
    resource: 'Object',
    selector: 'retention',
    parameters: ['versionId'],
  },
  PutObjectRetention: {
    method: 'PUT',
    resource: 'Object',
    selector: 'retention',
    parameters: ['versionId'],
  },
  GetObjectLegalHold: {
    method: 'GET',
    resource: 'Object',
    selector: 'legal-hold',
    parameters: ['versionId'],
  },
  PutObjectLegalHold: {
    method: 'PUT',
    resource: 'Object',
    selector: 'legal-hold',
    parameters: ['versionId'],
  },
  ListObjectsV2: {
    method: 'GET',
    resource: 'Bucket',
    selector: 'list-type',
    parameters: [...LISTING, 'continuation-token', 'start-after', 'fetch-owner'],
  },
  ListObjects: { method: 'GET', resource: 'Bucket', parameters: [...LISTING, 'marker'] },
  ListObjectVersions: {
    method: 'GET',
    resource: 'Bucket',
    selector: 'versions',
    parameters: [...LISTING, 'key-marker', 'version-id-marker'],
  },
  HeadBucket: { method: 'HEAD', resource: 'Bucket' },
  GetBucketLocation: { method: 'GET', resource: 'Bucket', selector: 'location' },
  GetBucketVersioning: { method: 'GET', resource: 'Bucket', selector: 'versioning' },
  GetObjectLockConfiguration: { method: 'GET', resource: 'Bucket', selector: 'object-lock' },
  ListBuckets: { method: 'GET', resource: 'Service' },
} as const satisfies Record<string, Operation>;

export type OperationName = keyof typeof OPERATIONS;

const ENTRIES = Object.entries(OPERATIONS) as [OperationName, Operation][];
/** Parameters of the SDK and of a signature. */
const GENERAL_PARAMETERS = /^(x-id|X-Amz-[A-Za-z0-9-]+)$/i;

/** Whether this server has the operation. */
export function isSupported(operation: string): operation is OperationName {
  return Object.hasOwn(OPERATIONS, operation);
}

/**
 * Name of the operation, as in CloudTrail. Unsupported operations get a name as well, so that a test can count them: the
 * SDK's hint (`x-id`) if present, otherwise method and parameter.
 */
function operationName(
  method: string,
  bucket: string,
  key: string,
  query: ReadonlyMap<string, string>,
  headers: IncomingHttpHeaders,
): string {
  const resource: Resource = key !== '' ? 'Object' : bucket !== '' ? 'Bucket' : 'Service';
  const names = [...query.keys()].filter((name) => !GENERAL_PARAMETERS.test(name));
  const supported = ENTRIES.find(
    ([, operation]) =>
      operation.method === method &&
      operation.resource === resource &&
      (operation.selector === undefined || names.includes(operation.selector)) &&
      names.every((name) => name === operation.selector || operation.parameters?.includes(name)),
  )?.[0];
  if (supported === 'PutObject' && headers['x-amz-copy-source'] !== undefined) return 'CopyObject';
  if (supported !== undefined) return supported;
  const hint = query.get('x-id');
  // A hint at a supported operation must not hide the parameter that asks for another one.
  if (hint !== undefined && !isSupported(hint)) return hint;
  return `${method} ${resource} ${names.join('&')}`.trim();
}

/** Value of a header that may occur at most once. An empty value counts as absent. */
export function header(request: S3Request, name: string): string | undefined {
  const values = request.headerValues[name];
  if (values === undefined) return undefined;
  if (values.length > 1) throw invalidArgument('A header was given more than once.', name, '');
  return values[0] || undefined;
}

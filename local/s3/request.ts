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

/** @throws {S3Error} InvalidURI if the request target is not a path or not valid percent-encoded UTF-8 */
export function parseRequest(message: IncomingMessage): S3Request {
  const target = message.url ?? '';
  const mark = target.indexOf('?');
  // Not `new URL`, which would resolve `..` before it can be rejected.
  const path = decode(mark === -1 ? target : target.slice(0, mark));
  if (!path.startsWith('/')) throw invalidUri();
  const query = parseQuery(mark === -1 ? '' : target.slice(mark + 1));
  const slash = path.indexOf('/', 1);
  const bucket = slash === -1 ? path.slice(1) : path.slice(1, slash);
  const key = slash === -1 ? '' : path.slice(slash + 1);
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

/** Query parameters of GetObject, HeadObject and PutObject that do not select another operation. */
const OBJECT_PARAMETERS = /^(x-id|versionId|response-[a-z-]+|X-Amz-[A-Za-z0-9-]+)$/i;
const LIST_PARAMETERS =
  /^(list-type|prefix|max-keys|continuation-token|start-after|encoding-type|x-id|X-Amz-[A-Za-z0-9-]+)$/i;

/**
 * Name of the operation, as in CloudTrail. Unsupported operations get a name as well, so that a test can count them: the
 * SDK's hint (`x-id`) if present, otherwise method and sub-resource.
 */
function operationName(
  method: string,
  bucket: string,
  key: string,
  query: ReadonlyMap<string, string>,
  headers: IncomingHttpHeaders,
): string {
  const names = [...query.keys()];
  if (key !== '') {
    const unsupported = names.find((name) => !OBJECT_PARAMETERS.test(name));
    if (unsupported === undefined) {
      if (method === 'PUT') return headers['x-amz-copy-source'] === undefined ? 'PutObject' : 'CopyObject';
      if (method === 'GET') return 'GetObject';
      if (method === 'HEAD') return 'HeadObject';
      if (method === 'DELETE') return 'DeleteObject';
    }
    return query.get('x-id') ?? `${method} Object ${unsupported ?? ''}`.trim();
  }
  if (bucket !== '') {
    const unsupported = names.find((name) => !LIST_PARAMETERS.test(name));
    if (method === 'GET' && query.get('list-type') === '2' && unsupported === undefined)
      return 'ListObjectsV2';
    if (method === 'DELETE' && unsupported === undefined) return 'DeleteBucket';
    if (method === 'POST' && unsupported === 'delete') return 'DeleteObjects';
    return query.get('x-id') ?? `${method} Bucket ${unsupported ?? ''}`.trim();
  }
  return `${method} Service`;
}

/** Value of a header that may occur at most once. An empty value counts as absent. */
export function header(request: S3Request, name: string): string | undefined {
  const values = request.headerValues[name];
  if (values === undefined) return undefined;
  if (values.length > 1) throw invalidArgument('A header was given more than once.', name, '');
  return values[0] || undefined;
}

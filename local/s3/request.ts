import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { invalidArgument, S3Error } from './s3-error.ts';

/** What a request asks for, as an interceptor and the counters see it. */
export interface S3RequestInfo {
  readonly method: string;
  /** S3's name of the operation, e.g. `PutObject`; also for operations that are answered with 501. */
  readonly operation: string;
  readonly bucket: string | undefined;
  readonly key: string | undefined;
  /** Decoded query parameters; of a presigned request, its signature too. */
  readonly query: ReadonlyMap<string, string>;
  readonly headers: IncomingHttpHeaders;
}

export interface S3Request extends S3RequestInfo {
  /** Each header's values as they came, for the signature. */
  readonly headerValues: Readonly<Record<string, readonly string[] | undefined>>;
  /** Path, decoded, with its leading slash. */
  readonly path: string;
}

/** @throws {S3Error} InvalidURI when the request target is no path or not valid percent-encoded UTF-8 */
export function parseRequest(message: IncomingMessage): S3Request {
  const target = message.url ?? '';
  const mark = target.indexOf('?');
  // Not `new URL`: it would resolve `..` before anybody could refuse it.
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

/** Query parameters that shape GetObject, HeadObject or PutObject without making another operation of it. */
const OBJECT_PARAMETERS = /^(x-id|versionId|response-[a-z-]+|X-Amz-[A-Za-z0-9-]+)$/i;
const LIST_PARAMETERS =
  /^(list-type|prefix|max-keys|continuation-token|start-after|encoding-type|x-id|X-Amz-[A-Za-z0-9-]+)$/i;

/**
 * The operation's name, as CloudTrail would show it. What is not served gets a name too, so that a test can
 * count that nobody asked for it: the SDK's own hint (`x-id`) where there is one, else method and
 * sub-resource.
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
    const foreign = names.find((name) => !OBJECT_PARAMETERS.test(name));
    if (foreign === undefined) {
      if (method === 'PUT') return headers['x-amz-copy-source'] === undefined ? 'PutObject' : 'CopyObject';
      if (method === 'GET') return 'GetObject';
      if (method === 'HEAD') return 'HeadObject';
      if (method === 'DELETE') return 'DeleteObject';
    }
    return query.get('x-id') ?? `${method} Object ${foreign ?? ''}`.trim();
  }
  if (bucket !== '') {
    const foreign = names.find((name) => !LIST_PARAMETERS.test(name));
    if (method === 'GET' && query.get('list-type') === '2' && foreign === undefined) return 'ListObjectsV2';
    if (method === 'DELETE' && foreign === undefined) return 'DeleteBucket';
    if (method === 'POST' && foreign === 'delete') return 'DeleteObjects';
    return query.get('x-id') ?? `${method} Bucket ${foreign ?? ''}`.trim();
  }
  return `${method} Service`;
}

/** A header that must come at most once; empty counts as absent. */
export function header(request: S3Request, name: string): string | undefined {
  const values = request.headerValues[name];
  if (values === undefined) return undefined;
  if (values.length > 1) throw invalidArgument('A header was given more than once.', name, '');
  return values[0] || undefined;
}

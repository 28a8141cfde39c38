import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { hasSystemCode } from '../../functions/errors.ts';
import type { Time } from '../../functions/time.ts';
import { isLoopbackHost, refusalReason } from '../loopback.ts';
import { bucketLocation, bucketVersioning, headBucket, listBuckets, lockConfiguration } from './buckets.ts';
import { deleteObject } from './delete-object.ts';
import { deliver, endEarly } from './deliver.ts';
import { applyFault, type S3Fault } from './faults.ts';
import { getObject } from './get-object.ts';
import { listObjects } from './list-objects.ts';
import { listObjectVersions } from './list-versions.ts';
import { getLegalHold, getRetention, putLegalHold, putRetention } from './lock-requests.ts';
import type { DefaultRetention } from './object-lock.ts';
import { ObjectStore } from './object-store.ts';
import { putObject } from './put-object.ts';
import {
  header,
  isSupported,
  type OperationName,
  parseRequest,
  type S3Request,
  type S3RequestInfo,
} from './request.ts';
import { RequestBody } from './request-body.ts';
import { errorResponse, type S3Response } from './response.ts';
import { accessDenied, requestNotImplemented, S3Error } from './s3-error.ts';
import { type Credentials, presignGet, verifySignature } from './signature.ts';

export interface S3Options {
  /** Directory of each bucket, by bucket name. */
  readonly buckets: Readonly<Record<string, string>>;
  /** Names of the buckets whose objects may be symbolic links to files elsewhere. @default none: links are not followed */
  readonly linkedBuckets?: readonly string[];
  /** Retention of each new version, by bucket name. @default none */
  readonly defaultRetention?: Readonly<Record<string, DefaultRetention>>;
  /** Each has full access. All other requests are denied, except with a valid presigned link. */
  readonly credentials: readonly Credentials[];
  /** Whether to deny every request that writes. @default false */
  readonly readOnly?: boolean;
  readonly time: Time;
  /** @default 0, any free port */
  readonly port?: number;
  /** @default '127.0.0.1' */
  readonly host?: string;
  /** Owner of the buckets, for `x-amz-expected-bucket-owner`. @default '000000000000' */
  readonly accountId?: string;
  /**
   * Maps a requested key to the key of the object. Signatures are verified for the requested key.
   * @default the same key
   */
  readonly objectKey?: (bucket: string | undefined, key: string) => string;
  /** Called for each request before it is checked. Returns the fault to apply, if any. */
  readonly intercept?: (request: S3RequestInfo) => S3Fault | undefined | Promise<S3Fault | undefined>;
  /** Called at the end of each request, with or without a response. */
  readonly onResponse?: (delivered: S3ResponseInfo) => void;
  /** Called with internal errors, for which the client gets a 500. */
  readonly onError?: (error: unknown) => void;
}

/** Access log entry. Without the query, because that of a presigned link is a secret. */
export interface S3ResponseInfo {
  readonly operation: string;
  readonly bucket: string | undefined;
  readonly key: string | undefined;
  /** HTTP status; missing if no response was sent. */
  readonly status?: number;
  /** Code of an error response. */
  readonly code?: string;
}

export interface S3Server {
  /** `http://127.0.0.1:<port>` */
  readonly endpoint: string;
  /** Number of requests by operation, including rejected ones. */
  readonly requests: ReadonlyMap<string, number>;
  readonly connections: {
    /** Total since the start. */
    readonly accepted: number;
    readonly open: number;
  };
  /**
   * Creates a presigned link to an object, signed with the first credentials.
   * @param options `origin`: of a proxy in front of this server. @default the server itself
   */
  presignGet(
    bucket: string,
    key: string,
    options: { readonly expiresInSeconds: number; readonly origin?: string | undefined },
  ): string;
  /** Aborts all requests, releases the port and removes temporary files. */
  close(): Promise<void>;
}

/**
 * Starts a local S3: plain HTTP, one directory per bucket. Each bucket is versioned and has Object Lock. Answers as AWS
 * does: see `OPERATIONS`. Other operations get 501. No object can act on other objects in a browser: every response is
 * sandboxed, and a link cannot change its type.
 */
export async function startS3(options: S3Options): Promise<S3Server> {
  const { credentials, time, host = '127.0.0.1' } = options;
  const buckets = new Map<string, ObjectStore>();
  for (const [name, directory] of Object.entries(options.buckets)) {
    buckets.set(name, await ObjectStore.open(directory, options.linkedBuckets?.includes(name)));
  }
  const requests = new Map<string, number>();
  const sockets = new Set<Socket>();
  const running = new Set<Promise<void>>();
  let accepted = 0;

  const accept = (message: IncomingMessage, response: ServerResponse, expectsContinue: boolean) => {
    const work = handleRequest(message, response, expectsContinue, options, buckets, requests)
      .catch((error: unknown) => {
        response.socket?.destroy();
        options.onError?.(error);
      })
      .finally(() => running.delete(work));
    running.add(work);
  };
  const server = createServer({
    // A body of 5 GiB may take long.
    requestTimeout: 0,
  });
  server.on('request', (message, response) => accept(message, response, false));
  server.on('checkContinue', (message, response) => accept(message, response, true));
  server.on('connection', (socket) => {
    accepted += 1;
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  server.listen(options.port ?? 0, host);
  await once(server, 'listening');
  const endpoint = endpointOf(server, host);

  return {
    endpoint,
    requests,
    connections: {
      get accepted() {
        return accepted;
      },
      get open() {
        return sockets.size;
      },
    },
    presignGet: (bucket, key, { expiresInSeconds, origin = endpoint }) => {
      const [signer] = credentials;
      if (!signer) throw new Error('A presigned link requires credentials.');
      return presignGet({
        endpoint: origin,
        bucket,
        key,
        credentials: signer,
        expiresInSeconds,
        now: time.now(),
      });
    },
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      await closed;
      await Promise.all(running);
      for (const bucket of buckets.values()) await bucket.close();
    },
  };
}

function endpointOf(server: Server, host: string): string {
  const address = server.address();
  if (address === null || typeof address === 'string')
    throw new Error('The server is not listening on a port.');
  return `http://${host.includes(':') ? `[${host}]` : host}:${address.port}`;
}

async function handleRequest(
  message: IncomingMessage,
  response: ServerResponse,
  expectsContinue: boolean,
  options: S3Options,
  buckets: ReadonlyMap<string, ObjectStore>,
  requests: Map<string, number>,
): Promise<void> {
  const { time } = options;
  const closed = new AbortController();
  response.on('close', () => closed.abort());
  // An aborted body throws before the response emits `close`.
  const isClosed = () => closed.signal.aborted || message.socket.destroyed;
  const body = new RequestBody(message, expectsContinue ? () => response.writeContinue() : undefined);
  const requestId = {
    id: randomBytes(8).toString('hex').toUpperCase(),
    hostId: randomBytes(48).toString('base64'),
  };
  response.setHeader('x-amz-request-id', requestId.id);
  response.setHeader('x-amz-id-2', requestId.hostId);
  response.setHeader('server', 'AmazonS3');
  response.setHeader('x-content-type-options', 'nosniff');
  response.setHeader('content-security-policy', 'sandbox');
  response.setHeader('date', new Date(time.now()).toUTCString());

  const request = parsed(message, options);
  const operation = request instanceof S3Error ? request.code : request.operation;
  requests.set(operation, (requests.get(operation) ?? 0) + 1);
  const report = (status?: number, code?: string) =>
    options.onResponse?.({
      operation,
      bucket: request instanceof S3Error ? undefined : request.bucket,
      key: request instanceof S3Error ? undefined : request.key,
      ...(status !== undefined && { status }),
      ...(code !== undefined && { code }),
    });

  const serve = async (): Promise<S3Response> => {
    try {
      if (request instanceof S3Error) throw request;
      return await handleOperation(request, body, options, buckets);
    } catch (error) {
      if (isClosed()) throw error;
      return errorResponse(asS3Error(error, options), requestId);
    }
  };
  let delivered: S3Response | undefined;
  try {
    const fault = request instanceof S3Error ? undefined : await options.intercept?.(request);
    const outcome = await applyFault(fault, { body, requestId, closed: closed.signal, time, serve });
    if (typeof outcome === 'string') {
      report();
      await endEarly(outcome, response, closed.signal);
      return;
    }
    delivered = outcome;
    await deliver(outcome, { response, body, time, closed: closed.signal });
    report(outcome.status, outcome.code);
  } catch (error) {
    // The client has disconnected, and the request has already been cleaned up.
    if (!isClosed()) throw error;
    report();
  } finally {
    await delivered?.release?.();
  }
}

function parsed(message: IncomingMessage, { objectKey, buckets }: S3Options): S3Request | S3Error {
  try {
    const { host = '' } = message.headers;
    // Virtual-hosted style: no web site can have the name `<bucket>.localhost`.
    const hostBucket = Object.keys(buckets).find(
      (name) => host.startsWith(`${name}.`) && isLoopbackHost(host.slice(name.length + 1)),
    );
    const refusal = refusalReason(message, () => hostBucket !== undefined || isLoopbackHost(host));
    if (refusal !== undefined) return accessDenied(refusal);
    const request = parseRequest(message, hostBucket);
    const { bucket, key } = request;
    return key === undefined || !objectKey ? request : { ...request, key: objectKey(bucket, key) };
  } catch (error) {
    if (error instanceof S3Error) return error;
    throw error;
  }
}

function asS3Error(error: unknown, options: S3Options): S3Error {
  if (error instanceof S3Error) return error;
  options.onError?.(error);
  // A retry cannot help, so this is not an InternalError.
  if (hasSystemCode(error, 'EACCES', 'EPERM')) return accessDenied();
  return new S3Error(500, 'InternalError', 'We encountered an internal error. Please try again.');
}

const writes: ReadonlySet<OperationName> = new Set([
  'PutObject',
  'DeleteObject',
  'PutObjectRetention',
  'PutObjectLegalHold',
]);

async function handleOperation(
  request: S3Request,
  body: RequestBody,
  options: S3Options,
  buckets: ReadonlyMap<string, ObjectStore>,
): Promise<S3Response> {
  const { time, credentials, accountId = '000000000000' } = options;
  verifySignature(request, credentials, time.now());
  const { operation, key = '' } = request;
  if (!isSupported(operation)) {
    throw requestNotImplemented();
  }
  if (operation === 'ListBuckets') return listBuckets(options.buckets);
  const bucketName = request.bucket ?? '';
  const bucket = buckets.get(bucketName);
  if (!bucket) {
    throw new S3Error(404, 'NoSuchBucket', 'The specified bucket does not exist', { BucketName: bucketName });
  }
  const expectedOwner = header(request, 'x-amz-expected-bucket-owner');
  if (expectedOwner !== undefined && expectedOwner !== accountId) throw accessDenied();
  if (options.readOnly && writes.has(operation)) throw accessDenied('This server is read-only.');
  const defaultRetention = options.defaultRetention?.[bucketName];
  switch (operation) {
    case 'PutObject':
      return putObject(request, key, bucket, body.read(), () => time.now(), defaultRetention);
    case 'DeleteObject':
      return deleteObject(request, key, bucket, time.now());
    case 'PutObjectRetention':
      return putRetention(request, key, bucket, body.read(), time.now());
    case 'PutObjectLegalHold':
      return putLegalHold(request, key, bucket, body.read());
    case 'GetObjectRetention':
      return getRetention(request, key, bucket);
    case 'GetObjectLegalHold':
      return getLegalHold(request, key, bucket);
    case 'GetObject':
    case 'HeadObject':
      return getObject(request, key, bucket);
    case 'ListObjects':
    case 'ListObjectsV2':
      return listObjects(request, bucketName, bucket);
    case 'ListObjectVersions':
      return listObjectVersions(request, bucketName, bucket);
    case 'GetBucketVersioning':
      return bucketVersioning();
    case 'GetObjectLockConfiguration':
      return lockConfiguration(defaultRetention);
    case 'HeadBucket':
      return headBucket();
    case 'GetBucketLocation':
      return bucketLocation();
  }
}

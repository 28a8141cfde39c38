import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Time } from '../../functions/time.ts';
import { deliver, leave } from './deliver.ts';
import { type S3Fault, underFault } from './faults.ts';
import { getObject } from './get-object.ts';
import { listObjectsV2 } from './list-objects.ts';
import { ObjectStore } from './object-store.ts';
import { putObject } from './put-object.ts';
import { header, parseRequest, type S3Request, type S3RequestInfo } from './request.ts';
import { RequestBody } from './request-body.ts';
import { errorResponse, type S3Response } from './response.ts';
import { accessDenied, S3Error } from './s3-error.ts';
import { type Credentials, presignGet, verifySignature } from './signature.ts';

export interface S3Options {
  /** Bucket names and the directories whose files are their objects. */
  readonly buckets: Readonly<Record<string, string>>;
  /** Who may do everything; nobody else may do anything. */
  readonly credentials: readonly Credentials[];
  readonly time: Time;
  /** @default 0, any free port */
  readonly port?: number;
  /** @default '127.0.0.1' */
  readonly host?: string;
  /** Owner of the buckets, for `x-amz-expected-bucket-owner`. @default '000000000000' */
  readonly accountId?: string;
  /**
   * The key whose object a request for `key` gets, where others lead to it as well. Signatures are of what was asked for.
   * @default the same
   */
  readonly objectKey?: (bucket: string | undefined, key: string) => string;
  /** Called for each request before anything is checked; what it returns goes wrong. */
  readonly intercept?: (request: S3RequestInfo) => S3Fault | undefined | Promise<S3Fault | undefined>;
  /** Called when a request is over, whether or not it was answered. */
  readonly onAnswer?: (answer: S3AnswerInfo) => void;
  /** Called with what the server itself failed at; the client got a 500. */
  readonly onError?: (error: unknown) => void;
}

/** One line of an access log: no query, for a presigned one is a secret. */
export interface S3AnswerInfo {
  readonly operation: string;
  readonly bucket: string | undefined;
  readonly key: string | undefined;
  /** HTTP status; missing when no answer was sent. */
  readonly status?: number;
  /** Error code of a refusal. */
  readonly code?: string;
}

export interface S3Server {
  /** `http://127.0.0.1:<port>` */
  readonly endpoint: string;
  /** How often each operation was asked for, refused ones included. */
  readonly requests: ReadonlyMap<string, number>;
  readonly connections: {
    /** Since the start. */
    readonly accepted: number;
    readonly open: number;
  };
  /**
   * A link to one object for anybody, signed with the first of the credentials.
   * @param options `origin`: of what stands before this server, such as TLS. @default the server itself
   */
  presignGet(
    bucket: string,
    key: string,
    options: { readonly expiresInSeconds: number; readonly origin?: string | undefined },
  ): string;
  /** Breaks off whatever is under way and frees port and files; resolves when all of it is gone. */
  close(): Promise<void>;
}

/**
 * Starts an S3 on this machine: path style, plain HTTP, one directory per bucket. It does PutObject,
 * GetObject, HeadObject and ListObjectsV2 as AWS does, and answers everything else with 501.
 */
export async function startS3(options: S3Options): Promise<S3Server> {
  const { credentials, time, host = '127.0.0.1' } = options;
  const buckets = new Map<string, ObjectStore>();
  for (const [name, directory] of Object.entries(options.buckets)) {
    buckets.set(name, await ObjectStore.open(directory));
  }
  const requests = new Map<string, number>();
  const sockets = new Set<Socket>();
  const underWay = new Set<Promise<void>>();
  let accepted = 0;

  const take = (message: IncomingMessage, response: ServerResponse, expectsContinue: boolean) => {
    const work = handle(message, response, expectsContinue, options, buckets, requests)
      .catch((error: unknown) => {
        response.socket?.destroy();
        options.onError?.(error);
      })
      .finally(() => underWay.delete(work));
    underWay.add(work);
  };
  const server = createServer({
    // A body of 5 GiB may take its time.
    requestTimeout: 0,
  });
  server.on('request', (message, response) => take(message, response, false));
  server.on('checkContinue', (message, response) => take(message, response, true));
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
      if (!signer) throw new Error('This S3 has no credentials to sign with.');
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
      await Promise.all(underWay);
      for (const bucket of buckets.values()) await bucket.close();
    },
  };
}

function endpointOf(server: Server, host: string): string {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('The server has no port.');
  return `http://${host.includes(':') ? `[${host}]` : host}:${address.port}`;
}

async function handle(
  message: IncomingMessage,
  response: ServerResponse,
  expectsContinue: boolean,
  options: S3Options,
  buckets: ReadonlyMap<string, ObjectStore>,
  requests: Map<string, number>,
): Promise<void> {
  const { time } = options;
  const gone = new AbortController();
  response.on('close', () => gone.abort());
  // A body that breaks off throws before the response hears of it.
  const isGone = () => gone.signal.aborted || message.socket.destroyed;
  const body = new RequestBody(message, expectsContinue ? () => response.writeContinue() : undefined);
  const requestId = {
    id: randomBytes(8).toString('hex').toUpperCase(),
    hostId: randomBytes(48).toString('base64'),
  };
  response.setHeader('x-amz-request-id', requestId.id);
  response.setHeader('x-amz-id-2', requestId.hostId);
  response.setHeader('server', 'AmazonS3');
  response.setHeader('date', new Date(time.now()).toUTCString());

  const request = parsed(message, options);
  const operation = request instanceof S3Error ? request.code : request.operation;
  requests.set(operation, (requests.get(operation) ?? 0) + 1);
  const ended = (status?: number, code?: string) =>
    options.onAnswer?.({
      operation,
      bucket: request instanceof S3Error ? undefined : request.bucket,
      key: request instanceof S3Error ? undefined : request.key,
      ...(status !== undefined && { status }),
      ...(code !== undefined && { code }),
    });

  const serve = async (): Promise<S3Response> => {
    try {
      if (request instanceof S3Error) throw request;
      return await answerTo(request, body, options, buckets);
    } catch (error) {
      if (isGone()) throw error;
      return errorResponse(asS3Error(error, options), requestId);
    }
  };
  let answer: S3Response | undefined;
  try {
    const fault = request instanceof S3Error ? undefined : await options.intercept?.(request);
    const outcome = await underFault(fault, { body, requestId, gone: gone.signal, time, serve });
    if (typeof outcome === 'string') {
      ended();
      await leave(outcome, response, gone.signal);
      return;
    }
    answer = outcome;
    await deliver(outcome, { response, body, time, gone: gone.signal });
    ended(outcome.status, outcome.code);
  } catch (error) {
    // Nobody is left to be told; what was under way has cleaned up after itself.
    if (!isGone()) throw error;
    ended();
  } finally {
    await answer?.release?.();
  }
}

function parsed(message: IncomingMessage, { objectKey }: S3Options): S3Request | S3Error {
  try {
    const request = parseRequest(message);
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
  return new S3Error(500, 'InternalError', 'We encountered an internal error. Please try again.');
}

async function answerTo(
  request: S3Request,
  body: RequestBody,
  options: S3Options,
  buckets: ReadonlyMap<string, ObjectStore>,
): Promise<S3Response> {
  const { time, credentials, accountId = '000000000000' } = options;
  verifySignature(request, credentials, time.now());
  const { operation, key = '' } = request;
  if (!SERVED.has(operation)) {
    throw new S3Error(
      501,
      'NotImplemented',
      'A header or query you provided requests a function that is not implemented.',
    );
  }
  const bucketName = request.bucket ?? '';
  const bucket = buckets.get(bucketName);
  if (!bucket) {
    throw new S3Error(404, 'NoSuchBucket', 'The specified bucket does not exist', { BucketName: bucketName });
  }
  const expectedOwner = header(request, 'x-amz-expected-bucket-owner');
  if (expectedOwner !== undefined && expectedOwner !== accountId) throw accessDenied();
  if (operation === 'PutObject') return putObject(request, key, bucket, body.read(), () => time.now());
  if (operation === 'ListObjectsV2') return listObjectsV2(request, bucketName, bucket);
  return getObject(request, key, bucket);
}

const SERVED: ReadonlySet<string> = new Set(['PutObject', 'GetObject', 'HeadObject', 'ListObjectsV2']);

import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { PutObjectCommand, S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import { onTestFinished } from 'vitest';
import type { Time } from '../../../functions/time.ts';
import { systemTime } from '../../../functions/time.ts';
import { type S3Options, type S3Server, startS3 } from '../../../local/s3/server.ts';

export const credentials = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'a-secret-of-the-test' };
export const bucket = 'archive';

/** Silences the warnings of the SDK about rejected streams, which these tests expect. */
const quiet = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

export async function temporaryDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 's3-test-'));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

export interface World {
  readonly server: S3Server;
  readonly client: S3Client;
  readonly directory: string;
  /** Internal errors of the server; expected to stay empty. */
  readonly errors: unknown[];
}

/** Starts a server for an empty directory and a client. Both are closed after the test. */
export async function startWorld(
  options: Partial<S3Options> & { directory?: string } = {},
  clientConfig: S3ClientConfig = {},
): Promise<World> {
  const { directory = await temporaryDirectory(), ...rest } = options;
  const errors: unknown[] = [];
  const server = await startS3({
    buckets: { [bucket]: directory },
    credentials: [credentials],
    time: systemTime,
    onError: (error) => errors.push(error),
    ...rest,
  });
  onTestFinished(() => server.close());
  const client = new S3Client({
    endpoint: server.endpoint,
    region: 'us-east-1',
    credentials,
    forcePathStyle: true,
    maxAttempts: 1,
    logger: quiet,
    ...clientConfig,
  });
  onTestFinished(() => client.destroy());
  return { server, client, directory, errors };
}

/** System time, shifted by the test. */
export function shiftedTime(): Time & { shift(ms: number): void } {
  let offset = 0;
  return {
    ...systemTime,
    now: () => systemTime.now() + offset,
    shift: (ms) => {
      offset += ms;
    },
  };
}

export const sha256 = (bytes: Buffer | string) => createHash('sha256').update(bytes).digest('base64');

/** All files below a directory, hidden ones included, as sorted paths relative to it. */
export async function filesBelow(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1))
    .sort();
}

/** Sends raw bytes and returns what the server sends until it closes the connection. */
export async function rawExchange(
  endpoint: string,
  bytes: string | Buffer,
  options: { readonly thenEnd?: boolean } = {},
): Promise<string> {
  const { hostname, port } = new URL(endpoint);
  const socket = connect(Number(port), hostname);
  const received: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => received.push(chunk));
  socket.on('error', () => socket.destroy());
  await once(socket, 'connect');
  socket.write(bytes);
  if (options.thenEnd) socket.end();
  await once(socket, 'close');
  return Buffer.concat(received).toString('latin1');
}

/**
 * Head of a PUT of `key`, signed by the SDK, with the given headers; `undefined` removes a header. Length, coding and
 * digests of the body are determined by `headers` alone.
 */
export async function signedPutHead(
  endpoint: string,
  key: string,
  headers: Readonly<Record<string, string | undefined>>,
): Promise<string> {
  let head = '';
  const client = new S3Client({
    endpoint,
    region: 'us-east-1',
    credentials,
    forcePathStyle: true,
    maxAttempts: 1,
    logger: quiet,
    expectContinueHeader: false,
    requestChecksumCalculation: 'WHEN_REQUIRED',
    requestHandler: {
      handle: async (request: SdkRequest) => {
        const lines = Object.entries(request.headers).map(([name, value]) => `${name}: ${value}\r\n`);
        head = `PUT ${request.path}?${new URLSearchParams(request.query)} HTTP/1.1\r\n${lines.join('')}connection: close\r\n\r\n`;
        throw new Error('Only the head is needed.');
      },
    },
  });
  client.middlewareStack.add(
    (next) => (args) => {
      const { headers: all } = args.request as SdkRequest;
      delete all['content-length'];
      for (const [name, value] of Object.entries(headers)) {
        if (value === undefined) delete all[name];
        else all[name] = value;
      }
      return next(args);
    },
    { step: 'build', priority: 'low' },
  );
  // A stream, so that the SDK signs UNSIGNED-PAYLOAD by default.
  const command = new PutObjectCommand({
    Bucket: bucket,
    Key: key,
    Body: Readable.from([]),
    ContentLength: 0,
  });
  await client.send(command).catch(() => undefined);
  client.destroy();
  return head;
}

interface SdkRequest {
  readonly path: string;
  readonly query: Record<string, string>;
  readonly headers: Record<string, string>;
}

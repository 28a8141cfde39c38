import type { Readable } from 'node:stream';
import { GetObjectCommand, type S3Client } from '@aws-sdk/client-s3';

export interface OpenObjectOptions {
  signal: AbortSignal;
  /** Milliseconds. @default the client's request timeout */
  requestTimeoutMs?: number;
}

/** Starts to download an object. Throws the SDK's errors; the caller translates them together with the stream's errors. */
export async function openObject(
  { s3, name }: { s3: Pick<S3Client, 'send'>; name: string },
  key: string,
  { signal, requestTimeoutMs }: OpenObjectOptions,
): Promise<Readable> {
  const { Body } = await s3.send(new GetObjectCommand({ Bucket: name, Key: key }), {
    abortSignal: signal,
    ...(requestTimeoutMs === undefined ? {} : { requestTimeout: requestTimeoutMs }),
  });
  return Body as Readable;
}

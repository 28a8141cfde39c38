/** What the functions talk to: S3 and SQS on this machine, and a stand-in for Telnyx or the real one. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SQSClient } from '@aws-sdk/client-sqs';
import { type Bucket, createBucket } from '../functions/bucket/store.ts';
import type { Random, Time } from '../functions/time.ts';
import { type LocalQueues, startQueues } from './queues.ts';
import { folderBucket, localBucket, localCredentials, type OpenedBucket } from './s3/archive-bucket.ts';
import type { S3Fault } from './s3/faults.ts';
import type { S3RequestInfo } from './s3/request.ts';
import { type S3Server, startS3 } from './s3/server.ts';
import type { Document } from './telnyx/documents.ts';
import type { FaultRule } from './telnyx/faults.ts';
import type { RequestLimit } from './telnyx/rate-limit.ts';
import { type StandIn, startStandIn, storageBucket, storedDocumentId } from './telnyx/stand-in.ts';

export interface NeighbourOptions {
  /** Absolute path of the folder that holds the archive. */
  archive: string;
  /** A bucket of another S3, in place of the folder. */
  bucket?: OpenedBucket | undefined;
  /** The real Telnyx, or a server that speaks its API, in place of the stand-in. */
  telnyx?: { url: URL; apiKey: string } | undefined;
  /** Absolute path of a folder whose files are the stand-in's documents. @default the samples */
  documents?: string | undefined;
  /** What goes wrong at the stand-in. @default nothing */
  faults?: readonly FaultRule[];
  /** What the stand-in allows and states in each response. @default more than the functions use */
  rateLimit?: RequestLimit | undefined;
  /** Opens a server, such as TLS, between the functions and a neighbour on this machine. @default none */
  openFront?: ((neighbour: Neighbour, origin: string) => Promise<Front>) | undefined;
  /** What goes wrong with a request to the archive's bucket or to the stand-in's storage. @default nothing */
  s3Fault?: (request: S3RequestInfo) => S3Fault | undefined;
  /** Called with each error outside the functions. */
  onProblem: (problem: string) => void;
  time: Time;
  random: Random;
}

/** `storage` holds the stand-in's documents, `bucket` the archive. */
export type Neighbour = 'telnyx' | 'storage' | 'bucket' | 'queues';

export interface Front {
  /** For example `https://127.0.0.1:8443`. */
  origin: string;
  close(): Promise<void>;
}

/** Registers what to do when the stack stops. The last registered runs first. */
export type Defer = (close: () => unknown) => void;

export interface Neighbours {
  s3: S3Server;
  queues: LocalQueues;
  /** The functions' client. */
  sqs: SQSClient;
  /** The stack's own client, which no front stands before: for the schedule, the operator and the queue counts. */
  ownSqs: SQSClient;
  standIn: StandIn | undefined;
  telnyx: { url: URL; apiKey: string };
  /** Where the functions find Telnyx: its front, if there is one. */
  functionsTelnyxUrl: URL;
  /** Where the stand-in's download links lead; undefined with the real Telnyx. */
  storageOrigin: string | undefined;
  target: OpenedBucket;
  bucket: Bucket;
}

/** API key of the stand-in. Not a secret. */
export const localApiKey = 'KEY-of-the-local-stand-in';

/** @param onAppeared called with each document that appears at the stand-in after the start */
export async function startNeighbours(
  options: NeighbourOptions,
  onAppeared: (document: Document) => unknown,
  defer: Defer,
): Promise<Neighbours> {
  const { archive, time, random, onProblem } = options;
  const storage = await mkdtemp(join(tmpdir(), 'telnyx-stand-in-'));
  defer(() => rm(storage, { recursive: true, force: true }));
  await mkdir(archive, { recursive: true });

  let standIn: StandIn | undefined;
  const s3 = await startS3({
    buckets: { [localBucket]: archive, [storageBucket]: storage },
    credentials: [localCredentials],
    time,
    objectKey: (bucket, key) => (bucket === storageBucket ? storedDocumentId(key) : key),
    intercept: (request) =>
      options.s3Fault?.(request) ??
      (request.bucket === storageBucket ? standIn?.storageFault(request.key) : undefined),
    onError: (error) => onProblem(`The local S3 failed: ${error}`),
  });
  defer(() => s3.close());

  const queues = await startQueues();
  defer(() => queues.close());
  const originOf = async (neighbour: Neighbour, origin: string) => {
    const front = await options.openFront?.(neighbour, origin);
    defer(() => front?.close());
    return front?.origin ?? origin;
  };
  const sqs = queues.createClient(await originOf('queues', queues.endpoint), time.monotonic);
  defer(() => sqs.destroy());
  const ownSqs = queues.createClient();
  defer(() => ownSqs.destroy());
  const storageOrigin = await originOf('storage', s3.endpoint);
  if (options.telnyx === undefined) {
    standIn = await startStandIn({
      apiKey: localApiKey,
      storage,
      presign: (name, key, { expiresInSeconds }) =>
        s3.presignGet(name, key, { expiresInSeconds, origin: storageOrigin }),
      time,
      random,
      folder: options.documents,
      faults: options.faults ?? [],
      ...(options.rateLimit ? { rateLimit: options.rateLimit } : {}),
      onAppeared,
      onUnreadable: (path, error) => onProblem(`Cannot read ${path}; skipped: ${error}`),
    });
    defer(() => standIn?.close());
  }

  const telnyx = options.telnyx ?? { url: new URL(standIn?.url ?? ''), apiKey: localApiKey };
  const functionsTelnyxUrl = standIn
    ? new URL(telnyx.url.pathname, await originOf('telnyx', telnyx.url.origin))
    : telnyx.url;

  const target =
    options.bucket ?? folderBucket(await originOf('bucket', s3.endpoint), archive, time.monotonic);
  defer(() => target.client.destroy());
  return {
    s3,
    queues,
    sqs,
    ownSqs,
    standIn,
    telnyx,
    functionsTelnyxUrl,
    storageOrigin: standIn && storageOrigin,
    target,
    bucket: createBucket({ s3: target.client, name: target.name, time }),
  };
}

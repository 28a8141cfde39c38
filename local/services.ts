/** Services that the functions use: a local S3, a local SQS, and a stand-in for Telnyx or the real one. */
import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { mkdtemp, realpath } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SQSClient } from '@aws-sdk/client-sqs';
import { type Bucket, createBucket } from '../functions/bucket/store.ts';
import type { Random, Time } from '../functions/time.ts';
import { type CatalogueFolder, openCatalogueFolder } from './catalogue-folder.ts';
import { type LocalQueues, startQueues } from './queues.ts';
import { createCredentials, folderBucket, localBucket, type OpenedBucket } from './s3/archive-bucket.ts';
import type { S3Fault } from './s3/faults.ts';
import { DiskError } from './s3/file-errors.ts';
import type { S3RequestInfo } from './s3/request.ts';
import { type S3Server, startS3 } from './s3/server.ts';
import type { Credentials } from './s3/signature.ts';
import type { Document } from './telnyx/documents.ts';
import type { FaultRule } from './telnyx/faults.ts';
import type { RequestLimit } from './telnyx/rate-limit.ts';
import { type StandIn, startStandIn, storageBucket, storedDocumentId } from './telnyx/stand-in.ts';

export interface ServiceOptions {
  /** Absolute path of the folder that holds the archive. */
  archive: string;
  /** Bucket of an external S3, instead of the folder. */
  bucket?: OpenedBucket | undefined;
  /** The real Telnyx, or a server with its API, instead of the stand-in. */
  telnyx?: { url: URL; apiKey: string } | undefined;
  /** Absolute path of a folder whose files are the stand-in's documents. @default the samples */
  documents?: string | undefined;
  /** Faults of the stand-in. @default none */
  faults?: readonly FaultRule[];
  /** Rate limit of the stand-in, stated in each response. @default higher than the functions ever use */
  rateLimit?: RequestLimit | undefined;
  /** Opens a proxy, for example for TLS, between the functions and a local service. @default none */
  openProxy?: ((service: ServiceName, origin: string) => Promise<ServiceProxy>) | undefined;
  /** Fault for a request to the archive's bucket or to the stand-in's storage. @default none */
  s3Fault?: (request: S3RequestInfo) => S3Fault | undefined;
  /** Called while the folder of the documents is read at the start: files read so far, all files. */
  onFilesRead?: ((read: number, total: number) => void) | undefined;
  /** Ends the start, which then rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
  /** Called with each error outside the functions. */
  onProblem: (problem: string) => void;
  /** Called when nothing more can be written to the disk of the archive or of the stand-in. @default `onProblem` */
  onDiskError?: ((error: DiskError) => void) | undefined;
  time: Time;
  random: Random;
}

/** `storage` is the S3 that holds the stand-in's documents; `bucket` the S3 that holds the archive. */
export type ServiceName = 'telnyx' | 'storage' | 'bucket' | 'queues';

export interface ServiceProxy {
  /** For example `https://127.0.0.1:8443`. */
  origin: string;
  close(): Promise<void>;
}

/** Registers a callback for when the stack stops. Callbacks run in reverse order. */
export type Defer = (close: () => unknown) => void;

export interface Services {
  s3: S3Server;
  /** Of the local S3 and of the queues. */
  credentials: Credentials;
  queues: LocalQueues;
  /** Client of the functions. */
  sqs: SQSClient;
  /** Client of the stack itself, without a proxy: for sweeps, operator requests and message counts. */
  ownSqs: SQSClient;
  standIn: StandIn | undefined;
  telnyx: { url: URL; apiKey: string };
  /** Address of Telnyx for the functions: of its proxy, if there is one. */
  functionsTelnyxUrl: URL;
  /** Origin of the stand-in's download links; undefined with the real Telnyx. */
  storageOrigin: string | undefined;
  target: OpenedBucket;
  catalogue: CatalogueFolder;
  bucket: Bucket;
}

/** @param onAppeared called with each document that is added to the stand-in after the start */
export async function startServices(
  options: ServiceOptions,
  onAppeared: (document: Document) => unknown,
  defer: Defer,
): Promise<Services> {
  const { archive, time, random, onProblem } = options;
  const onDiskError = options.onDiskError ?? ((error: DiskError) => onProblem(error.message));
  const storage = await realpath(await mkdtemp(join(tmpdir(), 'telnyx-stand-in-')));
  // Synchronous, so that it takes no turns with a busy event loop and also runs when the process exits at once.
  const removeStorage = () => rmSync(storage, { recursive: true, force: true });
  process.once('exit', removeStorage);
  defer(() => {
    process.removeListener('exit', removeStorage);
    removeStorage();
  });

  const credentials = createCredentials();
  let standIn: StandIn | undefined;
  const stopping = new AbortController();
  defer(() => stopping.abort(new Error('The stack has stopped.')));
  const signal = AbortSignal.any([stopping.signal, ...(options.signal ? [options.signal] : [])]);
  const s3 = await startS3({
    buckets: { [localBucket]: archive, [storageBucket]: storage },
    // The stand-in's objects are links to the user's files.
    linkedBuckets: [storageBucket],
    credentials: [credentials],
    time,
    objectKey: (bucket, key) => (bucket === storageBucket ? storedDocumentId(key) : key),
    intercept: (request) =>
      options.s3Fault?.(request) ??
      (request.bucket === storageBucket ? standIn?.storageFault(request.key) : undefined),
    onError: (error) =>
      error instanceof DiskError ? onDiskError(error) : onProblem(`The local S3 failed: ${error}`),
  });
  defer(() => s3.close());

  const queues = await startQueues({ credentials });
  defer(() => queues.close());
  const originOf = async (service: ServiceName, origin: string) => {
    const proxy = await options.openProxy?.(service, origin);
    defer(() => proxy?.close());
    return proxy?.origin ?? origin;
  };
  const sqs = queues.createClient(await originOf('queues', queues.endpoint), time.monotonic);
  defer(() => sqs.destroy());
  const ownSqs = queues.createClient();
  defer(() => ownSqs.destroy());
  const storageOrigin = await originOf('storage', s3.endpoint);
  const standInKey = `KEY${randomBytes(16).toString('hex')}`;
  if (options.telnyx === undefined) {
    standIn = await startStandIn({
      apiKey: standInKey,
      storage,
      presign: (name, key, { expiresInSeconds }) =>
        s3.presignGet(name, key, { expiresInSeconds, origin: storageOrigin }),
      time,
      random,
      folder: options.documents,
      // The system's folder for temporary files may be below the folder of the documents.
      exclude: [storage],
      signal,
      onRead: options.onFilesRead,
      faults: options.faults ?? [],
      ...(options.rateLimit ? { rateLimit: options.rateLimit } : {}),
      onAppeared,
      onSkipped: (path, error) => onProblem(`Cannot read ${path}; skipped: ${error}`),
    });
    defer(() => standIn?.close());
  }

  const telnyx = options.telnyx ?? { url: new URL(standIn?.url ?? ''), apiKey: standInKey };
  const functionsTelnyxUrl = standIn
    ? new URL(telnyx.url.pathname, await originOf('telnyx', telnyx.url.origin))
    : telnyx.url;

  const target =
    options.bucket ??
    folderBucket(await originOf('bucket', s3.endpoint), archive, credentials, time.monotonic);
  defer(() => target.client.destroy());
  const catalogue = openCatalogueFolder(archive);
  defer(() => catalogue.close());
  return {
    s3,
    credentials,
    queues,
    sqs,
    ownSqs,
    standIn,
    telnyx,
    functionsTelnyxUrl,
    storageOrigin: standIn && storageOrigin,
    target,
    catalogue,
    bucket: createBucket({ s3: target.client, name: target.name, time }),
  };
}

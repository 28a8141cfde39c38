/** The complete Telnyx stand-in: API, documents, faults, and storage in a bucket of the local S3. */
import type { Random, Time } from '../../functions/time.ts';
import type { S3Fault } from '../s3/faults.ts';
import { type Document, Documents } from './documents.ts';
import { type FaultRule, Faults } from './faults.ts';
import { openFolder } from './folder.ts';
import { Orders } from './orders.ts';
import type { RequestLimit } from './rate-limit.ts';
import { addSamples } from './samples.ts';
import { startTelnyx } from './server.ts';

/** Bucket of the local S3 for the data of the stand-in's documents. */
export const storageBucket = 'telnyx-storage';

/**
 * Document ID of a storage key, for `S3Options.objectKey`. A key may have any prefix, such as `a/./b/..//`.
 */
export function storedDocumentId(key: string): string {
  return key.slice(key.lastIndexOf('/') + 1);
}

/** Telnyx does not document the lifetime of download links; its other presigned links expire after ten minutes. */
const defaultLinkSeconds = 600;

export interface StandInOptions {
  apiKey: string;
  /** Directory of the storage bucket. */
  storage: string;
  presign: (bucket: string, key: string, options: { expiresInSeconds: number }) => string;
  time: Time;
  random: Random;
  /** Absolute path of a folder whose files are the documents. @default the samples */
  folder?: string | undefined;
  /** Absolute paths of folders to skip, such as the archive. @default none */
  exclude?: readonly string[];
  faults?: readonly FaultRule[];
  rateLimit?: RequestLimit;
  /** Whether unlinked documents are deleted after 30 minutes, as at Telnyx. @default false */
  expire?: boolean;
  /** Lifetime of a download link, in seconds. @default 600 */
  linkSeconds?: number;
  /** Called while the folder is read at the start: files read so far, all files. */
  onRead?: ((read: number, total: number) => void) | undefined;
  /** Ends the reading of the folder. Abort it before `close`. */
  signal?: AbortSignal | undefined;
  /** Called once for each file or folder that is skipped, with the reason. */
  onSkipped: (path: string, error: unknown) => void;
  /** Called for each document that is added after the start. */
  onAppeared?: (document: Document) => void;
  port?: number;
}

export interface StandIn {
  url: string;
  documents: Documents;
  orders: Orders;
  /** Faults. Can be changed at any time. */
  faults: Faults;
  /** Number of requests by route, such as `GET documents {id} download_link`, including rejected ones. */
  requests: ReadonlyMap<string, number>;
  /** Fault for the next storage request for this key, if any. A deleted document gets 404. */
  storageFault(key: string | undefined): S3Fault | undefined;
  close(): Promise<void>;
}

export async function startStandIn(options: StandInOptions): Promise<StandIn> {
  const { apiKey, storage, presign, time, folder, linkSeconds = defaultLinkSeconds } = options;
  const { onSkipped, onAppeared = () => undefined } = options;
  const documents = new Documents({ storage, time, expire: options.expire ?? false });
  const orders = new Orders(documents, time);
  const faults = new Faults(options.faults ?? [], options.random);
  const watched =
    folder === undefined
      ? undefined
      : openFolder({
          path: folder,
          exclude: options.exclude ?? [],
          documents,
          time,
          onRead: options.onRead,
          signal: options.signal,
          onSkipped,
          onAppeared,
        });
  if (watched) await watched.refresh();
  else await addSamples(documents);

  const server = await startTelnyx({
    apiKey,
    documents,
    orders,
    faults,
    time,
    presign: (key) => presign(storageBucket, key, { expiresInSeconds: linkSeconds }),
    onUpload: onAppeared,
    ...(watched ? { refresh: watched.refresh } : {}),
    ...(options.rateLimit ? { rateLimit: options.rateLimit } : {}),
    ...(options.port ? { port: options.port } : {}),
  });
  return {
    url: server.url,
    documents,
    orders,
    faults,
    requests: server.requests,
    storageFault: (key) => {
      const document = key === undefined ? undefined : documents.get(key);
      if (document) return faults.download(document);
      return {
        kind: 'error',
        status: 404,
        code: 'NoSuchKey',
        message: 'The specified key does not exist.',
        when: 'before-body',
      };
    },
    close: server.close,
  };
}

/** The stand-in whole: its documents, where they come from, its faults, and its storage in a bucket of the local S3. */
import type { Random, Time } from '../../functions/time.ts';
import type { S3Fault } from '../s3/faults.ts';
import { type Document, Documents } from './documents.ts';
import { type FaultRule, Faults } from './faults.ts';
import { openFolder } from './folder.ts';
import { Orders } from './orders.ts';
import type { RequestLimit } from './rate-limit.ts';
import { addSamples } from './samples.ts';
import { startTelnyx } from './server.ts';

/** The bucket of the local S3 in which the stand-in keeps its documents' bytes. */
export const storageBucket = 'telnyx-storage';

/**
 * The id of the document that a key of the storage leads to. A key may begin with anything, such as `a/./b/..//`; it is
 * for `S3Options.objectKey`.
 */
export function storedDocumentId(key: string): string {
  return key.slice(key.lastIndexOf('/') + 1);
}

/** How long a link lasts is not documented; Telnyx's other presigned links last ten minutes. */
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
  /** Absolute paths of folders that are left out with all that is in them, such as the archive. @default none */
  exclude?: readonly string[];
  faults?: readonly FaultRule[];
  rateLimit?: RequestLimit;
  /** Whether unlinked documents are deleted after 30 minutes, as at Telnyx. @default false */
  expire?: boolean;
  /** How long a download link lasts, in seconds. @default 600 */
  linkSeconds?: number;
  /** Told once of each file or folder that is left out, and why. */
  onUnreadable: (path: string, error: unknown) => void;
  /** Told of each document that appears after the start. */
  onAppeared?: (document: Document) => void;
  port?: number;
}

export interface StandIn {
  url: string;
  documents: Documents;
  orders: Orders;
  /** What goes wrong; may be changed at any time. */
  faults: Faults;
  /** Requests by route, such as `GET documents {id} download_link`, refused ones included. */
  requests: ReadonlyMap<string, number>;
  /** What the storage does to the next request for this key, by the fault plan; what is deleted is gone. */
  storageFault(key: string | undefined): S3Fault | undefined;
  close(): Promise<void>;
}

export async function startStandIn(options: StandInOptions): Promise<StandIn> {
  const { apiKey, storage, presign, time, folder, linkSeconds = defaultLinkSeconds } = options;
  const { onUnreadable, onAppeared = () => undefined } = options;
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
          onUnreadable,
          onAppeared,
        });
  if (watched) await watched.refresh();
  else await addSamples(documents, time.now());

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

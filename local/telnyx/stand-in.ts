/** The stand-in whole: its documents, where they come from, its faults, and its storage in a bucket of the local S3. */
import type { Random, Time } from '../../functions/time.ts';
import type { S3Fault } from '../s3/faults.ts';
import type { Document } from './documents.ts';
import { Documents } from './documents.ts';
import { type FaultRule, Faults } from './faults.ts';
import { openFolder } from './folder.ts';
import { Orders } from './orders.ts';
import type { RateLimit } from './rate-limit.ts';
import { addSamples } from './samples.ts';
import { startTelnyx } from './server.ts';

/** The bucket of the local S3 in which the stand-in keeps its documents' bytes. */
export const storageBucket = 'telnyx-storage';

/** As Telnyx's other presigned links last ten minutes. */
const linkSeconds = 600;

export interface StandInOptions {
  apiKey: string;
  /** Directory of the storage bucket. */
  storage: string;
  presign: (bucket: string, key: string, options: { expiresInSeconds: number }) => string;
  time: Time;
  random: Random;
  /** Absolute path of a folder whose files are the documents. @default the samples */
  folder?: string | undefined;
  faults?: readonly FaultRule[];
  rateLimit?: RateLimit;
  /** Whether unlinked documents are deleted after 30 minutes, as at Telnyx. @default false */
  expire?: boolean;
  onUnreadable: (path: string, error: unknown) => void;
  /** Told of each document that appears after the start. */
  onAppeared?: (document: Document) => void;
  port?: number;
}

export interface StandIn {
  url: string;
  documents: Documents;
  orders: Orders;
  requests: ReadonlyMap<string, number>;
  /** What the storage does to the next request for this key, by the fault plan. */
  storageFault(key: string | undefined): S3Fault | undefined;
  close(): Promise<void>;
}

export async function startStandIn(options: StandInOptions): Promise<StandIn> {
  const { apiKey, storage, presign, time, folder, onAppeared = () => undefined } = options;
  const documents = new Documents({ storage, time, expire: options.expire ?? false });
  const orders = new Orders();
  const faults = new Faults(options.faults ?? [], options.random);
  const watched =
    folder === undefined
      ? undefined
      : openFolder({ path: folder, documents, onUnreadable: options.onUnreadable, onAppeared });
  if (watched) await watched.refresh();
  else await addSamples(documents, time.now());

  const server = await startTelnyx({
    apiKey,
    documents,
    orders,
    faults,
    time,
    presign: (documentId) => presign(storageBucket, documentId, { expiresInSeconds: linkSeconds }),
    onUpload: onAppeared,
    ...(watched ? { refresh: watched.refresh } : {}),
    ...(options.rateLimit ? { rateLimit: options.rateLimit } : {}),
    ...(options.port ? { port: options.port } : {}),
  });
  return {
    url: server.url,
    documents,
    orders,
    requests: server.requests,
    storageFault: (key) => {
      const document = key === undefined ? undefined : documents.get(key);
      return document && faults.download(document);
    },
    close: server.close,
  };
}

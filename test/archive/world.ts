import { createHash, randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { S3ClientConfig } from '@aws-sdk/client-s3';
import { onTestFinished } from 'vitest';
import type { ArchiveDependencies, DocumentReceive } from '../../functions/archive/archive-document.ts';
import { createDownload, createGuardedHttpGet } from '../../functions/archive/download.ts';
import { createReceipts, type Receipt } from '../../functions/bucket/receipts.ts';
import { createS3Client } from '../../functions/bucket/s3-client.ts';
import { createBucket } from '../../functions/bucket/store.ts';
import { retryTimings, singlePutBytes } from '../../functions/limits.ts';
import { createLog } from '../../functions/log.ts';
import type { DocumentMessage } from '../../functions/queue/messages.ts';
import type { TelnyxClient, TelnyxDocument } from '../../functions/telnyx/client.ts';
import { systemTime, type Time } from '../../functions/time.ts';
import type { S3Fault } from '../../local/s3/faults.ts';
import type { S3RequestInfo } from '../../local/s3/request.ts';
import { startS3 } from '../../local/s3/server.ts';

const credentials = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'a-secret-of-the-test' };

/** What goes wrong with the next request that `when` picks; gone after `times` of them. */
interface PlannedFault {
  when: (request: S3RequestInfo) => boolean;
  fault: S3Fault;
  times: number;
}

export type World = Awaited<ReturnType<typeof startWorld>>;

/** An archive bucket and a Telnyx storage bucket behind real sockets, and a Telnyx that knows what is added. */
export async function startWorld(
  options: { time?: Time; s3Config?: S3ClientConfig; overrides?: Partial<ArchiveDependencies> } = {},
) {
  const time = options.time ?? systemTime;
  const directory = await mkdtemp(join(tmpdir(), 'archive-test-'));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  const faults: PlannedFault[] = [];
  const linkCalls: string[] = [];
  const lines: string[] = [];
  const documents = new Map<string, TelnyxDocument>();

  const s3 = await startS3({
    buckets: { archive: join(directory, 'archive'), storage: join(directory, 'storage') },
    credentials: [credentials],
    time: systemTime,
    intercept: (request) => {
      const planned = faults.find(({ when, times }) => times > 0 && when(request));
      if (!planned) return undefined;
      planned.times -= 1;
      return planned.fault;
    },
  });
  onTestFinished(() => s3.close());
  await mkdir(join(directory, 'storage'), { recursive: true });
  const client = createS3Client({
    endpoint: s3.endpoint,
    region: 'us-east-1',
    credentials,
    ...options.s3Config,
  });
  onTestFinished(() => client.destroy());

  const known = (id: string): TelnyxDocument => {
    const document = documents.get(id);
    if (!document) throw new Error('The test asks for a document that it has not added.');
    return document;
  };
  const telnyx: TelnyxClient = {
    document: async (id) => known(id),
    downloadLink: async (id) => {
      linkCalls.push(id);
      return s3.presignGet('storage', known(id).id, { expiresInSeconds: 60 });
    },
    get: () => Promise.reject(new Error('The archive function reads no lists.')),
  };
  const policy = { hosts: [], trustedOrigin: s3.endpoint };
  const bucket = createBucket({ s3: client, name: 'archive', time });
  const dependencies: ArchiveDependencies = {
    telnyx,
    download: createDownload({ policy, httpGet: createGuardedHttpGet(policy, '0.0.0-test'), time }),
    bucket,
    receipts: createReceipts(bucket),
    log: createLog({ name: 'test', write: (line) => lines.push(line), now: () => time.now() }),
    time,
    random: () => 0,
    timings: retryTimings,
    archiveInfected: false,
    maxDocumentBytes: singlePutBytes,
    version: '0.0.0-test',
    ...options.overrides,
  };

  return {
    s3,
    client,
    directory,
    dependencies,
    linkCalls,
    lines,
    /** Puts a document where Telnyx has it. Facts left out are those of the bytes; `undefined` leaves them unstated. */
    add: async (bytes: Buffer, facts: Partial<TelnyxDocument> = {}): Promise<TelnyxDocument> => {
      const id = facts.id ?? randomUUID();
      const document: TelnyxDocument = {
        id,
        fileName: 'letter.pdf',
        contentType: 'application/pdf',
        createdAt: '2026-11-24T00:00:00Z',
        sha256: sha256(bytes),
        bytes: bytes.length,
        infected: false,
        record: JSON.stringify({ id, record_type: 'document', filename: facts.fileName ?? 'letter.pdf' }),
        cut: false,
        malformed: [],
        ...facts,
      };
      documents.set(id, document);
      await writeFile(join(directory, 'storage', id), bytes);
      return document;
    },
    fail: (fault: S3Fault, when: PlannedFault['when'], times = 1) => faults.push({ when, fault, times }),
    object: (id: string) => readOrNothing(join(directory, 'archive', 'documents', id)),
    receipt: async (id: string): Promise<Receipt | undefined> => {
      const text = await readOrNothing(join(directory, 'archive', 'receipts', `${id}.json`));
      return text === undefined ? undefined : JSON.parse(text.toString('utf8'));
    },
  };
}

async function readOrNothing(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

export const ofDownload = (request: S3RequestInfo) => request.bucket === 'storage';
export const ofUpload = (request: S3RequestInfo) =>
  request.operation === 'PutObject' && request.key?.startsWith('documents/') === true;
export const ofReceipt = (request: S3RequestInfo) =>
  request.operation === 'PutObject' && request.key?.startsWith('receipts/') === true;

export function messageFor(documentId: string): DocumentMessage {
  return { v: 1, kind: 'document', documentId, trigger: 'operator', requestedAt: '2026-11-24T00:00:00Z' };
}

/** A first receive with a minute of time. */
export function receive(overrides: Partial<DocumentReceive> = {}): DocumentReceive {
  return {
    receives: 1,
    ageMs: 0,
    deadline: systemTime.monotonic() + 60_000,
    signal: new AbortController().signal,
    ...overrides,
  };
}

/** The machine's time, `factor` times as fast for whoever waits. */
export function hurriedTime(factor: number): Time {
  return { ...systemTime, after: (ms, callback) => systemTime.after(ms / factor, callback) };
}

export function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Bytes that are the same at each run and compress badly. */
export function someBytes(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  let state = 0x2545f491;
  for (let i = 0; i < length; i += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}

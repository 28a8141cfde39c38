import { createHash, randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { S3ClientConfig } from '@aws-sdk/client-s3';
import { onTestFinished } from 'vitest';
import type { DocumentReceive } from '../../functions/archive/archive-document.ts';
import { createArchiveDependencies } from '../../functions/archive/assemble.ts';
import type { ArchiveHandlerDependencies } from '../../functions/archive/handler.ts';
import { type ArchiveSettings, archiveSettings } from '../../functions/archive/settings.ts';
import type { Receipt } from '../../functions/bucket/receipts.ts';
import { createS3Client } from '../../functions/bucket/s3-client.ts';
import type { DocumentMessage } from '../../functions/queue/messages.ts';
import { defaultsOf } from '../../functions/settings.ts';
import type { TelnyxClient, TelnyxDocument } from '../../functions/telnyx/client.ts';
import { systemTime, type Time } from '../../functions/time.ts';
import type { S3Fault } from '../../local/s3/faults.ts';
import type { S3RequestInfo } from '../../local/s3/request.ts';
import { startS3 } from '../../local/s3/server.ts';

const credentials = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'a-secret-of-the-test' };

/** Injects `fault` into the next `times` requests that `when` selects. */
interface PlannedFault {
  when: (request: S3RequestInfo) => boolean;
  fault: S3Fault;
  times: number;
}

export type World = Awaited<ReturnType<typeof startWorld>>;

/** Settings of the archive function: the defaults, with queues that match `sqsRecord`. */
export function settingsForTests(overrides: Partial<ArchiveSettings>): ArchiveSettings {
  const queueUrl = (name: string) => `http://127.0.0.1:1/000000000000/${name}`;
  return {
    ...defaultsOf(archiveSettings),
    archiverName: 'test',
    version: '0.0.0-test',
    bucketName: 'archive',
    apiKeySecretArn: '',
    documentsQueueUrl: queueUrl('documents'),
    documentsDeadLetterQueueUrl: queueUrl('documents-dead-letters'),
    backfillQueueUrl: queueUrl('backfill'),
    backfillDeadLetterQueueUrl: queueUrl('backfill-dead-letters'),
    ...overrides,
  };
}

/**
 * What the archive function depends on: an archive bucket and Telnyx's storage on real sockets, and a fake Telnyx client
 * that serves the documents added with `add`.
 */
export async function startWorld(
  options: { time?: Time; s3Config?: S3ClientConfig; overrides?: Partial<ArchiveHandlerDependencies> } = {},
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
    if (!document) throw new Error('The test requested a document that it did not add.');
    return document;
  };
  const telnyx: TelnyxClient = {
    document: async (id) => known(id),
    downloadLink: async (id) => {
      linkCalls.push(id);
      return s3.presignGet('storage', known(id).id, { expiresInSeconds: 60 });
    },
    get: () => Promise.reject(new Error('The archive function must not read lists.')),
  };
  const unexpectedCall = (what: string) => () => Promise.reject(new Error(`Unexpected call: ${what}`));
  const dependencies: ArchiveHandlerDependencies = {
    ...createArchiveDependencies(settingsForTests({ trustedDownloadOrigin: new URL(s3.endpoint) }), {
      readSecret: unexpectedCall('readSecret'),
      telnyxGet: unexpectedCall('telnyxGet'),
      s3: client,
      sqs: { send: unexpectedCall('SQS') },
      writeLog: (line) => lines.push(line),
      time,
      random: () => 0,
    }),
    telnyx,
    lowLaneTelnyx: telnyx,
    ...options.overrides,
  };

  return {
    s3,
    client,
    directory,
    dependencies,
    linkCalls,
    lines,
    /** Adds a document to Telnyx. Facts default to those of `bytes`; a fact that is `undefined` is not stated. */
    add: async (bytes: Buffer, facts: Partial<TelnyxDocument> = {}): Promise<TelnyxDocument> => {
      const id = facts.id ?? randomUUID();
      const document: TelnyxDocument = {
        id,
        fileName: 'letter.pdf',
        customerReference: undefined,
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
    object: (id: string) => readIfExists(join(directory, 'archive', 'documents', id)),
    receipt: async (id: string): Promise<Receipt | undefined> => {
      const text = await readIfExists(join(directory, 'archive', 'receipts', `${id}.json`));
      return text === undefined ? undefined : JSON.parse(text.toString('utf8'));
    },
  };
}

async function readIfExists(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

export const isDownload = (request: S3RequestInfo) => request.bucket === 'storage';
export const isUpload = (request: S3RequestInfo) =>
  request.operation === 'PutObject' && request.key?.startsWith('documents/') === true;
export const isReceiptUpload = (request: S3RequestInfo) =>
  request.operation === 'PutObject' && request.key?.startsWith('receipts/') === true;

export function messageFor(documentId: string): DocumentMessage {
  return { v: 1, kind: 'document', documentId, trigger: 'operator', requestedAt: '2026-11-24T00:00:00Z' };
}

/** The first receive of a message, with 60 s left. */
export function receive(overrides: Partial<DocumentReceive> = {}): DocumentReceive {
  return {
    receives: 1,
    ageMs: 0,
    deadline: systemTime.monotonic() + 60_000,
    signal: new AbortController().signal,
    ...overrides,
  };
}

/** A time that passes `factor` times as fast as the system time from now on, except for the wall clock. */
export function acceleratedTime(factor: number): Time {
  const start = systemTime.monotonic();
  return {
    now: systemTime.now,
    monotonic: () => start + (systemTime.monotonic() - start) * factor,
    after: (ms, callback) => systemTime.after(ms / factor, callback),
  };
}

export function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Pseudo-random bytes, the same at each run. */
export function someBytes(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  let state = 0x2545f491;
  for (let i = 0; i < length; i += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}

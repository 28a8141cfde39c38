import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { systemTime, type Time } from '../../../functions/time.ts';
import { type S3Server, startS3 } from '../../../local/s3/server.ts';
import {
  type StandIn,
  type StandInOptions,
  startStandIn,
  storageBucket,
  storedDocumentId,
} from '../../../local/telnyx/stand-in.ts';

export const unknownId = '00000000-0000-4000-8000-000000000000';
export const apiKey = 'KEY-test';

/** Option to use the sample documents instead of none. */
export const samples = { folder: undefined };

interface ApiResult {
  status: number;
  headers: Headers;
  /** Parsed JSON. */
  body: ReturnType<typeof JSON.parse>;
}

/** System clocks, shifted by `offsetMs`. */
export interface ShiftedTime extends Time {
  offsetMs: number;
}

export function shiftedTime(): ShiftedTime {
  const time: ShiftedTime = {
    ...systemTime,
    offsetMs: 0,
    now: () => systemTime.now() + time.offsetMs,
    monotonic: () => systemTime.monotonic() + time.offsetMs,
  };
  return time;
}

export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'telnyx-test-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

export interface World {
  standIn: StandIn;
  s3: S3Server;
  /** Directory of the storage bucket. */
  storage: string;
  /** Names of documents added after the start. */
  appeared: string[];
  /** Skipped paths. */
  skipped: string[];
  call(path: string, init?: RequestInit): Promise<ApiResult>;
  /** File names by document ID, from all pages. */
  names(): Promise<Map<string, string>>;
}

/** Starts a stand-in with its storage in a local S3; without documents by default. */
export async function startWorld(options: Partial<StandInOptions> = {}): Promise<World> {
  const storage = await temporaryFolder();
  const appeared: string[] = [];
  const skipped: string[] = [];
  const time = options.time ?? systemTime;
  let standIn: StandIn | undefined;
  const s3 = await startS3({
    buckets: { [storageBucket]: storage },
    linkedBuckets: [storageBucket],
    credentials: [{ accessKeyId: 'local', secretAccessKey: 'local-secret' }],
    time,
    objectKey: (_bucket, key) => storedDocumentId(key),
    intercept: ({ key }) => standIn?.storageFault(key),
  });
  onTestFinished(() => s3.close());
  standIn = await startStandIn({
    apiKey,
    storage,
    presign: s3.presignGet,
    time,
    random: Math.random,
    onSkipped: (path) => skipped.push(path),
    onAppeared: ({ fileName }) => appeared.push(fileName),
    folder: await temporaryFolder(),
    ...options,
  });
  const { url, close } = standIn;
  onTestFinished(close);

  const call = async (path: string, init: RequestInit = {}) => {
    const headers = { authorization: `Bearer ${apiKey}`, ...Object(init.headers) };
    const response = await fetch(`${url}/${path}`, { ...init, headers });
    return { status: response.status, headers: response.headers, body: JSON.parse(await response.text()) };
  };
  const names = async () => {
    const found = new Map<string, string>();
    for (let page = 1; ; page += 1) {
      const { data } = (await call(`documents?page[size]=250&page[number]=${page}`)).body;
      for (const { id, filename } of data) found.set(id, filename);
      if (data.length === 0) return found;
    }
  };
  return { standIn, s3, storage, appeared, skipped, call, names };
}

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

/** The stand-in's own documents, in place of none. */
export const samples = { folder: undefined };

interface ApiAnswer {
  status: number;
  headers: Headers;
  /** Each test looks at another part of it. */
  body: ReturnType<typeof JSON.parse>;
}

/** The system's clocks, moved ahead by as much as a test says. */
export interface MovableTime extends Time {
  aheadMs: number;
}

export function movableTime(): MovableTime {
  const time: MovableTime = {
    ...systemTime,
    aheadMs: 0,
    now: () => systemTime.now() + time.aheadMs,
    monotonic: () => systemTime.monotonic() + time.aheadMs,
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
  /** Names of the documents that appeared after the start. */
  appeared: string[];
  /** Paths that were left out. */
  leftOut: string[];
  call(path: string, init?: RequestInit): Promise<ApiAnswer>;
  /** File names by id, of all pages. */
  names(): Promise<Map<string, string>>;
}

/** A stand-in with its storage in a real local S3, and no documents unless asked for. */
export async function startWorld(options: Partial<StandInOptions> = {}): Promise<World> {
  const storage = await temporaryFolder();
  const appeared: string[] = [];
  const leftOut: string[] = [];
  const time = options.time ?? systemTime;
  let standIn: StandIn | undefined;
  const s3 = await startS3({
    buckets: { [storageBucket]: storage },
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
    onUnreadable: (path) => leftOut.push(path),
    onAppeared: ({ fileName }) => appeared.push(fileName),
    folder: await temporaryFolder(),
    ...options,
  });
  const { url, close } = standIn;
  onTestFinished(close);

  const call = async (path: string, init: RequestInit = {}) => {
    const headers = { authorization: `Bearer ${apiKey}`, ...Object(init.headers) };
    const answer = await fetch(`${url}/${path}`, { ...init, headers });
    return { status: answer.status, headers: answer.headers, body: JSON.parse(await answer.text()) };
  };
  const names = async () => {
    const found = new Map<string, string>();
    for (let page = 1; ; page += 1) {
      const { data } = (await call(`documents?page[size]=250&page[number]=${page}`)).body;
      for (const { id, filename } of data) found.set(id, filename);
      if (data.length === 0) return found;
    }
  };
  return { standIn, s3, storage, appeared, leftOut, call, names };
}

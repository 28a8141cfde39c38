/** A warm archive function: its connection pools are full, and a test can drop all connections. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SQSClient } from '@aws-sdk/client-sqs';
import type { Context } from 'aws-lambda';
import { expect, onTestFinished } from 'vitest';
import { assembleArchive } from '../../functions/archive/assemble.ts';
import { createGuardedHttpGet } from '../../functions/archive/download.ts';
import { createReceipts } from '../../functions/bucket/receipts.ts';
import { createS3Client } from '../../functions/bucket/s3-client.ts';
import { createBucket } from '../../functions/bucket/store.ts';
import { createAgents, retryOnFreshConnection } from '../../functions/connections.ts';
import { createHttpGet } from '../../functions/http.ts';
import { concurrency, timeouts } from '../../functions/limits.ts';
import { createSqsClient } from '../../functions/queue/sqs-client.ts';
import { systemTime, type Time } from '../../functions/time.ts';
import { startS3 } from '../../local/s3/server.ts';
import { startStandIn, storageBucket } from '../../local/telnyx/stand-in.ts';
import { startDroppingProxy } from '../dropping-proxy.ts';
import { sqsEvent, sqsRecord } from '../fakes/sqs-records.ts';
import type { Drop } from '../soak/dropping-tcp-proxy.ts';
import { settingsForTests, someBytes } from './world.ts';

/** The parts of `functions/` that open or reuse connections. */
const functionsOfThisCheckout = {
  assembleArchive,
  createAgents,
  createBucket,
  createGuardedHttpGet,
  createHttpGet,
  createReceipts,
  createS3Client,
  createSqsClient,
  retryOnFreshConnection,
};
export type ConnectedFunctions = typeof functionsOfThisCheckout;

/** @param folder URL of a copy of `functions/`, with a trailing slash */
export async function loadConnectedFunctions(folder: URL): Promise<ConnectedFunctions> {
  const files = [
    'archive/assemble.ts',
    'archive/download.ts',
    'bucket/receipts.ts',
    'bucket/s3-client.ts',
    'bucket/store.ts',
    'connections.ts',
    'http.ts',
    'queue/sqs-client.ts',
  ];
  const modules = await Promise.all(
    files.map((file) => import(/* @vite-ignore */ new URL(file, folder).href)),
  );
  return Object.assign({}, ...modules);
}

const credentials = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'a-secret-of-the-test' };
const apiKey = 'KEY0123456789ABCDEF';

export interface WarmOptions {
  /** @default this checkout */
  functions?: ConnectedFunctions;
  /** Time limit of one invocation. @default `timeouts.archiveMs` */
  timeLimitMs?: number;
}

/** Starts the archive function with each service behind a proxy, and fills its pools with idle connections. */
export async function startWarm({
  functions = functionsOfThisCheckout,
  timeLimitMs = timeouts.archiveMs,
}: WarmOptions = {}) {
  const directory = await mkdtemp(join(tmpdir(), 'dropped-connections-'));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  const storage = join(directory, storageBucket);
  await mkdir(join(directory, 'archive'));
  const s3 = await startS3({
    buckets: { archive: join(directory, 'archive'), [storageBucket]: storage },
    credentials: [credentials],
    time: systemTime,
  });
  onTestFinished(() => s3.close());
  const bucketProxy = await startDroppingProxy(s3.endpoint, concurrency.batchSize);
  const storageProxy = await startDroppingProxy(s3.endpoint, concurrency.batchSize);
  const standIn = await startStandIn({
    apiKey,
    storage,
    presign: (name, key, options) => s3.presignGet(name, key, { ...options, origin: storageProxy.origin }),
    time: systemTime,
    random: Math.random,
    onSkipped: (path) => expect.unreachable(path),
  });
  onTestFinished(() => standIn.close());
  const telnyxProxy = await startDroppingProxy(standIn.url, concurrency.batchSize);
  const proxies = { bucket: bucketProxy, storage: storageProxy, telnyx: telnyxProxy };

  let pausedMs = 0;
  const time: Time = { ...systemTime, monotonic: () => systemTime.monotonic() + pausedMs };
  const client = functions.createS3Client(
    { endpoint: bucketProxy.origin, region: 'us-east-1', credentials },
    time.monotonic,
  );
  onTestFinished(() => client.destroy());
  const agents = functions.createAgents(undefined, time.monotonic);
  onTestFinished(() => agents.http.destroy());
  const bucket = functions.createBucket({ s3: client, name: 'archive', time });
  const lines: string[] = [];
  const settings = settingsForTests({
    telnyxUrl: new URL(`${telnyxProxy.origin}${new URL(standIn.url).pathname}`),
    trustedDownloadOrigin: new URL(storageProxy.origin),
  });
  const handler = functions.assembleArchive(settings, {
    readSecret: async () => apiKey,
    telnyxGet: functions.createHttpGet(agents, settings.version),
    s3: client,
    sqs: { send: async () => ({}) } as unknown as Pick<SQSClient, 'send'>,
    writeLog: (line) => lines.push(line),
    time,
    random: () => 0,
  });
  const add = async (bytes = someBytes(20_000)) => (await standIn.documents.add('letter.pdf', bytes, {})).id;
  const archive = async (...ids: string[]) => {
    const end = time.monotonic() + timeLimitMs;
    const context = { getRemainingTimeInMillis: () => end - time.monotonic() } as Context;
    const { batchItemFailures } = await handler(
      sqsEvent(...ids.map((id, position) => sqsRecord(position, { body: id }))),
      context,
    );
    return batchItemFailures;
  };

  const warmUp = await Promise.all(Array.from({ length: concurrency.batchSize }, () => add()));
  expect(await archive(...warmUp)).toEqual([]);
  for (const proxy of Object.values(proxies)) {
    expect(proxy.openConnections()).toBeGreaterThanOrEqual(concurrency.batchSize);
  }
  const drop = (how: Drop) => {
    for (const proxy of Object.values(proxies)) proxy.drop(how);
  };
  const usedAfterDrop = () =>
    Object.fromEntries(Object.entries(proxies).map(([name, { seen }]) => [name, seen.usedAfterDrop]));
  return {
    add,
    archive,
    bucket,
    receipts: functions.createReceipts(bucket),
    lines,
    proxies,
    drop,
    usedAfterDrop,
    /** Advances the function's monotonic clock, as if Lambda had frozen the container. */
    pause: (ms: number) => {
      pausedMs += ms;
    },
  };
}

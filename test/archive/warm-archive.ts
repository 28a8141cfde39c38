/** The archive function in the middle of its work: with connections that its neighbours may drop. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SQSClient } from '@aws-sdk/client-sqs';
import type { Context } from 'aws-lambda';
import { expect, onTestFinished } from 'vitest';
import { createDownload, createGuardedHttpGet } from '../../functions/archive/download.ts';
import { createArchiveHandler } from '../../functions/archive/handler.ts';
import { createReceipts } from '../../functions/bucket/receipts.ts';
import { createS3Client } from '../../functions/bucket/s3-client.ts';
import { createBucket } from '../../functions/bucket/store.ts';
import { createAgents, retryOnFreshConnection } from '../../functions/connections.ts';
import { createHttpGet } from '../../functions/http.ts';
import { concurrency, retryTimings, singlePutBytes, timeouts } from '../../functions/limits.ts';
import { createLog } from '../../functions/log.ts';
import { createSqsClient } from '../../functions/queue/sqs-client.ts';
import { createApiKey } from '../../functions/telnyx/api-key.ts';
import { createTelnyxClient } from '../../functions/telnyx/client.ts';
import { systemTime as time } from '../../functions/time.ts';
import { startS3 } from '../../local/s3/server.ts';
import { startStandIn, storageBucket } from '../../local/telnyx/stand-in.ts';
import { startDroppingProxy } from '../dropping-proxy.ts';
import { sqsEvent, sqsRecord } from '../fakes/sqs-records.ts';
import type { Drop } from '../soak/dropping-front.ts';
import { someBytes } from './world.ts';

/** What of `functions/` has to do with connections. */
const functionsOfThisCheckout = {
  createAgents,
  createApiKey,
  createArchiveHandler,
  createBucket,
  createDownload,
  createGuardedHttpGet,
  createHttpGet,
  createLog,
  createReceipts,
  createS3Client,
  createSqsClient,
  createTelnyxClient,
  retryOnFreshConnection,
};
export type ConnectedFunctions = typeof functionsOfThisCheckout;

/** @param folder of a copy of `functions/`; ends in a slash */
export async function loadConnectedFunctions(folder: URL): Promise<ConnectedFunctions> {
  const files = [
    'connections.ts',
    'telnyx/api-key.ts',
    'archive/handler.ts',
    'bucket/store.ts',
    'archive/download.ts',
    'http.ts',
    'log.ts',
    'bucket/receipts.ts',
    'bucket/s3-client.ts',
    'queue/sqs-client.ts',
    'telnyx/client.ts',
  ];
  const modules = await Promise.all(
    files.map((file) => import(/* @vite-ignore */ new URL(file, folder).href)),
  );
  return Object.assign({}, ...modules);
}

const credentials = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'a-secret-of-the-test' };
const apiKey = 'KEY0123456789ABCDEF';

export interface WarmOptions {
  /** @default those of this checkout */
  functions?: ConnectedFunctions;
  /** Of an invocation. @default Lambda's */
  timeLimitMs?: number;
}

/** The deployed handler with every neighbour behind a proxy, and its pools full of idle connections. */
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
    time,
  });
  onTestFinished(() => s3.close());
  const bucketProxy = await startDroppingProxy(s3.endpoint, concurrency.batchSize);
  const storageProxy = await startDroppingProxy(s3.endpoint, concurrency.batchSize);
  const standIn = await startStandIn({
    apiKey,
    storage,
    presign: (name, key, options) => s3.presignGet(name, key, { ...options, origin: storageProxy.origin }),
    time,
    random: Math.random,
    onUnreadable: (path) => expect.unreachable(path),
  });
  onTestFinished(() => standIn.close());
  const telnyxProxy = await startDroppingProxy(standIn.url, concurrency.batchSize);
  const proxies = { bucket: bucketProxy, storage: storageProxy, telnyx: telnyxProxy };

  let paused = 0;
  const monotonic = () => time.monotonic() + paused;
  const client = functions.createS3Client(
    { endpoint: bucketProxy.origin, region: 'us-east-1', credentials },
    monotonic,
  );
  onTestFinished(() => client.destroy());
  const agents = functions.createAgents(undefined, monotonic);
  onTestFinished(() => agents.http.destroy());
  const policy = { hosts: [], trustedOrigin: storageProxy.origin };
  const bucket = functions.createBucket({ s3: client, name: 'archive', time });
  const lines: string[] = [];
  const telnyx = functions.createTelnyxClient({
    baseUrl: new URL(`${telnyxProxy.origin}${new URL(standIn.url).pathname}`),
    apiKey: functions.createApiKey(async () => apiKey, time),
    httpGet: functions.createHttpGet(agents, '0.0.0-test'),
    time,
  });
  const handler = functions.createArchiveHandler({
    telnyx,
    lowLaneTelnyx: telnyx,
    download: functions.createDownload({
      policy,
      httpGet: functions.createGuardedHttpGet(policy, '0.0.0-test', monotonic),
      time,
    }),
    bucket,
    receipts: functions.createReceipts(bucket),
    lanes: [{ name: 'documents', queueUrl: 'documents', deadLetterQueueUrl: 'dead-letters', live: true }],
    sqs: { send: async () => ({}) } as unknown as Pick<SQSClient, 'send'>,
    timings: retryTimings,
    log: functions.createLog({ name: 'test', write: (line) => lines.push(line), now: time.now }),
    time,
    random: () => 0,
    archiveInfected: false,
    maxDocumentBytes: singlePutBytes,
    version: '0.0.0-test',
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
    pause: (ms: number) => {
      paused += ms;
    },
  };
}

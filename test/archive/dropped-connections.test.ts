/** The archive function after a pause in which every neighbour has dropped its idle connections. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { SQSClient } from '@aws-sdk/client-sqs';
import type { Context } from 'aws-lambda';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createDownload, createGuardedHttpGet } from '../../functions/archive/download.ts';
import { createArchiveHandler } from '../../functions/archive/handler.ts';
import { createReceipts } from '../../functions/bucket/receipts.ts';
import { createS3Client } from '../../functions/bucket/s3-client.ts';
import { createBucket } from '../../functions/bucket/store.ts';
import { createAgents } from '../../functions/connections.ts';
import { createHttpGet } from '../../functions/http.ts';
import { concurrency, retryTimings, singlePutBytes, timeouts } from '../../functions/limits.ts';
import { createLog } from '../../functions/log.ts';
import { createApiKey } from '../../functions/telnyx/api-key.ts';
import { createTelnyxClient } from '../../functions/telnyx/client.ts';
import { systemTime as time } from '../../functions/time.ts';
import { startS3 } from '../../local/s3/server.ts';
import { startStandIn, storageBucket } from '../../local/telnyx/stand-in.ts';
import { type DroppingProxy, startDroppingProxy } from '../dropping-proxy.ts';
import { sqsEvent, sqsRecord } from '../sqs-records.ts';
import { sha256, someBytes } from './world.ts';

const credentials = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'a-secret-of-the-test' };
const apiKey = 'KEY0123456789ABCDEF';
const never = new AbortController().signal;
const anHour = 3_600_000;

/** The deployed handler with every neighbour behind a proxy, and its pools full of idle connections. */
async function startWarm() {
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
  const client = createS3Client(
    { endpoint: bucketProxy.origin, region: 'us-east-1', credentials },
    monotonic,
  );
  onTestFinished(() => client.destroy());
  const agents = createAgents(undefined, monotonic);
  onTestFinished(() => agents.http.destroy());
  const policy = { hosts: [], trustedOrigin: storageProxy.origin };
  const bucket = createBucket({ s3: client, name: 'archive', time });
  const lines: string[] = [];
  const telnyx = createTelnyxClient({
    baseUrl: new URL(`${telnyxProxy.origin}${new URL(standIn.url).pathname}`),
    apiKey: createApiKey(async () => apiKey, time),
    httpGet: createHttpGet(agents, '0.0.0-test'),
    time,
  });
  const handler = createArchiveHandler({
    telnyx,
    lowLaneTelnyx: telnyx,
    download: createDownload({
      policy,
      httpGet: createGuardedHttpGet(policy, '0.0.0-test', monotonic),
      time,
    }),
    bucket,
    receipts: createReceipts(bucket),
    lanes: [{ name: 'documents', queueUrl: 'documents', deadLetterQueueUrl: 'dead-letters', live: true }],
    sqs: { send: async () => ({}) } as unknown as Pick<SQSClient, 'send'>,
    timings: retryTimings,
    log: createLog({ name: 'test', write: (line) => lines.push(line), now: time.now }),
    time,
    random: () => 0,
    archiveInfected: false,
    maxDocumentBytes: singlePutBytes,
    version: '0.0.0-test',
  });
  const add = async (bytes = someBytes(20_000)) => (await standIn.documents.add('letter.pdf', bytes, {})).id;
  const archive = async (...ids: string[]) => {
    const end = time.monotonic() + timeouts.archiveMs;
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
  const drop = (how: Parameters<DroppingProxy['drop']>[0]) => {
    for (const proxy of Object.values(proxies)) proxy.drop(how);
  };
  const usedAfterDrop = () =>
    Object.fromEntries(Object.entries(proxies).map(([name, { seen }]) => [name, seen.usedAfterDrop]));
  return {
    add,
    archive,
    bucket,
    receipts: createReceipts(bucket),
    lines,
    proxies,
    drop,
    usedAfterDrop,
    pause: (ms: number) => {
      paused += ms;
    },
  };
}

describe('when all idle connections were dropped, a document is archived in its first receive', () => {
  it('if a write to them is reset at once', async () => {
    const { add, archive, receipts, drop, lines } = await startWarm();
    const id = await add();

    drop('reset');

    expect(await archive(id)).toEqual([]);
    expect(await receipts.exists(id, never)).toBe(true);
    expect(lines.join()).not.toContain('Trying again');
  });

  it('if they stay silent for ever, without waiting for any of them', async () => {
    const { add, archive, receipts, drop, pause, usedAfterDrop } = await startWarm();
    const id = await add();

    drop('silence');
    pause(anHour);
    const began = time.monotonic();

    expect(await archive(id)).toEqual([]);
    expect(time.monotonic() - began).toBeLessThan(3_000);
    expect(await receipts.exists(id, never)).toBe(true);
    expect(usedAfterDrop()).toEqual({ bucket: 0, storage: 0, telnyx: 0 });
  });

  it('if a whole batch meets them at the same time', async () => {
    const { add, archive, drop, lines } = await startWarm();
    const ids = await Promise.all(Array.from({ length: concurrency.batchSize }, () => add()));

    drop('reset');

    expect(await archive(...ids)).toEqual([]);
    expect(lines.join()).not.toContain('Trying again');
  });
});

describe('an upload that meets a dropped connection', () => {
  it('fails at once, since its bytes cannot be sent twice, and the next upload meets no other', async () => {
    const { bucket, drop, proxies } = await startWarm();
    const bytes = someBytes(20_000);
    const put = (body: Readable | Buffer) =>
      bucket.putOnce(
        {
          key: 'documents/one',
          body,
          bytes: bytes.length,
          sha256: sha256(bytes),
          contentType: 'text/plain',
        },
        never,
      );

    drop('reset');
    const { connections } = proxies.bucket.seen;

    await expect(put(Readable.from([bytes]))).rejects.toHaveProperty('code', 'BucketUnavailable');
    expect(proxies.bucket.seen.connections).toBe(connections);
    expect(await put(Readable.from([bytes]))).toMatchObject({ bytes: bytes.length });
    expect(proxies.bucket.seen.usedAfterDrop).toBe(1);
  });

  it('is repeated at once where it is no stream', async () => {
    const { bucket, drop, proxies } = await startWarm();
    const bytes = someBytes(2_000);

    drop('reset');
    const stored = await bucket.putOnce(
      { key: 'documents/one', body: bytes, bytes: 2_000, sha256: sha256(bytes), contentType: 'text/plain' },
      never,
    );

    expect(stored).toMatchObject({ bytes: 2_000 });
    expect(proxies.bucket.seen.usedAfterDrop).toBe(1);
  });
});

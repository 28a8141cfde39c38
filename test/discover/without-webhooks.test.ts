/** Telnyx, S3 and SQS behind real sockets, the deployed handlers between, and not one webhook. */
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished, vi } from 'vitest';
import { createDownload, createGuardedHttpGet } from '../../functions/archive/download.ts';
import { createArchiveHandler } from '../../functions/archive/handler.ts';
import { createReceipts, type Receipt } from '../../functions/bucket/receipts.ts';
import { createS3Client } from '../../functions/bucket/s3-client.ts';
import { createBucket } from '../../functions/bucket/store.ts';
import { createDiscoverHandler } from '../../functions/discover/handler.ts';
import { createHttpGet } from '../../functions/http.ts';
import { retryTimings, singlePutBytes, timeouts } from '../../functions/limits.ts';
import { createLog } from '../../functions/log.ts';
import { createSender, type SendMessages } from '../../functions/queue/send.ts';
import { createApiKey } from '../../functions/telnyx/api-key.ts';
import { createTelnyxClient } from '../../functions/telnyx/client.ts';
import { sleep, systemTime as time } from '../../functions/time.ts';
import { pollQueue } from '../../local/lambda/event-source-mapping.ts';
import { startQueues } from '../../local/queues.ts';
import { startS3 } from '../../local/s3/server.ts';
import { scatteredFaults } from '../../local/telnyx/faults.ts';
import { startStandIn, storageBucket } from '../../local/telnyx/stand-in.ts';

const credentials = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'a-secret-of-the-test' };
const apiKey = 'KEY0123456789ABCDEF';
const sweepIntervalMs = 400;

async function startStack() {
  const directory = await mkdtemp(join(tmpdir(), 'discover-test-'));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  const storage = join(directory, storageBucket);
  await mkdir(join(directory, 'archive'), { recursive: true });
  const s3 = await startS3({
    buckets: { archive: join(directory, 'archive'), [storageBucket]: storage },
    credentials: [credentials],
    time,
  });
  onTestFinished(() => s3.close());
  const folder = join(directory, 'documents');
  await mkdir(folder);
  const standIn = await startStandIn({
    apiKey,
    storage,
    folder,
    presign: s3.presignGet,
    time,
    random: Math.random,
    onUnreadable: () => undefined,
  });
  onTestFinished(() => standIn.close());
  const queues = await startQueues();
  onTestFinished(() => queues.close());
  const s3Client = createS3Client({ endpoint: s3.endpoint, region: 'us-east-1', credentials });
  onTestFinished(() => s3Client.destroy());
  const sqs = queues.createClient();
  onTestFinished(() => sqs.destroy());

  const bucket = createBucket({ s3: s3Client, name: 'archive', time });
  const agents = { http: new HttpAgent({ keepAlive: true }), https: new HttpsAgent() };
  onTestFinished(() => agents.http.destroy());
  const telnyx = createTelnyxClient({
    baseUrl: new URL(standIn.url),
    apiKey: createApiKey(async () => apiKey, time),
    httpGet: createHttpGet(agents, '0.0.0-test'),
    time,
  });
  const timings = { ...retryTimings, leastWaitMs: 200, longestLiveWaitMs: 200, longestWaitMs: 200 };
  const lines: Record<string, unknown>[] = [];
  const neighbours = {
    telnyx,
    lowLaneTelnyx: telnyx,
    bucket,
    sqs,
    timings,
    archiveInfected: false,
    maxDocumentBytes: singlePutBytes,
    log: createLog({ name: 'test', write: (line) => lines.push(JSON.parse(line)), now: time.now }),
    time,
    random: Math.random,
  };
  const { lanes } = queues;
  const policy = { hosts: [], trustedOrigin: s3.endpoint };
  const archive = createArchiveHandler({
    ...neighbours,
    download: createDownload({ policy, httpGet: createGuardedHttpGet(policy, '0.0.0-test'), time }),
    receipts: createReceipts(bucket),
    lanes: [lanes.documents, lanes.backfill],
    version: '0.0.0-test',
  });
  const send = createSender(sqs);
  const firstQueuedBy = new Map<string, number>();
  const sendAndRemember: SendMessages = (queueUrl, messages, signal) => {
    for (const message of messages) {
      if (message.kind !== 'document' || firstQueuedBy.has(message.documentId)) continue;
      firstQueuedBy.set(message.documentId, Date.parse(message.requestedAt));
    }
    return send(queueUrl, messages, signal);
  };
  const discover = createDiscoverHandler({
    ...neighbours,
    send: sendAndRemember,
    documentsQueueUrl: lanes.documents.queueUrl,
    backfillQueueUrl: lanes.backfill.queueUrl,
    spansQueueUrl: lanes.spans.queueUrl,
    lanes: [lanes.discovery],
  });
  const mappings = [
    pollQueue({
      ...lanes.documents,
      sqs,
      handler: archive,
      functionName: 'archive',
      timeoutMs: timeouts.archiveMs,
      maximumConcurrency: 2,
      time,
      onError: (error) => lines.push({ error: String(error) }),
    }),
    pollQueue({
      ...lanes.discovery,
      sqs,
      handler: discover,
      functionName: 'discover',
      timeoutMs: timeouts.discoverMs,
      // One sweep after the other, so that each finds what it is the first to see.
      batchSize: 1,
      maximumConcurrency: 1,
      time,
      onError: (error) => lines.push({ error: String(error) }),
    }),
  ];
  onTestFinished(async () => {
    await Promise.all(mappings.map((mapping) => mapping.stop()));
  });

  return {
    standIn,
    lines,
    firstQueuedBy,
    sweep: async (requestedAt: number) => {
      const message = { v: 1, kind: 'recent', requestedAt: new Date(requestedAt).toISOString() } as const;
      await send(lanes.discovery.queueUrl, [message], new AbortController().signal);
    },
    receipt: async (id: string): Promise<Receipt> =>
      JSON.parse(await readFile(join(directory, 'archive', 'receipts', `${id}.json`), 'utf8')),
  };
}

it('archives every document at the first sweep after it appeared, though Telnyx fails now and then', async () => {
  const { standIn, sweep, receipt, lines, firstQueuedBy } = await startStack();
  standIn.faults.add(...scatteredFaults);
  const sweeps: number[] = [];
  const appeared = new Map<string, number>();

  for (let round = 0; round < 6; round += 1) {
    for (let count = 0; count < 5; count += 1) {
      const { id, createdAt } = await standIn.documents.add(
        `letter-${round}-${count}.pdf`,
        randomBytes(20_000),
      );
      appeared.set(id, createdAt);
      await sleep(time, sweepIntervalMs / 6);
    }
    sweeps.push(time.now());
    await sweep(sweeps.at(-1) ?? 0);
  }

  const receipts = await vi.waitFor(() => Promise.all([...appeared.keys()].map((id) => receipt(id))), {
    timeout: 40_000,
    interval: 100,
  });
  const late = [...appeared].filter(([id, at]) => {
    const firstSweep = sweeps.find((requestedAt) => requestedAt >= at) ?? 0;
    return (firstQueuedBy.get(id) ?? Number.POSITIVE_INFINITY) > firstSweep;
  });
  expect(late).toEqual([]);
  expect(new Set(receipts.map(({ request }) => request.trigger))).toEqual(new Set(['sweep']));
  expect(lines.filter((line) => 'error' in line)).toEqual([]);
});

/** The deployed handlers with Telnyx, S3 and SQS behind real sockets, without any webhook. */
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SendMessageBatchCommand, type SQSClient } from '@aws-sdk/client-sqs';
import { expect, it, onTestFinished, vi } from 'vitest';
import { assembleArchive } from '../../functions/archive/assemble.ts';
import { archiveSettings } from '../../functions/archive/settings.ts';
import type { Receipt } from '../../functions/bucket/receipts.ts';
import { createS3Client } from '../../functions/bucket/s3-client.ts';
import { createAgents } from '../../functions/connections.ts';
import { assembleDiscover } from '../../functions/discover/assemble.ts';
import { createHttpGet } from '../../functions/http.ts';
import { retryTimings, timeouts } from '../../functions/limits.ts';
import { createSender } from '../../functions/queue/send.ts';
import { defaultsOf } from '../../functions/settings.ts';
import { sleep, systemTime as time } from '../../functions/time.ts';
import { pollQueue } from '../../local/lambda/event-source-mapping.ts';
import { startQueues } from '../../local/queues.ts';
import { startS3 } from '../../local/s3/server.ts';
import { scatteredFaults } from '../../local/telnyx/faults.ts';
import { startStandIn, storageBucket } from '../../local/telnyx/stand-in.ts';

const credentials = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'a-secret-of-the-test' };
const apiKey = 'KEY0123456789ABCDEF';
const sweepIntervalMs = 400;

/** Passes all commands on, and records the `requestedAt` of the first message sent for each document. */
function observeSends(client: SQSClient) {
  const firstQueuedBy = new Map<string, number>();
  const send = (...request: Parameters<SQSClient['send']>) => {
    const [command] = request;
    const entries = command instanceof SendMessageBatchCommand ? command.input.Entries : undefined;
    for (const { MessageBody = '' } of entries ?? []) {
      const { documentId, requestedAt } = JSON.parse(MessageBody);
      if (!firstQueuedBy.has(documentId)) firstQueuedBy.set(documentId, Date.parse(requestedAt));
    }
    return client.send(...request);
  };
  return { sqs: { send } as unknown as Pick<SQSClient, 'send'>, firstQueuedBy };
}

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
    onSkipped: () => undefined,
  });
  onTestFinished(() => standIn.close());
  const queues = await startQueues();
  onTestFinished(() => queues.close());
  const s3Client = createS3Client({ endpoint: s3.endpoint, region: 'us-east-1', credentials });
  onTestFinished(() => s3Client.destroy());
  const sqs = queues.createClient();
  onTestFinished(() => sqs.destroy());

  const agents = createAgents();
  onTestFinished(() => agents.http.destroy());
  const { lanes } = queues;
  const settings = {
    ...defaultsOf(archiveSettings),
    archiverName: 'test',
    version: '0.0.0-test',
    bucketName: 'archive',
    // The key is passed directly.
    apiKeySecretArn: '',
    telnyxUrl: new URL(standIn.url),
    downloadHosts: [],
    trustedDownloadOrigin: new URL(s3.endpoint),
    documentsQueueUrl: lanes.documents.queueUrl,
    documentsDeadLetterQueueUrl: lanes.documents.deadLetterQueueUrl,
    backfillQueueUrl: lanes.backfill.queueUrl,
    backfillDeadLetterQueueUrl: lanes.backfill.deadLetterQueueUrl,
    discoveryQueueUrl: lanes.discovery.queueUrl,
    discoveryDeadLetterQueueUrl: lanes.discovery.deadLetterQueueUrl,
    spansQueueUrl: lanes.spans.queueUrl,
    spansDeadLetterQueueUrl: lanes.spans.deadLetterQueueUrl,
  };
  const lines: Record<string, unknown>[] = [];
  const { sqs: observedSqs, firstQueuedBy } = observeSends(sqs);
  const services = {
    readSecret: async () => apiKey,
    telnyxGet: createHttpGet(agents, settings.version),
    s3: s3Client,
    sqs: observedSqs,
    writeLog: (line: string) => lines.push(JSON.parse(line)),
    time,
    random: Math.random,
    timings: { ...retryTimings, minWaitMs: 200, maxLiveWaitMs: 200, maxWaitMs: 200 },
  };
  const archive = assembleArchive(settings, services);
  const discover = assembleDiscover(settings, services);
  const send = createSender(sqs);
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
      // Sweeps run one at a time, so that the first sweep after a document appeared is the one that queues it.
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

it('archives every document from the first sweep after its upload, with no webhook and intermittent Telnyx failures', async () => {
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

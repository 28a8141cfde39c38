/** The code under test, wired as each function's `lambda.ts` does it, but for what the simulated world stands in for. */
import type { SQSEvent } from 'aws-lambda';
import type { Account } from './account.ts';
import { largestDocument } from './account.ts';
import { archiverName } from './alarms.ts';
import type { Container } from './container.ts';
import type { Handler } from './lambda.ts';
import { type Bucket, createS3 } from './s3-client.ts';
import { createSecrets } from './secrets-client.ts';
import { createSqs } from './sqs-client.ts';
import { createStorage } from './storage.ts';
import type { Surroundings } from './surroundings.ts';
import { createTelnyxApi, type Habits, telnyxUrl } from './telnyx-api.ts';
import { isLive, type LaneName, type Scene } from './watch.ts';

/** The folder `functions/` of this checkout. */
export const functionsFolder = new URL('../../functions/', import.meta.url);

export type Archiver = Awaited<ReturnType<typeof loadArchiver>>;

/**
 * Loads the functions from a folder: this checkout's, or a copy with a bug in it.
 *
 * @param folder ends in a slash
 */
export async function loadArchiver(folder: URL) {
  const load = (path: string) => import(/* @vite-ignore */ new URL(path, folder).href);
  const [
    webhook,
    webhookSettings,
    archive,
    download,
    discover,
    store,
    receipts,
    send,
    apiKey,
    client,
    pacing,
    secret,
    log,
    limits,
  ] = await Promise.all([
    load('webhook/handler.ts') as Promise<typeof import('../../functions/webhook/handler.ts')>,
    load('webhook/settings.ts') as Promise<typeof import('../../functions/webhook/settings.ts')>,
    load('archive/handler.ts') as Promise<typeof import('../../functions/archive/handler.ts')>,
    load('archive/download.ts') as Promise<typeof import('../../functions/archive/download.ts')>,
    load('discover/handler.ts') as Promise<typeof import('../../functions/discover/handler.ts')>,
    load('bucket/store.ts') as Promise<typeof import('../../functions/bucket/store.ts')>,
    load('bucket/receipts.ts') as Promise<typeof import('../../functions/bucket/receipts.ts')>,
    load('queue/send.ts') as Promise<typeof import('../../functions/queue/send.ts')>,
    load('telnyx/api-key.ts') as Promise<typeof import('../../functions/telnyx/api-key.ts')>,
    load('telnyx/client.ts') as Promise<typeof import('../../functions/telnyx/client.ts')>,
    load('telnyx/pacing.ts') as Promise<typeof import('../../functions/telnyx/pacing.ts')>,
    load('telnyx/secret.ts') as Promise<typeof import('../../functions/telnyx/secret.ts')>,
    load('log.ts') as Promise<typeof import('../../functions/log.ts')>,
    load('limits.ts') as Promise<typeof import('../../functions/limits.ts')>,
  ]);
  return {
    ...webhook,
    ...webhookSettings,
    ...archive,
    ...download,
    ...discover,
    ...store,
    ...receipts,
    ...send,
    ...apiKey,
    ...client,
    ...pacing,
    ...secret,
    ...log,
    ...limits,
  };
}

/** What the functions find around them. */
export interface Neighbourhood {
  archiver: Archiver;
  account: Account;
  habits: Habits;
  bucket: Bucket;
  scene: Scene;
  surroundings: Surroundings;
}

/** @param publicKeys comma-separated, as in the function's environment */
export function startWebhook(container: Container, neighbourhood: Neighbourhood, publicKeys: string) {
  const { archiver, scene } = neighbourhood;
  return archiver.createWebhookHandler({
    ...archiver.readWebhookSettings({
      ARCHIVER_NAME: archiverName,
      DOCUMENTS_QUEUE_URL: scene.queues.documents.url,
      DISCOVERY_QUEUE_URL: scene.queues.discovery.url,
      TELNYX_PUBLIC_KEYS: publicKeys,
    }),
    send: archiver.createSender(sqsOf(container, neighbourhood)),
    ...logAndTime(container, archiver),
  });
}

export function startArchive(container: Container, neighbourhood: Neighbourhood): Handler<SQSEvent> {
  const { archiver, account, scene, surroundings } = neighbourhood;
  const { time, log } = logAndTime(container, archiver);
  const bucket = bucketOf(container, neighbourhood);
  return archiver.createArchiveHandler({
    ...telnyxOf(container, neighbourhood),
    download: archiver.createDownload({
      policy: { hosts: archiver.defaultDownloadHosts, trustedOrigin: undefined },
      httpGet: createStorage(container, account, surroundings),
      time,
    }),
    bucket,
    receipts: archiver.createReceipts(bucket),
    lanes: lanesOf(scene, ['documents', 'backfill']),
    sqs: sqsOf(container, neighbourhood),
    timings: archiver.retryTimings,
    log,
    time,
    random: surroundings.random.next,
    archiveInfected: false,
    maxDocumentBytes: largestDocument,
    version: 'simulated',
  });
}

export function startDiscover(container: Container, neighbourhood: Neighbourhood): Handler<SQSEvent> {
  const { archiver, scene, surroundings } = neighbourhood;
  const sqs = sqsOf(container, neighbourhood);
  return archiver.createDiscoverHandler({
    ...telnyxOf(container, neighbourhood),
    bucket: bucketOf(container, neighbourhood),
    send: archiver.createSender(sqs),
    documentsQueueUrl: scene.queues.documents.url,
    backfillQueueUrl: scene.queues.backfill.url,
    spansQueueUrl: scene.queues.spans.url,
    archiveInfected: false,
    maxDocumentBytes: largestDocument,
    lanes: lanesOf(scene, ['discovery', 'spans']),
    sqs,
    timings: archiver.retryTimings,
    random: surroundings.random.next,
    ...logAndTime(container, archiver),
  });
}

function logAndTime(container: Container, archiver: Archiver) {
  const { time } = container;
  return {
    time,
    log: archiver.createLog({ name: archiverName, write: (line) => container.write(line), now: time.now }),
  };
}

function telnyxOf(container: Container, { archiver, account, habits, surroundings }: Neighbourhood) {
  const { time } = container;
  const secrets = createSecrets(container, account, surroundings);
  const options = {
    baseUrl: telnyxUrl,
    apiKey: archiver.createApiKey(archiver.readSecretOf(secrets, 'the secret'), time),
    httpGet: createTelnyxApi(container, account, habits, surroundings),
    time,
  };
  const { backfill, spans } = archiver.concurrency;
  const pacer = archiver.createPacer({
    invocations: backfill + spans,
    time,
    random: surroundings.random.next,
  });
  return {
    telnyx: archiver.createTelnyxClient(options),
    lowLaneTelnyx: archiver.createTelnyxClient({ ...options, pacer }),
  };
}

function bucketOf(container: Container, { archiver, bucket, surroundings }: Neighbourhood) {
  const { name, owner } = bucket;
  return archiver.createBucket({
    s3: createS3(container, bucket, surroundings),
    name,
    owner,
    time: container.time,
  });
}

function sqsOf(container: Container, { scene, surroundings }: Neighbourhood) {
  const { queues, deadLetters } = scene;
  return createSqs(container, [...Object.values(queues), ...Object.values(deadLetters)], surroundings);
}

function lanesOf({ queues, deadLetters }: Scene, names: readonly LaneName[]) {
  return names.map((name) => ({
    name,
    live: isLive(name),
    queueUrl: queues[name].url,
    deadLetterQueueUrl: deadLetters[name].url,
  }));
}

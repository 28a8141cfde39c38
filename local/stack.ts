/** The whole archiver on one machine: the real handlers of the functions, with local services that need no account. */

import type { Bucket } from '../functions/bucket/store.ts';
import type { LaneName } from '../functions/queue/lanes.ts';
import { queueDepth } from '../functions/queue/queue-depth.ts';
import { createSender, type SendMessages } from '../functions/queue/send.ts';
import { lockArchive } from './archive-lock.ts';
import { type FunctionsOptions, startFunctions } from './functions.ts';
import { openIdentityPort } from './identity-port.ts';
import { openMetricsPort } from './lambda/metrics-port.ts';
import type { LocalLane } from './queues.ts';
import { localBucket } from './s3/archive-bucket.ts';
import type { S3Server } from './s3/server.ts';
import type { Credentials } from './s3/signature.ts';
import { type Defer, type ServiceOptions, type Services, startServices } from './services.ts';
import { readSession, removeSession, writeSession } from './session.ts';
import { createSweepDates } from './sweep-dates.ts';
import type { Document } from './telnyx/documents.ts';
import { createSigningKey, exportSeed, type SigningKey } from './telnyx/signing.ts';
import type { StandIn } from './telnyx/stand-in.ts';
import { postEvent, uploadEvent } from './telnyx/upload-event.ts';

export interface StackOptions extends ServiceOptions, FunctionsOptions {
  /** Public keys of Telnyx that the webhook accepts in addition to the stack's own; base64 of 32 bytes each. @default none */
  publicKeys?: readonly string[];
  /** Whether the stand-in sends an event for each new document. */
  events: boolean;
  /** Called with each line that a function logs. */
  onLog: (line: string) => void;
}

export interface Stack {
  addresses: {
    webhookUrl: string;
    telnyxUrl: string;
    s3Endpoint: string;
    sqsEndpoint: string;
    metricsUrl: string;
    archive: string;
  };
  /** Key to sign events for this stack's webhook. Created at each start. */
  signingKey: SigningKey;
  /** Of the local S3 and SQS. Created at each start. */
  credentials: Credentials;
  /** API key of the stand-in, created at each start; undefined with the real Telnyx. */
  standInKey: string | undefined;
  lanes: Record<LaneName, LocalLane>;
  send: SendMessages;
  bucket: Bucket;
  s3: S3Server;
  standIn: StandIn | undefined;
  /** Queues every document at Telnyx that has no receipt, on the backfill lane. */
  discoverAll(): Promise<void>;
  /** Queues a sweep, as the schedule does, unless one is still queued. */
  sweep(): Promise<void>;
  /** Queues the start of a run of the audit, as the schedule does, unless a run is still queued or under way. */
  audit(): Promise<void>;
  /** Messages in all lanes: visible, in flight and delayed. */
  messageCount(): Promise<number>;
  /** Messages in all dead-letter queues. */
  deadLetterCount(): Promise<number>;
  /** Waits briefly for running invocations, then closes everything. */
  stop(): Promise<void>;
}

export async function startStack(options: StackOptions): Promise<Stack> {
  const closers: (() => unknown)[] = [];
  const defer: Defer = (close) => {
    closers.push(close);
  };
  const stop = async () => {
    for (const close of closers.splice(0).reverse()) await close();
  };
  try {
    return await start(options, defer, stop);
  } catch (error) {
    await stop();
    throw error;
  }
}

async function start(options: StackOptions, defer: Defer, stop: () => Promise<void>): Promise<Stack> {
  const { archive, time, onProblem } = options;
  await claimArchive(archive, defer);
  let sendEventFor: (document: Document) => unknown = () => undefined;
  const services = await startServices(options, (document) => sendEventFor(document), defer);
  const { queues, s3, standIn, bucket, credentials } = services;
  const standInKey = standIn && services.telnyx.apiKey;
  const metrics = await openMetricsPort();
  defer(() => metrics.close());
  const writeLog = (line: string) => {
    metrics.read(line);
    options.onLog(line);
  };
  const signingKey = createSigningKey();
  const publicKeys = [signingKey.publicKey, ...(options.publicKeys ?? [])];
  const webhook = await startFunctions(services, publicKeys, writeLog, options, defer);
  const send = createSender(services.ownSqs);
  if (options.events) {
    sendEventFor = (document) =>
      postEvent(uploadEvent(document, time.now()), webhook.url, signingKey, time).catch((error: unknown) =>
        onProblem(`The event for ${document.fileName} was not delivered: ${error}`),
      );
  }

  const shared = {
    webhookUrl: webhook.url,
    telnyxUrl: services.telnyx.url.href,
    sqsEndpoint: queues.endpoint,
    metricsUrl: metrics.url,
  };
  const { identity, close: closeIdentityPort } = await openIdentityPort();
  defer(closeIdentityPort);
  await writeSession(archive, {
    ...shared,
    pid: process.pid,
    identity,
    signingKey: exportSeed(signingKey),
    ...(standInKey !== undefined && { standInKey }),
    s3Endpoint: s3.endpoint,
    ...(options.bucket === undefined && { bucket: localBucket }),
    credentials,
    lanes: queues.lanes,
  });
  defer(() => removeSession(archive));
  return {
    ...createQueueOperations(services, send, time.now),
    addresses: { ...shared, s3Endpoint: s3.endpoint, archive: services.target.place },
    signingKey,
    credentials,
    standInKey,
    lanes: queues.lanes,
    send,
    bucket,
    s3,
    standIn,
    stop,
  };
}

/** @throws Error if another stack runs on the archive */
async function claimArchive(archive: string, defer: Defer): Promise<void> {
  const release = await lockArchive(archive);
  if (release === undefined) {
    const pid = (await readSession(archive))?.pid;
    throw new Error(
      `A local stack is already running on ${archive}${pid === undefined ? '' : ` (process ${pid})`}. Stop it first, or pass another folder with --archive.`,
    );
  }
  defer(release);
}

type Discovery = { kind: 'recent' } | { kind: 'span'; createdAfter: string; createdBefore: string };

/** Queue operations of the stack. */
function createQueueOperations(
  { queues: { lanes }, ownSqs }: Services,
  send: SendMessages,
  now: () => number,
): Pick<Stack, 'discoverAll' | 'sweep' | 'audit' | 'messageCount' | 'deadLetterCount'> {
  const sweepDate = createSweepDates();
  const discover = (request: Discovery, requestedAt = now()) =>
    send(
      lanes[request.kind === 'span' ? 'spans' : 'discovery'].queueUrl,
      [{ v: 1, ...request, requestedAt: new Date(requestedAt).toISOString() }],
      new AbortController().signal,
    );
  const countAll = async (urls: readonly string[]) => {
    const counts = await Promise.all(urls.map((url) => queueDepth(ownSqs, url)));
    return counts.reduce((sum, count) => sum + count, 0);
  };
  return {
    discoverAll: () =>
      discover({
        kind: 'span',
        createdAfter: '1970-01-01T00:00:00Z',
        createdBefore: '2100-01-01T00:00:00Z',
      }),
    sweep: async () => {
      // Sweeps must not pile up on a busy machine, where one may take longer than the interval.
      if ((await queueDepth(ownSqs, lanes.discovery.queueUrl)) === 0)
        await discover({ kind: 'recent' }, sweepDate(now()));
    },
    audit: async () => {
      if ((await queueDepth(ownSqs, lanes.audit.queueUrl)) > 0) return;
      const requestedAt = new Date(now()).toISOString();
      await send(
        lanes.audit.queueUrl,
        [{ v: 1, kind: 'audit-start', requestedAt }],
        new AbortController().signal,
      );
    },
    messageCount: () => countAll(Object.values(lanes).map(({ queueUrl }) => queueUrl)),
    deadLetterCount: () => countAll(Object.values(lanes).map(({ deadLetterQueueUrl }) => deadLetterQueueUrl)),
  };
}

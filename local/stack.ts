/**
 * The whole archiver on one machine: the functions' own handlers between local queues, a bucket of plain files and
 * a stand-in for Telnyx, or the real Telnyx.
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SQSEvent } from 'aws-lambda';
import { assembleArchive } from '../functions/archive/assemble.ts';
import { type Bucket, createBucket } from '../functions/bucket/store.ts';
import { createAgents } from '../functions/connections.ts';
import { assembleDiscover } from '../functions/discover/assemble.ts';
import { createHttpGet, type HttpAnswer, type HttpGet } from '../functions/http.ts';
import {
  concurrency,
  defaultDownloadHosts,
  type RetryTimings,
  singlePutBytes,
  timeouts,
} from '../functions/limits.ts';
import type { LaneName } from '../functions/queue/lanes.ts';
import { createSender, type SendMessages } from '../functions/queue/send.ts';
import type { Random, Time } from '../functions/time.ts';
import { assembleWebhook } from '../functions/webhook/assemble.ts';
import { readPublicKeys } from '../functions/webhook/verify.ts';
import { pollQueue } from './lambda/event-source-mapping.ts';
import type { LambdaHandler } from './lambda/invoke.ts';
import { openWebhookPort } from './lambda/webhook-port.ts';
import { openMetricsPort } from './metrics.ts';
import { queueDepth } from './queue-depth.ts';
import { type LocalLane, startQueues } from './queues.ts';
import { type ArchiveBucket, folderBucket, localBucket, localCredentials } from './s3/archive-bucket.ts';
import type { S3Fault } from './s3/faults.ts';
import type { S3RequestInfo } from './s3/request.ts';
import { type S3Server, startS3 } from './s3/server.ts';
import { removeSession, writeSession } from './session.ts';
import { createSweepDates } from './sweep-dates.ts';
import type { Document } from './telnyx/documents.ts';
import type { FaultRule } from './telnyx/faults.ts';
import type { RateLimit } from './telnyx/rate-limit.ts';
import { createSigningKey, exportSeed, type SigningKey } from './telnyx/signing.ts';
import { type StandIn, startStandIn, storageBucket, storedDocumentId } from './telnyx/stand-in.ts';
import { postEvent, uploadEvent } from './telnyx/upload-event.ts';

export interface StackOptions {
  /** Absolute path of the folder that the archive is in. */
  archive: string;
  /** A bucket of another S3, in place of the folder. */
  bucket?: ArchiveBucket | undefined;
  /** The real Telnyx, or whatever speaks its API, in place of the stand-in. */
  telnyx?: { url: URL; apiKey: string } | undefined;
  /** Absolute path of a folder whose files are the stand-in's documents. */
  documents?: string | undefined;
  faults?: readonly FaultRule[];
  /** What the stand-in allows, and states in each answer. @default more than anybody asks for */
  rateLimit?: RateLimit | undefined;
  /** Told of each answer of Telnyx to a function. */
  onTelnyxAnswer?: ((answer: TelnyxAnswer) => void) | undefined;
  /** Opens what the functions' requests to a neighbour on this machine go through, such as TLS. @default nothing */
  openFront?: ((neighbour: Neighbour, origin: string) => Promise<Front>) | undefined;
  /** How many invocations may run side by side for each queue. @default `localConcurrency` */
  concurrency?: Readonly<Record<LaneName, number>>;
  /** What goes wrong with a request to the archive's bucket or to the stand-in's storage. @default nothing */
  s3Fault?: (request: S3RequestInfo) => S3Fault | undefined;
  /** Telnyx's public keys that the webhook accepts beside the stack's own; base64 of 32 bytes each. */
  publicKeys?: readonly string[];
  /** @default any free port */
  webhookPort?: number | undefined;
  /** Whether the stand-in announces each document that appears with an event. */
  events: boolean;
  /** When messages whose receive failed come back, and when they are given up. */
  timings: RetryTimings;
  /** Time limits of single invocations, in milliseconds. @default five minutes each */
  timeLimits?: { archiveMs: number; discoverMs: number };
  /** Takes each line that a function logs. */
  onLog: (line: string) => void;
  /** Told of what goes wrong outside of the functions. */
  onProblem: (problem: string) => void;
  version: string;
  time: Time;
  random: Random;
}

export interface TelnyxAnswer extends Pick<HttpAnswer, 'status' | 'headers'> {
  /** Whether it is to a live lane. */
  live: boolean;
}

/** `storage` is the stand-in's, `bucket` the archive's. */
export type Neighbour = 'telnyx' | 'storage' | 'bucket' | 'queues';

export interface Front {
  /** Such as `https://127.0.0.1:8443`. */
  origin: string;
  close(): Promise<void>;
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
  /** Throw-away: signs the events that are sent to the webhook here. */
  signingKey: SigningKey;
  lanes: Record<LaneName, LocalLane>;
  send: SendMessages;
  bucket: Bucket;
  s3: S3Server;
  standIn: StandIn | undefined;
  /** Has every document queued that Telnyx has and the archive has not, on the backfill lane. */
  discoverAll(): Promise<void>;
  /** Does what the schedule does: has the recent past looked through, unless that has yet to be done. */
  sweep(): Promise<void>;
  /** Messages in all lanes, in whatever state. */
  depth(): Promise<number>;
  deadLetters(): Promise<number>;
  /** Lets what is under way end, for a while, and frees everything. */
  stop(): Promise<void>;
}

/** What the stand-in takes for the account's API key. */
export const localApiKey = 'KEY-of-the-local-stand-in';

/** On one machine several invocations share what Lambda would give each of them: live documents get the most. */
const localConcurrency = { documents: 4, backfill: 2, discovery: 1, spans: 1 };
/** For invocations under way to end when the stack stops; what does not is archived at the next start. */
const graceMs = 1_500;
/** A slow line at home needs more time for ten documents of 20 MB than Lambda does; less than the visibility timeout. */
const localTimeoutMs = 5 * 60_000;

type Asked = { kind: 'recent' } | { kind: 'span'; createdAfter: string; createdBefore: string };

export async function startStack(options: StackOptions): Promise<Stack> {
  const { archive, time, random, onProblem } = options;
  const closers: (() => Promise<unknown> | unknown)[] = [];
  const stop = async () => {
    for (const close of closers.splice(0).reverse()) await close();
  };
  try {
    const storage = await mkdtemp(join(tmpdir(), 'telnyx-stand-in-'));
    closers.push(() => rm(storage, { recursive: true, force: true }));
    await mkdir(archive, { recursive: true });

    let standIn: StandIn | undefined;
    let announce: (document: Document) => unknown = () => undefined;
    const s3 = await startS3({
      buckets: { [localBucket]: archive, [storageBucket]: storage },
      credentials: [localCredentials],
      time,
      objectKey: (bucket, key) => (bucket === storageBucket ? storedDocumentId(key) : key),
      intercept: (request) =>
        options.s3Fault?.(request) ??
        (request.bucket === storageBucket ? standIn?.storageFault(request.key) : undefined),
      onError: (error) => onProblem(`The local S3 failed: ${error}`),
    });
    closers.push(() => s3.close());

    const queues = await startQueues();
    closers.push(() => queues.close());
    const originOf = async (neighbour: Neighbour, origin: string) => {
      const front = await options.openFront?.(neighbour, origin);
      closers.push(() => front?.close());
      return front?.origin ?? origin;
    };
    const sqs = queues.createClient(await originOf('queues', queues.endpoint), time.monotonic);
    closers.push(() => sqs.destroy());
    // The stack's own, in place of Scheduler, operator and console.
    const ownSqs = queues.createClient();
    closers.push(() => ownSqs.destroy());
    const storageOrigin = await originOf('storage', s3.endpoint);
    if (options.telnyx === undefined) {
      standIn = await startStandIn({
        apiKey: localApiKey,
        storage,
        presign: (name, key, { expiresInSeconds }) =>
          s3.presignGet(name, key, { expiresInSeconds, origin: storageOrigin }),
        time,
        random,
        folder: options.documents,
        faults: options.faults ?? [],
        ...(options.rateLimit ? { rateLimit: options.rateLimit } : {}),
        onAppeared: (document) => announce(document),
        onUnreadable: (path, error) => onProblem(`${path} cannot be read and is left out: ${error}`),
      });
      closers.push(() => standIn?.close());
    }
    const telnyxUrl = options.telnyx?.url ?? new URL(standIn?.url ?? '');
    const functionsTelnyxUrl = standIn
      ? new URL(telnyxUrl.pathname, await originOf('telnyx', telnyxUrl.origin))
      : telnyxUrl;
    const apiKey = options.telnyx?.apiKey ?? localApiKey;

    const archiveBucket =
      options.bucket ?? folderBucket(await originOf('bucket', s3.endpoint), archive, time.monotonic);
    closers.push(() => archiveBucket.client.destroy());
    const bucket = createBucket({ s3: archiveBucket.client, name: archiveBucket.name, time });
    const metrics = await openMetricsPort();
    closers.push(() => metrics.close());
    const writeLog = (line: string) => {
      metrics.read(line);
      options.onLog(line);
    };
    const agents = createAgents(undefined, time.monotonic);
    closers.push(() => {
      agents.https.destroy();
      agents.http.destroy();
    });

    const invocations = options.concurrency ?? localConcurrency;
    const httpGet = createHttpGet(agents, options.version);
    const telling =
      (live: boolean): HttpGet =>
      async (url, asked) => {
        const answer = await httpGet(url, asked);
        options.onTelnyxAnswer?.({ live, status: answer.status, headers: answer.headers });
        return answer;
      };
    const { documents, backfill, discovery, spans } = queues.lanes;
    const settings = {
      archiverName: 'local',
      bucketName: archiveBucket.name,
      bucketOwner: undefined,
      // The local stack passes the key itself.
      apiKeySecretArn: '',
      telnyxUrl: functionsTelnyxUrl,
      archiveInfected: false,
      maxDocumentBytes: singlePutBytes,
      lowLaneInvocations: invocations.backfill + invocations.spans,
      version: options.version,
      documentsQueueUrl: documents.queueUrl,
      documentsDeadLetterQueueUrl: documents.deadLetterQueueUrl,
      backfillQueueUrl: backfill.queueUrl,
      backfillDeadLetterQueueUrl: backfill.deadLetterQueueUrl,
      discoveryQueueUrl: discovery.queueUrl,
      discoveryDeadLetterQueueUrl: discovery.deadLetterQueueUrl,
      spansQueueUrl: spans.queueUrl,
      spansDeadLetterQueueUrl: spans.deadLetterQueueUrl,
      downloadHosts: defaultDownloadHosts,
      trustedDownloadOrigin: standIn && new URL(storageOrigin),
    };
    const neighbours = {
      readSecret: async () => apiKey,
      telnyxGet: telling(true),
      lowLaneTelnyxGet: telling(false),
      s3: archiveBucket.client,
      sqs,
      writeLog,
      time,
      random,
      timings: options.timings,
    };
    const lanes = Object.values(queues.lanes);
    const stopMappings: (() => Promise<void>)[] = [];
    closers.push(() =>
      Promise.race([
        Promise.all(stopMappings.map((stopMapping) => stopMapping())),
        new Promise<void>((resolve) => {
          time.after(graceMs, resolve);
        }),
      ]),
    );
    // Each invocation at a time has a handler of its own, as a container of Lambda: what one has learnt of Telnyx's rate
    // limit, the others do not know.
    const timeLimits = options.timeLimits ?? { archiveMs: localTimeoutMs, discoverMs: localTimeoutMs };
    const connect = (
      lane: LocalLane,
      functionName: 'archive' | 'discover',
      createHandler: () => LambdaHandler<SQSEvent>,
    ) => {
      const client = queues.createClient();
      const mappings = Array.from({ length: invocations[lane.name] }, () =>
        pollQueue({
          sqs: client,
          queueUrl: lane.queueUrl,
          queueArn: lane.queueArn,
          handler: createHandler(),
          functionName,
          timeoutMs: timeLimits[`${functionName}Ms`],
          batchSize: concurrency.batchSize,
          maximumConcurrency: 1,
          time,
          onError: (error) => onProblem(`${functionName}: ${error instanceof Error ? error.message : error}`),
        }),
      );
      stopMappings.push(async () => {
        await Promise.all(mappings.map((mapping) => mapping.stop()));
        client.destroy();
      });
    };
    connect(documents, 'archive', () => assembleArchive(settings, neighbours));
    connect(backfill, 'archive', () => assembleArchive(settings, neighbours));
    connect(discovery, 'discover', () => assembleDiscover(settings, neighbours));
    connect(spans, 'discover', () => assembleDiscover(settings, neighbours));
    const sendAsOperator = createSender(ownSqs);

    const signingKey = createSigningKey();
    const webhook = await openWebhookPort({
      handler: assembleWebhook(
        {
          ...settings,
          publicKeys: readPublicKeys([signingKey.publicKey, ...(options.publicKeys ?? [])]),
        },
        neighbours,
      ),
      timeoutMs: timeouts.webhookMs,
      time,
      port: options.webhookPort ?? 0,
    });
    closers.push(() => webhook.close());

    const sweepDate = createSweepDates();
    const discover = (asked: Asked, requestedAt = time.now()) =>
      sendAsOperator(
        queues.lanes[asked.kind === 'span' ? 'spans' : 'discovery'].queueUrl,
        [{ v: 1, ...asked, requestedAt: new Date(requestedAt).toISOString() }],
        new AbortController().signal,
      );
    if (options.events) {
      announce = (document) =>
        postEvent(uploadEvent(document, time.now()), webhook.url, signingKey, time).catch((error: unknown) =>
          onProblem(`The event for ${document.fileName} was not delivered: ${error}`),
        );
    }

    await writeSession(archive, {
      pid: process.pid,
      webhookUrl: webhook.url,
      signingKey: exportSeed(signingKey),
      telnyxUrl: telnyxUrl.href,
      standIn: standIn !== undefined,
      sqsEndpoint: queues.endpoint,
      lanes: queues.lanes,
      metricsUrl: metrics.url,
    });
    closers.push(() => removeSession(archive));

    const depthOf = async (urls: readonly string[]) => {
      const depths = await Promise.all(urls.map((url) => queueDepth(ownSqs, url)));
      return depths.reduce((sum, depth) => sum + depth, 0);
    };
    return {
      discoverAll: () =>
        discover({
          kind: 'span',
          createdAfter: '1970-01-01T00:00:00Z',
          createdBefore: '2100-01-01T00:00:00Z',
        }),
      sweep: async () => {
        // On a busy machine a sweep may take longer than the time to the next one: they are not to pile up.
        if ((await queueDepth(ownSqs, queues.lanes.discovery.queueUrl)) === 0)
          await discover({ kind: 'recent' }, sweepDate(time.now()));
      },
      addresses: {
        webhookUrl: webhook.url,
        telnyxUrl: telnyxUrl.href,
        s3Endpoint: s3.endpoint,
        sqsEndpoint: queues.endpoint,
        metricsUrl: metrics.url,
        archive: archiveBucket.place,
      },
      signingKey,
      lanes: queues.lanes,
      send: sendAsOperator,
      bucket,
      s3,
      standIn,
      depth: () => depthOf(lanes.map(({ queueUrl }) => queueUrl)),
      deadLetters: () => depthOf(lanes.map(({ deadLetterQueueUrl }) => deadLetterQueueUrl)),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

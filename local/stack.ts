/** The whole archiver on one machine: the functions' own handlers, and neighbours that need no account. */

import type { Bucket } from '../functions/bucket/store.ts';
import type { LaneName } from '../functions/queue/lanes.ts';
import { queueDepth } from '../functions/queue/queue-depth.ts';
import { createSender, type SendMessages } from '../functions/queue/send.ts';
import { type FunctionsOptions, startFunctions } from './functions.ts';
import { openMetricsPort } from './lambda/metrics-port.ts';
import { type Defer, type NeighbourOptions, type Neighbours, startNeighbours } from './neighbours.ts';
import type { LocalLane } from './queues.ts';
import type { S3Server } from './s3/server.ts';
import { removeSession, writeSession } from './session.ts';
import { createSweepDates } from './sweep-dates.ts';
import type { Document } from './telnyx/documents.ts';
import { createSigningKey, exportSeed, type SigningKey } from './telnyx/signing.ts';
import type { StandIn } from './telnyx/stand-in.ts';
import { postEvent, uploadEvent } from './telnyx/upload-event.ts';

export interface StackOptions extends NeighbourOptions, FunctionsOptions {
  /** Telnyx's public keys that the webhook accepts beside the stack's own; base64 of 32 bytes each. @default none */
  publicKeys?: readonly string[];
  /** Whether the stand-in sends an event for each document that appears. */
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
  /** Signs the events that are sent to this stack's webhook. Created at each start. */
  signingKey: SigningKey;
  lanes: Record<LaneName, LocalLane>;
  send: SendMessages;
  bucket: Bucket;
  s3: S3Server;
  standIn: StandIn | undefined;
  /** Queues every document at Telnyx that has no receipt, on the backfill lane. */
  discoverAll(): Promise<void>;
  /** Queues a sweep, as the schedule does, unless one is still queued. */
  sweep(): Promise<void>;
  /** Messages in all lanes: visible, in flight and delayed. */
  depth(): Promise<number>;
  deadLetters(): Promise<number>;
  /** Waits briefly for running invocations, then frees everything. */
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
  let announce: (document: Document) => unknown = () => undefined;
  const neighbours = await startNeighbours(options, (document) => announce(document), defer);
  const { queues, s3, standIn, bucket } = neighbours;
  const metrics = await openMetricsPort();
  defer(() => metrics.close());
  const writeLog = (line: string) => {
    metrics.read(line);
    options.onLog(line);
  };
  const signingKey = createSigningKey();
  const publicKeys = [signingKey.publicKey, ...(options.publicKeys ?? [])];
  const webhook = await startFunctions(neighbours, publicKeys, writeLog, options, defer);
  const send = createSender(neighbours.ownSqs);
  if (options.events) {
    announce = (document) =>
      postEvent(uploadEvent(document, time.now()), webhook.url, signingKey, time).catch((error: unknown) =>
        onProblem(`The event for ${document.fileName} was not delivered: ${error}`),
      );
  }

  const shared = {
    webhookUrl: webhook.url,
    telnyxUrl: neighbours.telnyx.url.href,
    sqsEndpoint: queues.endpoint,
    metricsUrl: metrics.url,
  };
  await writeSession(archive, {
    ...shared,
    pid: process.pid,
    signingKey: exportSeed(signingKey),
    standIn: standIn !== undefined,
    lanes: queues.lanes,
  });
  defer(() => removeSession(archive));
  return {
    ...queueing(neighbours, send, time.now),
    addresses: { ...shared, s3Endpoint: s3.endpoint, archive: neighbours.target.place },
    signingKey,
    lanes: queues.lanes,
    send,
    bucket,
    s3,
    standIn,
    stop,
  };
}

type Discovery = { kind: 'recent' } | { kind: 'span'; createdAfter: string; createdBefore: string };

/** What the stack's user puts into the queues, and sees of them. */
function queueing(
  { queues: { lanes }, ownSqs }: Neighbours,
  send: SendMessages,
  now: () => number,
): Pick<Stack, 'discoverAll' | 'sweep' | 'depth' | 'deadLetters'> {
  const sweepDate = createSweepDates();
  const discover = (asked: Discovery, requestedAt = now()) =>
    send(
      lanes[asked.kind === 'span' ? 'spans' : 'discovery'].queueUrl,
      [{ v: 1, ...asked, requestedAt: new Date(requestedAt).toISOString() }],
      new AbortController().signal,
    );
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
      // On a busy machine a sweep may take longer than the interval: they must not pile up.
      if ((await queueDepth(ownSqs, lanes.discovery.queueUrl)) === 0)
        await discover({ kind: 'recent' }, sweepDate(now()));
    },
    depth: () => depthOf(Object.values(lanes).map(({ queueUrl }) => queueUrl)),
    deadLetters: () => depthOf(Object.values(lanes).map(({ deadLetterQueueUrl }) => deadLetterQueueUrl)),
  };
}

/** The three functions, each behind its queues or its HTTP port, as `infra/` deploys them. */
import type { SQSEvent } from 'aws-lambda';
import { assembleArchive } from '../functions/archive/assemble.ts';
import { archiveSettings } from '../functions/archive/settings.ts';
import { createAgents } from '../functions/connections.ts';
import { assembleDiscover } from '../functions/discover/assemble.ts';
import { createHttpGet, type HttpGet, type HttpResponse } from '../functions/http.ts';
import { concurrency, type RetryTimings, timeouts } from '../functions/limits.ts';
import type { LaneName } from '../functions/queue/lanes.ts';
import { defaultsOf } from '../functions/settings.ts';
import type { Random, Time } from '../functions/time.ts';
import { assembleWebhook } from '../functions/webhook/assemble.ts';
import { readPublicKeys } from '../functions/webhook/verify.ts';
import { pollQueue } from './lambda/event-source-mapping.ts';
import type { LambdaHandler } from './lambda/invoke.ts';
import { openWebhookPort, type WebhookPort } from './lambda/webhook-port.ts';
import type { Defer, Neighbours } from './neighbours.ts';
import type { LocalLane } from './queues.ts';

export interface FunctionsOptions {
  /** Called with each response of Telnyx to a function. */
  onTelnyxAnswer?: ((answer: TelnyxAnswer) => void) | undefined;
  /** How many invocations may run at once, for each queue. @default `localConcurrency` */
  concurrency?: Readonly<Record<LaneName, number>>;
  /** @default any free port */
  webhookPort?: number | undefined;
  /** How long a failed message waits, and when it becomes a dead letter. */
  timings: RetryTimings;
  /** Time limits of single invocations, in milliseconds. @default five minutes each */
  timeLimits?: { archiveMs: number; discoverMs: number };
  /** Called with each error outside the functions. */
  onProblem: (problem: string) => void;
  version: string;
  time: Time;
  random: Random;
}

export interface TelnyxAnswer extends Pick<HttpResponse, 'status' | 'headers'> {
  /** Whether a live lane asked. */
  live: boolean;
}

/** All invocations share one machine: live documents get the most. */
const localConcurrency = { documents: 4, backfill: 2, discovery: 1, spans: 1 };
/** How long a stop waits for running invocations. A later start archives what they leave. */
const graceMs = 1_500;
/** A slow line needs longer than Lambda for ten documents of 20 MB. Less than the visibility timeout. */
const localTimeoutMs = 5 * 60_000;

/**
 * Starts polling the queues, and opens the webhook's port.
 *
 * @param publicKeys with which the webhook verifies events; base64 of 32 bytes each
 * @param writeLog takes each line that a function logs
 */
export async function startFunctions(
  neighbours: Neighbours,
  publicKeys: readonly string[],
  writeLog: (line: string) => void,
  options: FunctionsOptions,
  defer: Defer,
): Promise<WebhookPort> {
  const { telnyx, target, sqs, queues } = neighbours;
  const { time, random, timings } = options;
  const invocations = options.concurrency ?? localConcurrency;
  const settings = settingsOf(neighbours, invocations, options.version);
  const telnyxGets = tellingGets(options, defer);
  const dependencies = {
    readSecret: async () => telnyx.apiKey,
    ...telnyxGets,
    s3: target.client,
    sqs,
    writeLog,
    time,
    random,
    timings,
  };
  const connect = connector(neighbours, invocations, options, defer);
  const { documents, backfill, discovery, spans } = queues.lanes;
  connect(documents, 'archive', () => assembleArchive(settings, dependencies));
  connect(backfill, 'archive', () => assembleArchive(settings, dependencies));
  connect(discovery, 'discover', () => assembleDiscover(settings, dependencies));
  connect(spans, 'discover', () => assembleDiscover(settings, dependencies));
  const webhook = await openWebhookPort({
    handler: assembleWebhook({ ...settings, publicKeys: readPublicKeys(publicKeys) }, dependencies),
    timeoutMs: timeouts.webhookMs,
    time,
    port: options.webhookPort ?? 0,
  });
  defer(() => webhook.close());
  return webhook;
}

/** What the functions read from their environment when deployed. */
function settingsOf(
  { target, functionsTelnyxUrl, storageOrigin, queues }: Neighbours,
  invocations: Readonly<Record<LaneName, number>>,
  version: string,
) {
  const { documents, backfill, discovery, spans } = queues.lanes;
  return {
    ...defaultsOf(archiveSettings),
    archiverName: 'local',
    bucketName: target.name,
    // The stack passes the key itself.
    apiKeySecretArn: '',
    telnyxUrl: functionsTelnyxUrl,
    lowLaneInvocations: invocations.backfill + invocations.spans,
    version,
    documentsQueueUrl: documents.queueUrl,
    documentsDeadLetterQueueUrl: documents.deadLetterQueueUrl,
    backfillQueueUrl: backfill.queueUrl,
    backfillDeadLetterQueueUrl: backfill.deadLetterQueueUrl,
    discoveryQueueUrl: discovery.queueUrl,
    discoveryDeadLetterQueueUrl: discovery.deadLetterQueueUrl,
    spansQueueUrl: spans.queueUrl,
    spansDeadLetterQueueUrl: spans.deadLetterQueueUrl,
    trustedDownloadOrigin: storageOrigin === undefined ? undefined : new URL(storageOrigin),
  };
}

/** HTTP clients for both kinds of lanes, over shared connections, that report each response. */
function tellingGets({ onTelnyxAnswer, version, time }: FunctionsOptions, defer: Defer) {
  const agents = createAgents(undefined, time.monotonic);
  defer(() => {
    agents.https.destroy();
    agents.http.destroy();
  });
  const httpGet = createHttpGet(agents, version);
  const telling =
    (live: boolean): HttpGet =>
    async (url, asked) => {
      const answer = await httpGet(url, asked);
      onTelnyxAnswer?.({ live, status: answer.status, headers: answer.headers });
      return answer;
    };
  return { telnyxGet: telling(true), lowLaneTelnyxGet: telling(false) };
}

/** Connects lanes with functions. All of them stop together, so that they share the grace time. */
function connector(
  { queues }: Neighbours,
  invocations: Readonly<Record<LaneName, number>>,
  {
    timeLimits = { archiveMs: localTimeoutMs, discoverMs: localTimeoutMs },
    time,
    onProblem,
  }: FunctionsOptions,
  defer: Defer,
) {
  const stopMappings: (() => Promise<void>)[] = [];
  defer(() =>
    Promise.race([
      Promise.all(stopMappings.map((stopMapping) => stopMapping())),
      new Promise<void>((resolve) => {
        time.after(graceMs, resolve);
      }),
    ]),
  );
  // One handler per concurrent invocation, as one per Lambda container: none knows what another has learnt of Telnyx's
  // rate limit.
  return (
    lane: LocalLane,
    functionName: 'archive' | 'discover',
    createHandler: () => LambdaHandler<SQSEvent>,
  ): void => {
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
}

/** Runs the functions, each behind its queues or its HTTP port, as `infra/` deploys them. */
import type { SQSEvent } from 'aws-lambda';
import { assembleArchive } from '../functions/archive/assemble.ts';
import { archiveSettings } from '../functions/archive/settings.ts';
import { assembleAudit } from '../functions/audit/assemble.ts';
import { auditSettings } from '../functions/audit/settings.ts';
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
import type { LocalLane } from './queues.ts';
import type { Defer, Services } from './services.ts';

export interface FunctionsOptions {
  /** Called with each response that a function gets from Telnyx. */
  onTelnyxResponse?: ((response: TelnyxResponse) => void) | undefined;
  /** Maximum concurrent invocations per queue. @default `localConcurrency` */
  concurrency?: Readonly<Record<LaneName, number>>;
  /** @default any free port */
  webhookPort?: number | undefined;
  /** Waits between receives of a failed message, and when it becomes a dead letter. */
  timings: RetryTimings;
  /** Timeout of an invocation, in milliseconds. @default five minutes each */
  timeLimits?: Record<`${FunctionName}Ms`, number>;
  /** Called with each error outside the functions. */
  onProblem: (problem: string) => void;
  version: string;
  time: Time;
  random: Random;
}

export interface TelnyxResponse extends Pick<HttpResponse, 'status' | 'headers'> {
  /** Whether the request came from a live lane. */
  live: boolean;
}

type FunctionName = 'archive' | 'discover' | 'audit';

/** All invocations share one machine, so live documents get the most. */
const localConcurrency = { documents: 4, backfill: 2, discovery: 1, spans: 1, audit: 1 };
/** How long a stop waits for running invocations. The next start archives unfinished documents. */
const graceMs = 1_500;
/** Longer than on Lambda: a slow connection needs more time for ten documents of 20 MB. Less than the visibility timeout. */
const localTimeoutMs = 5 * 60_000;

/**
 * Starts polling the queues and opens the webhook port.
 *
 * @param publicKeys keys to verify events with; base64 of 32 bytes each
 * @param writeLog called with each line that a function logs
 */
export async function startFunctions(
  services: Services,
  publicKeys: readonly string[],
  writeLog: (line: string) => void,
  options: FunctionsOptions,
  defer: Defer,
): Promise<WebhookPort> {
  const { telnyx, target, sqs, queues } = services;
  const { time, random, timings } = options;
  const invocations = options.concurrency ?? localConcurrency;
  const settings = settingsOf(services, invocations, options.version);
  const gets = createTelnyxGets(options, defer);
  const dependencies = {
    readSecret: async () => telnyx.apiKey,
    ...gets,
    s3: target.client,
    sqs,
    writeLog,
    time,
    random,
    timings,
  };
  const connect = connector(services, invocations, options, defer);
  const { documents, backfill, discovery, spans, audit } = queues.lanes;
  connect(documents, 'archive', () => assembleArchive(settings, dependencies));
  connect(backfill, 'archive', () => assembleArchive(settings, dependencies));
  connect(discovery, 'discover', () => assembleDiscover(settings, dependencies));
  connect(spans, 'discover', () => assembleDiscover(settings, dependencies));
  connect(audit, 'audit', () =>
    assembleAudit(settings, {
      ...dependencies,
      telnyxGet: gets.lowLaneTelnyxGet,
      catalogue: services.catalogue,
    }),
  );
  const webhook = await openWebhookPort({
    handler: assembleWebhook({ ...settings, publicKeys: readPublicKeys(publicKeys) }, dependencies),
    timeoutMs: timeouts.webhookMs,
    time,
    port: options.webhookPort ?? 0,
  });
  defer(() => webhook.close());
  return webhook;
}

/** Settings that deployed functions read from their environment. */
function settingsOf(
  { target, functionsTelnyxUrl, storageOrigin, queues }: Services,
  invocations: Readonly<Record<LaneName, number>>,
  version: string,
) {
  const { documents, backfill, discovery, spans, audit } = queues.lanes;
  return {
    ...defaultsOf(archiveSettings),
    ...defaultsOf(auditSettings),
    archiverName: 'local',
    bucketName: target.name,
    // Not used: `readSecret` returns the key itself.
    apiKeySecretArn: '',
    telnyxUrl: functionsTelnyxUrl,
    lowLaneInvocations: invocations.backfill + invocations.spans + invocations.audit,
    version,
    documentsQueueUrl: documents.queueUrl,
    documentsDeadLetterQueueUrl: documents.deadLetterQueueUrl,
    backfillQueueUrl: backfill.queueUrl,
    backfillDeadLetterQueueUrl: backfill.deadLetterQueueUrl,
    discoveryQueueUrl: discovery.queueUrl,
    discoveryDeadLetterQueueUrl: discovery.deadLetterQueueUrl,
    spansQueueUrl: spans.queueUrl,
    spansDeadLetterQueueUrl: spans.deadLetterQueueUrl,
    auditQueueUrl: audit.queueUrl,
    auditDeadLetterQueueUrl: audit.deadLetterQueueUrl,
    trustedDownloadOrigin: storageOrigin === undefined ? undefined : new URL(storageOrigin),
  };
}

/** Creates the HTTP clients for live and low lanes. They share connections and report each response. */
function createTelnyxGets({ onTelnyxResponse, version, time }: FunctionsOptions, defer: Defer) {
  const agents = createAgents(undefined, time.monotonic);
  defer(() => {
    agents.https.destroy();
    agents.http.destroy();
  });
  const httpGet = createHttpGet(agents, version);
  const reporting =
    (live: boolean): HttpGet =>
    async (url, request) => {
      const response = await httpGet(url, request);
      onTelnyxResponse?.({ live, status: response.status, headers: response.headers });
      return response;
    };
  return { telnyxGet: reporting(true), lowLaneTelnyxGet: reporting(false) };
}

/** Connects lanes to functions. All mappings stop together, so that they share the grace period. */
function connector(
  { queues }: Services,
  invocations: Readonly<Record<LaneName, number>>,
  {
    timeLimits = { archiveMs: localTimeoutMs, discoverMs: localTimeoutMs, auditMs: localTimeoutMs },
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
  // One handler per concurrent invocation, like one per Lambda container: handlers do not share what they know of
  // Telnyx's rate limit.
  return (
    lane: LocalLane,
    functionName: FunctionName,
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
        // A part of the audit takes the whole time of an invocation.
        batchSize: lane.name === 'audit' ? 1 : concurrency.batchSize,
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

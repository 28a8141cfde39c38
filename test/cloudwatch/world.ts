/**
 * An archiver on a virtual clock: the functions' own code works on messages, sweeps and webhook requests, and its log
 * lines go to a model of CloudWatch with the alarms of a synthesized template.
 */
import type { S3Client } from '@aws-sdk/client-s3';
import { ChangeMessageVisibilityCommand, SendMessageCommand, type SQSClient } from '@aws-sdk/client-sqs';
import type { FindingCode } from '../../functions/audit/findings.ts';
import { finishRun } from '../../functions/audit/finish.ts';
import type { AuditPlan } from '../../functions/audit/records.ts';
import { runName } from '../../functions/audit-names.ts';
import { createBucket } from '../../functions/bucket/store.ts';
import { discover } from '../../functions/discover/discover.ts';
import { ArchiverError, type ErrorCode } from '../../functions/errors.ts';
import { retryTimings } from '../../functions/limits.ts';
import { createLog } from '../../functions/log.ts';
import { consumeBatch } from '../../functions/queue/batch.ts';
import { type LaneName, laneNames } from '../../functions/queue/lanes.ts';
import type { Random, Time } from '../../functions/time.ts';
import { createWebhookHandler } from '../../functions/webhook/handler.ts';
import { VirtualClock } from '../fakes/clock.ts';
import { MemoryBucket } from '../fakes/memory-bucket.ts';
import { sqsEvent, sqsRecord } from '../fakes/sqs-records.ts';
import { pageOf } from '../fakes/telnyx-list.ts';
import type { Synthesized } from '../infra/deployments.ts';
import { at, atPath, object, text } from '../infra/view.ts';
import { CloudWatch, type CloudWatchOptions } from './cloudwatch.ts';
import { alarmsOf } from './template-alarms.ts';

const secondMs = 1_000;
export const minuteMs = 60 * secondMs;
export const hourMs = 60 * minuteMs;
export const dayMs = 24 * hourMs;
const start = Date.parse('2026-11-24T00:00:00Z');

export type FunctionName = 'Webhook' | 'Discover' | 'Archive' | 'Audit';

/** The function that reads each lane. */
const readers = {
  documents: 'Archive',
  backfill: 'Archive',
  discovery: 'Discover',
  spans: 'Discover',
  audit: 'Audit',
} as const satisfies Record<LaneName, FunctionName>;

/** Time of the nightly audit, after midnight UTC. */
const auditAtMs = 2 * hourMs + 15 * minuteMs;

export interface WorldOptions extends Omit<CloudWatchOptions, 'now'> {
  /** @default always 0.5 */
  random?: Random;
  /** Milliseconds until SQS publishes the metrics of a queue that was inactive. @default 15 minutes */
  inactiveQueueMs?: number;
}

export function createWorld({ view, stage }: Synthesized, options: WorldOptions = {}) {
  const { random = () => 0.5, inactiveQueueMs = 15 * minuteMs, ...cloudWatchOptions } = options;
  const clock = new VirtualClock(start);
  const now = () => clock.now();
  const schedule = (instant: number, run: () => void) =>
    clock.at(instant, () => {
      cloudWatch.advanceTo(now());
      run();
    });
  const time: Time = {
    now,
    monotonic: () => clock.monotonic(),
    after: (ms, callback) => schedule(now() + ms, callback),
  };

  const cloudWatch = new CloudWatch(alarmsOf(view, stage.name), { now: start, ...cloudWatchOptions });
  const failures: unknown[] = [];
  const background = (work: Promise<unknown>) => {
    work.catch((error: unknown) => failures.push(error));
  };
  /** Runs everything that is due until the instant. */
  const runUntil = async (instant: number) => {
    await clock.run(instant, () => false);
    cloudWatch.advanceTo(now());
    if (failures.length > 0) throw failures[0];
  };

  /** The log of a function, with the archiver name of its environment in the template. */
  const logOf = (name: FunctionName) => {
    const variables = at(atPath(view, `Functions/${name}/Function`).properties, 'Environment', 'Variables');
    return createLog({
      name: text(object(variables).ARCHIVER_NAME),
      write: (line) => cloudWatch.ingest(line, now()),
      now,
    });
  };
  const logs = {
    Webhook: logOf('Webhook'),
    Discover: logOf('Discover'),
    Archive: logOf('Archive'),
    Audit: logOf('Audit'),
  };

  const queues = Object.fromEntries(laneNames.map((lane) => [lane, deadLetterQueue(lane)])) as Record<
    LaneName,
    ReturnType<typeof deadLetterQueue>
  >;

  /** A dead-letter queue that is inactive until its first message and then has metrics every minute. */
  function deadLetterQueue(lane: LaneName) {
    const path = `Queues/${lane.charAt(0).toUpperCase()}${lane.slice(1)}/DeadLetters`;
    const dimensions = { QueueName: `\${${atPath(view, path).id}.QueueName}` };
    const put = (metricName: string, value: number) =>
      cloudWatch.publish({ namespace: 'AWS/SQS', metricName, dimensions }, value, now(), now() + minuteMs);
    let messages = 0;
    let inFlight = 0;
    let active = false;
    const report = () => {
      schedule(now() + minuteMs, report);
      put('ApproximateNumberOfMessagesVisible', messages - inFlight);
      // Only published while messages are in flight (Amazon SQS guide, "Available CloudWatch metrics").
      if (inFlight > 0) put('ApproximateNumberOfMessagesNotVisible', inFlight);
    };
    return {
      add: () => {
        messages += 1;
        if (!active) schedule(now() + inactiveQueueMs, report);
        active = true;
      },
      remove: () => {
        messages -= 1;
      },
      /** Receives all messages and returns them after a while. */
      peek: (ms: number) => {
        inFlight = messages;
        schedule(now() + ms, () => {
          inFlight = 0;
        });
      },
    };
  }

  /**
   * Messages of the lane that have not been received yet.
   *
   * @param ageMs age of the oldest message
   * @param forMs time until it is received
   */
  function backlog(lane: LaneName, ageMs: number, forMs: number): void {
    const path = `Queues/${lane.charAt(0).toUpperCase()}${lane.slice(1)}/Queue`;
    const dimensions = { QueueName: `\${${atPath(view, path).id}.QueueName}` };
    const metric = { namespace: 'AWS/SQS', metricName: 'ApproximateAgeOfOldestMessage', dimensions };
    const [sentAt, end] = [now() - ageMs, now() + forMs];
    const report = () => {
      cloudWatch.publish(metric, (now() - sentAt) / secondMs, now(), now() + minuteMs);
      if (now() + minuteMs < end) schedule(now() + minuteMs, report);
    };
    report();
  }

  /** Receives a message of the lane after each visibility timeout, until it succeeds or becomes a dead letter. */
  function message(lane: LaneName, failsWith: () => ErrorCode | undefined): void {
    const sentAt = now();
    const receive = async (receives: number) => {
      let waitMs = 0;
      const sqs = {
        send: async (command: unknown) => {
          if (command instanceof ChangeMessageVisibilityCommand) {
            waitMs = (command.input.VisibilityTimeout ?? 0) * secondMs;
          }
          if (command instanceof SendMessageCommand) queues[lane].add();
          return {};
        },
      } as unknown as Pick<SQSClient, 'send'>;
      const { batchItemFailures } = await consumeBatch(
        sqsEvent(sqsRecord(0, { queue: lane, receives, sentAt })),
        new AbortController().signal,
        {
          parse: ({ body }) => body,
          describe: () => ({}),
          work: async () => {
            const code = failsWith();
            if (code !== undefined) throw new ArchiverError(code, 'A failure of the test.');
            return {};
          },
        },
        {
          lanes: laneNames.map((name) => ({
            name,
            queueUrl: `https://sqs/${name}`,
            deadLetterQueueUrl: `https://sqs/${name}-dead-letters`,
            live: name === 'documents' || name === 'discovery',
          })),
          sqs,
          timings: retryTimings,
          log: logs[readers[lane]],
          time,
          random,
        },
      );
      if (batchItemFailures.length > 0) schedule(now() + waitMs, () => background(receive(receives + 1)));
    };
    background(receive(1));
  }

  /** Documents at Telnyx that are not archived: ID → time of creation. */
  const unarchived = new Map<string, number>();
  let sweeping = true;

  /** One sweep per minute, each some seconds late. */
  function sweep(): void {
    const requestedAt = now();
    schedule(requestedAt + minuteMs, sweep);
    if (!sweeping) return;
    const run = async () => {
      await discover(
        { v: 1, kind: 'recent', requestedAt: new Date(requestedAt).toISOString() },
        {
          receivedAt: now(),
          deadline: time.monotonic() + 5 * minuteMs,
          signal: new AbortController().signal,
        },
        {
          telnyx: {
            get: async (_path, query) => {
              const rows = [...unarchived].map(([id, createdAt]) => ({ id, createdAt }));
              const data = pageOf(rows, query).map(({ id, createdAt }) => ({
                id,
                created_at: new Date(createdAt).toISOString(),
              }));
              const rateLimit = { limit: undefined, remaining: undefined, resetMs: undefined };
              return { body: { data, meta: { total_results: data.length } }, rateLimit };
            },
          },
          // Telnyx lists only unarchived documents here, so there are no receipts for them.
          bucket: { list: async () => [], putOnce: async () => 'exists' },
          version: '0.2.0',
          send: async () => undefined,
          documentsQueueUrl: 'documents',
          backfillQueueUrl: 'backfill',
          archiveInfected: false,
          maxDocumentBytes: 1_000_000,
          timings: retryTimings,
          log: logs.Discover,
          time,
          random,
        },
      );
      lambdaMetric('Discover', 'Errors', 0);
      lambdaMetric('Discover', 'Duration', 900);
    };
    schedule(requestedAt + 3 * secondMs + random() * 4 * secondMs, () => background(run()));
  }
  schedule(start, sweep);

  const records = createBucket({
    s3: { send: new MemoryBucket(time).send } as unknown as S3Client,
    name: 'archive',
    time,
  });

  /** Ends a run of the audit. @param codes of the problems that it has found, and of what it could not check */
  async function endAudit(...codes: readonly FindingCode[]): Promise<void> {
    const startedAt = new Date(now()).toISOString();
    const plan: AuditPlan = {
      v: 1,
      run: runName(now()),
      startedAt,
      full: false,
      shareDays: 30,
      readsBytes: true,
      day: 0,
      shares: [0],
      listShares: [0],
      newFrom: startedAt,
      parts: [],
      manifests: [],
      findings: codes.map((code) => ({ code, key: 'documents/x', detail: '' })),
      archiver: '1.0.0',
    };
    await finishRun(plan, records, new AbortController().signal, { log: logs.Audit, time });
  }

  let auditing = true;
  let auditMs = 3 * minuteMs;

  /** One run of the audit every night, which finds nothing. */
  function audit(): void {
    schedule(now() + dayMs, audit);
    if (auditing) schedule(now() + auditMs, () => background(endAudit()));
  }
  schedule(start + auditAtMs, audit);

  function lambdaMetric(name: FunctionName, metricName: string, value: number): void {
    const dimensions = { FunctionName: `\${${atPath(view, `Functions/${name}/Function`).id}}` };
    cloudWatch.publish({ namespace: 'AWS/Lambda', metricName, dimensions }, value, now(), now() + minuteMs);
  }

  const webhook = createWebhookHandler({
    publicKeys: [],
    documentsQueueUrl: 'documents',
    discoveryQueueUrl: 'discovery',
    send: async () => undefined,
    log: logs.Webhook,
    time,
  });

  return {
    cloudWatch,
    now,
    after: time.after,
    /** Advances the clock. */
    pass: (ms: number) => runUntil(now() + ms),
    message,
    backlog,
    queues,
    lambdaMetric,
    /** Objects deleted in the archive within one minute, as EventBridge counts them. */
    deletions: (count: number) => {
      const dimensions = { RuleName: `\${${atPath(view, 'Alarms/DeletionRule').id}}` };
      cloudWatch.publish(
        { namespace: 'AWS/Events', metricName: 'TriggeredRules', dimensions },
        count,
        now(),
        now() + minuteMs,
      );
    },
    setSweeping: (value: boolean) => {
      sweeping = value;
    },
    /** Ends a run of the audit. @param codes of the problems that it has found, and of what it could not check */
    endAudit: (...codes: readonly FindingCode[]) => background(endAudit(...codes)),
    /** @param ms from a start of the audit to its end; undefined: the audit does not end */
    setAuditing: (ms: number | undefined) => {
      auditing = ms !== undefined;
      auditMs = ms ?? auditMs;
    },
    /** Uploads a document, which is archived after a while. */
    upload: (id: string, archivedAfterMs: number) => {
      unarchived.set(id, now());
      schedule(now() + archivedAfterMs, () => unarchived.delete(id));
    },
    /** Sends a request that is not a signed event. */
    refusedWebhook: () => {
      background(webhook({ requestContext: { http: { method: 'GET' } } } as Parameters<typeof webhook>[0]));
    },
    webhookServerError: () => {
      const dimensions = { ApiId: `\${${atPath(view, 'WebhookApi/Api').id}}` };
      cloudWatch.publish(
        { namespace: 'AWS/ApiGateway', metricName: '5xx', dimensions },
        1,
        now(),
        now() + minuteMs,
      );
    },
    /** Alarm name → times at which it went into ALARM, in minutes after the given instant. */
    rangSince: (since: number) => {
      const rang: Record<string, number[]> = {};
      for (const { at: instant, alarm, state } of cloudWatch.notifications(since)) {
        if (state === 'ALARM') rang[alarm] = [...(rang[alarm] ?? []), (instant - since) / minuteMs];
      }
      return rang;
    },
    /** Names of the alarms that notified of OK. */
    resolvedSince: (since: number) =>
      cloudWatch.notifications(since).flatMap(({ alarm, state }) => (state === 'OK' ? [alarm] : [])),
  };
}

export type World = ReturnType<typeof createWorld>;

/** Runs the audit function on a bucket and a Telnyx account in memory, message by message, without any other part. */

import type { S3Client } from '@aws-sdk/client-s3';
import {
  ChangeMessageVisibilityCommand,
  SendMessageBatchCommand,
  SendMessageCommand,
  type SQSClient,
} from '@aws-sdk/client-sqs';
import type { Context } from 'aws-lambda';
import { type AuditDependencies, createAuditHandler } from '../../functions/audit/handler.ts';
import { parseSummary, type RunSummary } from '../../functions/audit/records.ts';
import { findingsOf } from '../../functions/audit/run-findings.ts';
import { readPartResult, readRunPlan } from '../../functions/audit/run-history.ts';
import { type AuditPart, parsePartName, runName } from '../../functions/audit-names.ts';
import type { CatalogueStore } from '../../functions/bucket/catalogue.ts';
import { auditSummaryKey } from '../../functions/bucket/keys.ts';
import { createBucket } from '../../functions/bucket/store.ts';
import { createVersions } from '../../functions/bucket/versions.ts';
import { ArchiverError } from '../../functions/errors.ts';
import { retryTimings, timeouts } from '../../functions/limits.ts';
import { createLog } from '../../functions/log.ts';
import { parseDocumentMessage } from '../../functions/queue/messages.ts';
import { createSender } from '../../functions/queue/send.ts';
import type { TelnyxClient, TelnyxDocument } from '../../functions/telnyx/client.ts';
import { readFacts } from '../../functions/telnyx/record.ts';
import type { VirtualTime } from './clock.ts';
import { day, type TelnyxRecord } from './documents.ts';
import type { MemoryBucket } from './memory-bucket.ts';
import { sqsEvent, sqsRecord } from './sqs-records.ts';
import { pageOf } from './telnyx-list.ts';

export interface AuditFunctionOptions {
  bucket: MemoryBucket;
  /** Telnyx's documents by ID. */
  account?: ReadonlyMap<string, TelnyxRecord>;
  time: VirtualTime;
  fixityDays?: number;
  repair?: boolean;
  /** @default none is kept */
  catalogue?: CatalogueStore | undefined;
  /** Rows per page of Telnyx's list. @default 250 */
  pageRows?: () => number;
  /** Awaited before each request to S3, SQS and Telnyx: it may wait, throw, or never end. */
  beforeRequest?: (command: unknown) => Promise<void>;
  /** Resolves when the invocation that begins now is killed. */
  killed?: () => Promise<undefined>;
}

/** Of a message whose invocation died. */
const visibilityMs = 5 * 60_000;

interface Queued {
  body: string;
  sentAt: number;
  firstReceivedAt?: number;
  receives: number;
}

export function createAuditFunction({
  bucket,
  account = new Map(),
  time,
  fixityDays = 30,
  repair = false,
  catalogue,
  pageRows = () => 250,
  beforeRequest = async () => undefined,
  killed,
}: AuditFunctionOptions) {
  const queue: Queued[] = [];
  let waitMs = visibilityMs;
  const deadLetters: string[] = [];
  const repaired: string[] = [];
  const lines: Record<string, unknown>[] = [];
  const sqs = {
    send: async (command: unknown) => {
      await beforeRequest(command);
      if (command instanceof SendMessageBatchCommand) {
        const { QueueUrl, Entries = [] } = command.input;
        for (const { MessageBody = '' } of Entries) {
          if (QueueUrl === 'audit') queue.push({ body: MessageBody, sentAt: time.now(), receives: 0 });
          else repaired.push(parseDocumentMessage(MessageBody, new Date(time.now())).documentId);
        }
        return { Successful: Entries.map(({ Id }) => ({ Id })) };
      }
      if (command instanceof SendMessageCommand) {
        deadLetters.push(command.input.MessageBody ?? '');
        return {};
      }
      if (command instanceof ChangeMessageVisibilityCommand) {
        waitMs = (command.input.VisibilityTimeout ?? 0) * 1_000;
        return {};
      }
      throw new Error('No test needs this command.');
    },
  } as unknown as SQSClient;
  const telnyx: TelnyxClient = {
    get: async (path, query) => {
      await beforeRequest(path);
      const rows = [...account.values()].map((record) => ({
        id: record.id,
        createdAt: Date.parse(record.created_at),
        record,
      }));
      const data = pageOf(rows, query, { pageRows: pageRows() }).map(({ record }) => record);
      return { body: { data }, rateLimit: { limit: undefined, remaining: undefined, resetMs: undefined } };
    },
    document: async (id): Promise<TelnyxDocument> => {
      await beforeRequest(id);
      const record = account.get(id);
      if (!record) throw new ArchiverError('DocumentGone', 'Not there.');
      return { ...readFacts({ ...record }).facts, id, record: '', cut: false, malformed: [] };
    },
    downloadLink: async () => {
      throw new Error('The audit downloads nothing from Telnyx.');
    },
  };
  const s3 = {
    send: async (command: unknown) => {
      await beforeRequest(command);
      return bucket.send(command);
    },
  } as unknown as S3Client;
  const options = { s3, name: 'archive', time };
  const dependencies: AuditDependencies = {
    telnyx,
    s3,
    bucketName: 'archive',
    bucket: createBucket(options),
    versions: createVersions(options),
    catalogue,
    send: createSender(sqs),
    auditQueueUrl: 'audit',
    backfillQueueUrl: repair ? 'backfill' : undefined,
    fixityDays,
    version: '0.2.0',
    lanes: [{ name: 'audit', live: false, queueUrl: 'audit', deadLetterQueueUrl: 'audit-dead' }],
    sqs,
    timings: retryTimings,
    log: createLog({ name: 'test', write: (line) => lines.push(JSON.parse(line)), now: time.now }),
    time,
    random: () => 0.5,
  };
  const handler = createAuditHandler(dependencies);
  const never = new AbortController().signal;

  /** Delivers the message at the front of the queue. It goes to the back if the function does not acknowledge it. */
  const deliver = async (message = queue.shift()): Promise<boolean> => {
    if (!message) return false;
    message.receives += 1;
    waitMs = visibilityMs;
    message.firstReceivedAt ??= time.now();
    const record = sqsRecord(1, {
      body: message.body,
      receives: message.receives,
      queue: 'audit',
      sentAt: message.sentAt,
    });
    record.attributes.ApproximateFirstReceiveTimestamp = String(message.firstReceivedAt);
    const end = time.monotonic() + timeouts.auditMs;
    const context = { getRemainingTimeInMillis: () => Math.max(0, end - time.monotonic()) } as Context;
    const response = await Promise.race([handler(sqsEvent(record), context), ...(killed ? [killed()] : [])]);
    if (!response || response.batchItemFailures.length > 0) {
      queue.push(message);
      time.set(time.now() + waitMs);
    }
    return true;
  };
  const start = (full = false) => {
    const requestedAt = new Date(time.now()).toISOString();
    queue.push({
      body: JSON.stringify({ v: 1, kind: 'audit-start', ...(full && { full }), requestedAt }),
      sentAt: time.now(),
      receives: 0,
    });
    return runName(time.now(), full);
  };
  const summaryOf = (run: string): RunSummary | undefined => {
    const stored = bucket.versioned.current(auditSummaryKey(run));
    return stored && parseSummary(stored.body);
  };

  return {
    dependencies,
    handler,
    queue,
    deadLetters,
    repaired,
    lines,
    start,
    deliver,
    summaryOf,
    /** Values of a metric, in the order of their publication; with their dimensions. */
    metric: (name: string) => lines.filter((line) => name in line && '_aws' in line),
    /** Starts a run and delivers everything that it queues. */
    night: async (full = false) => {
      const run = start(full);
      const end = time.now() + day;
      while (time.now() < end && (await deliver()));
      const summary = summaryOf(run);
      if (!summary) throw new Error(`The run ${run} has no summary: ${JSON.stringify(lines.slice(-3))}`);
      return { run, summary, findings: await findingsIn(run, summary) };
    },
  };

  async function findingsIn(run: string, { parts }: RunSummary) {
    const store = createBucket({ ...options, s3: { send: bucket.send } as unknown as S3Client });
    const plan = await readRunPlan(store, run, never);
    const results = await Promise.all(
      parts.map(({ part }) => readPartResult(store, run, parsePartName(part) as AuditPart, never)),
    );
    return findingsOf(
      plan ?? { findings: [] },
      results.map((result) => result ?? { findings: [] }),
    );
  }
}

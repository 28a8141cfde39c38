import type { S3Client } from '@aws-sdk/client-s3';
import middy from '@middy/core';
import type { Context, SQSEvent } from 'aws-lambda';
import type { CatalogueStore } from '../bucket/catalogue.ts';
import type { Bucket } from '../bucket/store.ts';
import type { Versions } from '../bucket/versions.ts';
import { ArchiverError } from '../errors.ts';
import { timeouts } from '../limits.ts';
import { type BatchDependencies, consumeBatch, type Job } from '../queue/batch.ts';
import { type AuditMessage, parseAuditMessage } from '../queue/messages.ts';
import type { SendMessages } from '../queue/send.ts';
import type { TelnyxClient } from '../telnyx/client.ts';
import { nextTurn, withDeadline } from '../time.ts';
import { runPart } from './part.ts';
import { startRun } from './start.ts';

export interface AuditDependencies extends BatchDependencies {
  /** Leaves at least half of Telnyx's rate limit to live work. */
  telnyx: TelnyxClient;
  s3: Pick<S3Client, 'send'>;
  bucketName: string;
  bucket: Bucket;
  versions: Pick<Versions, 'lockOf'>;
  /** Undefined: none is kept. */
  catalogue: CatalogueStore | undefined;
  send: SendMessages;
  auditQueueUrl: string;
  /** Queue for documents to repair; undefined: nothing is repaired. */
  backfillQueueUrl: string | undefined;
  /** Days within which every object is read back once; 0: never. */
  fixityDays: number;
  /** Version of the archiver. */
  version: string;
}

/** The delivery that is being processed, and its time limits. */
export interface AuditReceive {
  /** Milliseconds since the Unix epoch. */
  receivedAt: number;
  /** Monotonic milliseconds. */
  deadline: number;
  signal: AbortSignal;
}

/** Starts runs of the audit and does their parts; the handler reports failed messages as `batchItemFailures`. */
export function createAuditHandler(dependencies: AuditDependencies) {
  const { time } = dependencies;
  const handle = async (event: SQSEvent, context: Context, { signal }: { signal: AbortSignal }) => {
    await nextTurn();
    const workMs = context.getRemainingTimeInMillis() - timeouts.reserveMs;
    const deadline = time.monotonic() + workMs;
    return withDeadline(time, workMs, signal, outOfTime, (workSignal) =>
      consumeBatch(event, workSignal, createJob(dependencies, deadline), dependencies),
    );
  };
  return middy(handle, { timeoutEarlyInMillis: timeouts.lastResortMs });
}

function createJob(dependencies: AuditDependencies, deadline: number): Job<AuditMessage> {
  return {
    parse: (record) => parseAuditMessage(record.body),
    describe: (message) => ({
      kind: message.kind,
      ...(message.kind === 'audit-part' && { run: message.run, part: message.part }),
    }),
    work: (message, { receivedAt, signal }) => {
      const receive = { receivedAt, deadline, signal };
      return message.kind === 'audit-start'
        ? startRun(message, receive, dependencies)
        : runPart(message, receive, dependencies);
    },
  };
}

function outOfTime(): ArchiverError {
  return new ArchiverError(
    'OutOfTime',
    'The invocation ran out of time before the part was done; the message returns to the queue.',
  );
}

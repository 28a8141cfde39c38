import type { S3Client } from '@aws-sdk/client-s3';
import type { CatalogueStore } from '../bucket/catalogue.ts';
import type { Bucket } from '../bucket/store.ts';
import type { Versions } from '../bucket/versions.ts';
import type { BatchDependencies, Job } from '../queue/batch.ts';
import { createBatchHandler } from '../queue/batch-handler.ts';
import { type AuditMessage, parseAuditMessage } from '../queue/messages.ts';
import type { SendMessages } from '../queue/send.ts';
import type { TelnyxClient } from '../telnyx/client.ts';
import { runPart } from './part.ts';
import { startRun } from './start.ts';

export interface AuditDependencies extends BatchDependencies {
  /** Leaves at least half of Telnyx's rate limit to live work. */
  telnyx: TelnyxClient;
  s3: Pick<S3Client, 'send'>;
  bucketName: string;
  bucket: Bucket;
  versions: Pick<Versions, 'lockOf'>;
  /** Undefined: the archiver keeps no catalogue. */
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
  return createBatchHandler(
    dependencies,
    (deadline) => createJob(dependencies, deadline),
    'The invocation ran out of time before the part was done; the message returns to the queue.',
  );
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

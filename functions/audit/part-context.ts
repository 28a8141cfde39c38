/** What the parts of a run share. */
import type { S3Client } from '@aws-sdk/client-s3';
import type { AuditPart } from '../audit-names.ts';
import type { ListingOptions } from '../bucket/listing.ts';
import { createRetryingBucket } from '../bucket/retrying-bucket.ts';
import { createStorageRetry, type StorageRetry } from '../bucket/storage-retry.ts';
import type { Bucket } from '../bucket/store.ts';
import { nightlyAudit } from '../limits.ts';
import type { AuditConditions } from './evidence.ts';
import type { Finding } from './findings.ts';
import type { AuditDependencies } from './handler.ts';
import type { InspectDependencies } from './inspect.ts';
import { type AuditPlan, createRunTally, type PartResult, type RunTally } from './records.ts';

export interface PartContext extends AuditDependencies {
  plan: AuditPlan;
  s3: Pick<S3Client, 'send'>;
  name: string;
  retry: StorageRetry;
  onRequest: () => void;
  listing: ListingOptions;
  conditions: AuditConditions;
  questions: { left: number };
  /** Counted into while the part is done. */
  tally: RunTally;
  /** Monotonic milliseconds after which no further document is begun. */
  stopAt: number;
  /** Monotonic milliseconds. */
  deadline: number;
  signal: AbortSignal;
}

export interface PartWork extends Pick<PartResult, 'cells' | 'manifest' | 'catalogue'> {
  /** Problems, and what could not be checked. */
  findings: Finding[];
  /** What is left, if the part ended early. */
  rest?: AuditPart;
}

export function createPartContext(
  plan: AuditPlan,
  { workMs, signal }: { workMs: number; signal: AbortSignal },
  dependencies: AuditDependencies,
): PartContext {
  const { s3, bucketName: name, time, random } = dependencies;
  const tally = createRunTally();
  const retry = createStorageRetry({ time, random, signal });
  const onRequest = () => {
    tally.requests += 1;
  };
  const begin = time.monotonic();
  return {
    ...dependencies,
    plan,
    name,
    retry,
    onRequest,
    listing: { s3, name, time, retry, onRequest },
    // Telnyx's list is compared by parts of its own, so none is known to be complete here.
    conditions: { startedAt: time.now(), telnyxListed: false, graceMs: nightlyAudit.graceMs },
    questions: { left: nightlyAudit.questionsPerPart },
    tally,
    stopAt: begin + nightlyAudit.workShare * workMs,
    deadline: begin + workMs,
    signal,
  };
}

/** For the objects of runs: repeats requests after temporary failures. */
export function runBucket(
  { bucket, time, random }: AuditDependencies,
  signal: AbortSignal,
  tally: RunTally,
): Bucket {
  return createRetryingBucket(bucket, createStorageRetry({ time, random, signal }), () => {
    tally.requests += 1;
  });
}

/** @param quick judge by the listings alone, unless they show a problem */
export function inspectDependencies(
  { bucket, versions, retry, conditions, time, tally, onRequest }: PartContext,
  quick: boolean,
  readsBytes: boolean,
): InspectDependencies {
  return {
    bucket,
    versions,
    retry,
    conditions,
    quick,
    readData: () => readsBytes,
    now: time.now,
    onRequest,
    onRead: (bytes) => {
      tally.objectsRead += 1;
      tally.bytesRead += bytes;
    },
  };
}

export function countFinding({ counts }: RunTally, { code }: Pick<Finding, 'code'>): void {
  counts[code] = (counts[code] ?? 0) + 1;
}

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
  /** How many more documents the part may ask Telnyx for. */
  questions: { left: number };
  /** Counts of the part so far. */
  tally: RunTally;
  /** Monotonic milliseconds after which the part starts no further document. */
  stopAt: number;
  /** Monotonic milliseconds at which the part must have ended. */
  deadline: number;
  signal: AbortSignal;
}

export interface PartWork extends Pick<PartResult, 'cells' | 'manifest' | 'catalogue'> {
  /** Problems, and what could not be checked. */
  findings: Finding[];
  /** What is left to the next delivery, if the part ended early. */
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
    // Telnyx's list is compared by a part of its own. Here, a document that is not in it may still be at Telnyx.
    conditions: { startedAt: time.now(), telnyxListed: false, graceMs: nightlyAudit.graceMs },
    questions: { left: nightlyAudit.questionsPerPart },
    tally,
    stopAt: begin + nightlyAudit.workShare * workMs,
    deadline: begin + workMs,
    signal,
  };
}

/** The bucket, for the records of runs: repeats requests after temporary failures, and counts them. */
export function runBucket(
  { bucket, time, random }: AuditDependencies,
  signal: AbortSignal,
  tally: RunTally,
): Bucket {
  return createRetryingBucket(bucket, createStorageRetry({ time, random, signal }), () => {
    tally.requests += 1;
  });
}

/** @param quick whether to judge by the listings alone, unless they show a problem @param readsBytes whether to download and hash the object */
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

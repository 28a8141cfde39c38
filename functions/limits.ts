/**
 * The numbers that the functions and the deployed resources must agree on, each written once. Imports nothing,
 * so that `infra/` may read it.
 */

const seconds = 1_000;
const minutes = 60 * seconds;
const days = 24 * 60 * minutes;

/** Telnyx deletes a document that no service links within 30 minutes (Telnyx's guide to documents). */
export const unlinkedLifetimeMs = 30 * minutes;

/** The most that one PutObject takes: 5 GiB (Amazon S3 quotas). */
export const singlePutBytes = 5 * 1024 ** 3;

/** Lambda's time limit for one invocation, and what is kept back of it to end in order. */
export const timeouts = {
  archiveMs: 60 * seconds,
  /** A span of 100,000 documents takes some 800 requests to Telnyx, one after the other (`npm run bench -- --only discover`). */
  discoverMs: 300 * seconds,
  /** Telnyx gives a webhook 2 s in all. */
  webhookMs: 3 * seconds,
  /** Kept free at the end of an invocation, so that its answer always gets out. */
  reserveMs: 3 * seconds,
  /** middy's early timeout, should an invocation not have ended of itself by then: the batch fails as a whole. */
  lastResortMs: 500,
} as const;

/** How often a message is received before it becomes a dead letter. SQS counts receives from 1. */
export const receives = {
  /** For fate `retry`: six waits of the ladder lie between seven receives, about eleven minutes in all. */
  retry: 7,
  /** For fate `wait`, and SQS's own `maxReceiveCount`: at half an hour each, about four days. */
  wait: 200,
  /** From this receive on a message is suspected of crashing the function and is worked on by itself. */
  suspect: 3,
} as const;

/** Milliseconds that a message stays invisible after its first, second, … failed receive. */
export const backoffLadderMs = {
  retry: [5, 15, 45, 90, 180, 300].map((s) => s * seconds),
  wait: [15, 60, 180, 300, 900, 1_800].map((s) => s * seconds),
} as const;

/** AWS asks for a visibility timeout of six times the function's timeout (Lambda with SQS, "Configuring a queue"). */
export const visibilityPerTimeout = 6;

export const queues = {
  /** A dead letter keeps its first enqueue time, so its queue must keep messages for longer. */
  retentionMs: 10 * days,
  deadLetterRetentionMs: 14 * days,
  /** SQS's own limits for one message and one batch (Amazon SQS message quotas). */
  batchEntries: 10,
  maxVisibilityMs: 12 * 60 * minutes,
} as const;

export const concurrency = {
  /** Records of one batch; all of them are worked on side by side. */
  batchSize: 10,
  /** Invocations at once, by the event source mapping's `maximumConcurrency`. */
  documents: 20,
  backfill: 4,
  discovery: 2,
} as const;

/** Within one receive: p-retry around (fresh link, download, PUT). */
export const attempts = {
  retries: 2,
  minDelayMs: 200,
  maxDelayMs: 2 * seconds,
  /** No further attempt is begun with less than this left. */
  leastTimeMs: 5 * seconds,
} as const;

/**
 * Deadlines of single calls. The source's idle timeout is the shorter one, so that S3 is never blamed for a
 * stall of the source.
 */
export const calls = {
  telnyxMs: 10 * seconds,
  downloadIdleMs: 8 * seconds,
  bucketIdleMs: 15 * seconds,
  bucketMs: 10 * seconds,
  /** Of which two must fit into `timeouts.reserveMs`: what is left undone is put back at the end. */
  queueMs: 1_400,
  /** All that a webhook may spend on SQS: Telnyx gives it 2 s, cold start included. */
  webhookMs: 1_200,
  connectMs: 3 * seconds,
  secretMs: 5 * seconds,
} as const;

export const sweep = {
  /** A document lives 30 minutes unlinked: six sweeps see it. */
  intervalMinutes: 5,
  /** Overlaps several sweeps, and outlasts an outage of an hour. */
  lookBackMinutes: 90,
  /** Of the first sweep of each hour: a day that was missed is made up for, and two hours more. */
  longLookBackMinutes: 26 * 60,
} as const;

/** Rows of one page of a Telnyx list, at most 250 (Telnyx API reference, "List all documents"). */
export const telnyxPageSize = 250;

/**
 * Where download links may lead unless the stage says otherwise: Amazon S3, path style as Telnyx documents it, or
 * virtual-hosted. A `*` stands for one label or more.
 */
export const defaultDownloadHosts = [
  's3.amazonaws.com',
  '*.s3.amazonaws.com',
  's3.*.amazonaws.com',
  '*.s3.*.amazonaws.com',
];

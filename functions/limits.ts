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

/**
 * When a message whose receive failed comes back, and when it is given up. All of it is counted from the record's
 * timestamps: an outage of any length, or receives that were throttled away, cost no document its chances.
 */
export interface RetryTimings {
  /** The shortest wait before the next receive; from then on the wait is the message's age. */
  leastWaitMs: number;
  /** The longest wait in a live lane, while the document may still be unlinked. */
  longestLiveWaitMs: number;
  /** The longest wait in any other case. */
  longestWaitMs: number;
  /** Age, from the first receive on, from which the document's own fault may become a dead letter. */
  documentFaultAfterMs: number;
  /** The attempts within one receive must span at least this for such a fault to count. */
  attemptsSpanMs: number;
  /** Age, from the send on, at which a message becomes a dead letter whoever is at fault: SQS would delete it on day 10. */
  giveUpAfterMs: number;
}

export const retryTimings: RetryTimings = {
  leastWaitMs: 5 * seconds,
  longestLiveWaitMs: 120 * seconds,
  longestWaitMs: 30 * minutes,
  documentFaultAfterMs: 10 * minutes,
  attemptsSpanMs: 15 * seconds,
  giveUpAfterMs: 9 * days,
};

/**
 * Age, from the first receive on, from which a message that fails through somebody else's fault is counted as waiting,
 * which calls a person. In a live lane the next receive is two minutes later at most, so somebody knows after a quarter
 * of an hour, half of an unlinked document's life.
 */
export const waitingAfterMs = 10 * minutes;

/** Counts of receives say nothing about a document. They only isolate a message that may crash the function. */
export const receives = {
  /** From this receive on a message is worked on by itself, after the others of its batch. */
  isolateFrom: 3,
  /** The most that SQS's `maxReceiveCount` may be (Amazon SQS API reference, "CreateQueue"). */
  most: 1_000,
} as const;

/** AWS asks for a visibility timeout of six times the function's timeout (Lambda with SQS, "Configuring a queue"). */
export const visibilityPerTimeout = 6;

/**
 * SQS's own `maxReceiveCount` for a queue, by the time limit of the function that reads it. A message that crashes the
 * function every time comes back once per visibility timeout: so it becomes a dead letter within nine days, before SQS
 * deletes it. Within five where the function may take a minute (1,000 receives), on day 9 where it may take five (432).
 */
export function mostReceives(timeoutMs: number): number {
  return Math.min(receives.most, Math.floor(retryTimings.giveUpAfterMs / (visibilityPerTimeout * timeoutMs)));
}

export const queues = {
  /** A dead letter keeps its first enqueue time, so its queue must keep messages for longer. */
  retentionMs: 10 * days,
  deadLetterRetentionMs: 14 * days,
  /** SQS's own limits: entries of one batch; bytes of one message with its attributes, or of one batch (Amazon SQS message quotas). */
  batchEntries: 10,
  messageBytes: 1024 ** 2,
  maxVisibilityMs: 12 * 60 * minutes,
} as const;

export const concurrency = {
  /** Records of one batch; all of them are worked on side by side. */
  batchSize: 10,
  /** Invocations at once, by the event source mapping's `maximumConcurrency`. */
  documents: 20,
  backfill: 4,
  discovery: 2,
  spans: 2,
} as const;

/** Within one receive: one retry around (fresh link, download, PUT). */
export const attempts = {
  most: 3,
  minDelayMs: 200,
  maxDelayMs: 2 * seconds,
  /** No further attempt is begun with less than this left. */
  leastTimeMs: 5 * seconds,
} as const;

/** How low lanes (spans, backfill) leave Telnyx's rate limit to live work. */
export const pacing = {
  /** Part of the limit that live work always has. */
  liveShare: 0.5,
  /** The longest wait of one request for the limit's reset; beyond it the request fails with RateLimitReserved. */
  longestWaitMs: 5 * seconds,
} as const;

/**
 * Deadlines of single calls. The source's idle timeout is the shorter one, so that S3 is never blamed for a
 * stall of the source.
 */
export const calls = {
  telnyxMs: 10 * seconds,
  downloadIdleMs: 8 * seconds,
  /** Time that any download may take; a longer one must have brought this many bytes per second on average. */
  downloadMs: 15 * seconds,
  downloadBytesPerSecond: 128 * 1024,
  bucketIdleMs: 15 * seconds,
  bucketMs: 10 * seconds,
  /** Of which two must fit into `timeouts.reserveMs`: what is left undone is put back at the end. */
  queueMs: 1_400,
  /** All that a webhook may spend on SQS: Telnyx gives it 2 s, cold start included. */
  webhookMs: 1_200,
  connectMs: 3 * seconds,
  /** A connection idle for longer is not used again: its peer may have dropped it. Servers keep one for 5 s or more. */
  socketIdleMs: 4 * seconds,
  secretMs: 5 * seconds,
} as const;

/**
 * What a sweep reads and queues, by the age of a document: its `requestedAt` minus `created_at`. Ages in minutes, the
 * first included, the second not. A document that stays unsettled is queued six times at most.
 */
export const sweep = {
  intervalMinutes: 1,
  /** Every sweep. The minute before its time is for clocks that differ, and for a sweep that runs late. */
  fresh: { youngest: -1, oldest: 2 },
  /** A sweep of every fifth minute: the second chance, within the 30 minutes of an unlinked document. */
  second: { everyMinutes: 5, youngest: 14, oldest: 24 },
  /** Of the same sweep: what is not settled at this age, it counts as overdue. As wide as its interval: each once. */
  overdue: { youngest: 10, oldest: 15 },
  /** The first sweep of an hour: the last chance, for what is linked. */
  nextDay: { everyMinutes: 60, youngest: 25 * 60, oldest: 26 * 60 },
  /** A sweep later than this is acknowledged without a request: those after it have done its work. */
  supersededAfterMinutes: 30,
  /** The same for the first sweep of an hour. */
  hourlySupersededAfterMinutes: 60,
} as const;

/**
 * Documents that one event may queue: an order of a thousand numbers shares a few. What is beyond is found by sweeps;
 * a signed event of 1 MB could otherwise make 26,000 messages.
 */
export const mostDocumentsPerEvent = 1_000;

/** Rows of one page of a Telnyx list, at most 250 (Telnyx API reference, "List all documents"). */
export const telnyxPageSize = 250;

/**
 * Where download links may lead unless the stage names hosts of its own: all public endpoints of Amazon S3 under
 * amazonaws.com, the old forms with a hyphen included (AWS General Reference, "Amazon Simple Storage Service endpoints
 * and quotas"), and Telnyx's own storage; path style, as Telnyx documents it, or with the bucket in front.
 * `infra/stage.ts` documents the patterns.
 */
export const defaultDownloadHosts = [
  's3.amazonaws.com',
  's3-external-1.amazonaws.com',
  's3-accelerate.amazonaws.com',
  's3-accelerate.dualstack.amazonaws.com',
  's3.<region>.amazonaws.com',
  's3-<region>.amazonaws.com',
  's3.dualstack.<region>.amazonaws.com',
  's3-fips.<region>.amazonaws.com',
  's3-fips-<region>.amazonaws.com',
  's3-fips.dualstack.<region>.amazonaws.com',
  '<region>.telnyxcloudstorage.com',
].flatMap((endpoint) => [endpoint, `*.${endpoint}`]);

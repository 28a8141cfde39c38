/**
 * The numbers that the functions and the deployed resources must agree on, each written once. Imports nothing, so that
 * `infra/` can import it.
 */

const seconds = 1_000;
const minutes = 60 * seconds;
const days = 24 * 60 * minutes;

/** Telnyx deletes a document that no service links within 30 minutes (Telnyx's guide to documents). */
export const unlinkedLifetimeMs = 30 * minutes;

/** Maximum size of one PutObject: 5 GiB (Amazon S3 quotas). */
export const singlePutBytes = 5 * 1024 ** 3;

/** By how much the clock of Telnyx, S3 or another machine may differ from this one's. */
export const clockSkewMs = 5 * minutes;

/** Timeouts of the functions, and the part of them that is reserved for an orderly end. */
export const timeouts = {
  archiveMs: 60 * seconds,
  /** A span of 100,000 documents takes about 800 requests to Telnyx, one after the other (`npm run bench -- --only discover`). */
  discoverMs: 300 * seconds,
  /** A part of the audit ends by itself after a share of it, and leaves the rest to the next delivery. */
  auditMs: 300 * seconds,
  /** Telnyx waits 2 s in total for a webhook's response. */
  webhookMs: 3 * seconds,
  /** Reserved at the end of an invocation, so that its result is always returned. */
  reserveMs: 3 * seconds,
  /** middy's early timeout, for an invocation that has not ended by itself by then. The whole batch fails. */
  lastResortMs: 500,
} as const;

/**
 * Largest document that a deployed archiver accepts: one that `archive` can copy in its time at 20 MB/s, even if it
 * must download it twice because neither Telnyx nor its storage states the length. The speed is an assumption, about a
 * quarter of the bandwidth of a function with 1,024 MB. From its third receive on, a document has all of it.
 */
export const largestDocumentBytes = (20_000_000 * (timeouts.archiveMs - timeouts.reserveMs)) / (2 * seconds);

/**
 * When a message is received again after a failure, and when it becomes a dead letter. All ages are computed from the
 * record's timestamps and never from receive counts: neither a long outage nor throttled receives use up attempts.
 */
export interface RetryTimings {
  /** The shortest wait before the next receive. Otherwise the wait equals the message's age. */
  minWaitMs: number;
  /** The longest wait in a live lane while the document may still be unlinked at Telnyx. */
  maxLiveWaitMs: number;
  /** The longest wait in any other case. */
  maxWaitMs: number;
  /** Minimum age, since the first receive, at which an error of policy `retry` may lead to a dead letter. */
  documentFaultAfterMs: number;
  /** Minimum time between the first and the last attempt of a receive for such an error to count. */
  attemptsSpanMs: number;
  /** Age, since the send, at which any failing message becomes a dead letter: SQS would delete it on day 10. */
  deadLetterAfterMs: number;
}

export const retryTimings: RetryTimings = {
  minWaitMs: 5 * seconds,
  maxLiveWaitMs: 120 * seconds,
  maxWaitMs: 30 * minutes,
  documentFaultAfterMs: 10 * minutes,
  attemptsSpanMs: 15 * seconds,
  deadLetterAfterMs: 9 * days,
};

/**
 * Age, since the first receive, from which a message that fails with policy `wait` counts as waiting, which triggers an
 * alarm. In a live lane the next receive follows within two minutes, so the alarm fires within 15 minutes: half of the
 * time that Telnyx keeps an unlinked document.
 */
export const waitingAfterMs = 10 * minutes;

/** Receive counts say nothing about a document. They only serve to isolate a message that may crash the function. */
export const receives = {
  /** From this receive on, a message is processed alone, after the others of its batch. */
  isolateFrom: 3,
  /** Upper limit of SQS's `maxReceiveCount` (Amazon SQS API reference, "CreateQueue"). */
  max: 1_000,
} as const;

/** AWS recommends a visibility timeout of six times the function's timeout (Lambda with SQS, "Configuring a queue"). */
export const visibilityPerTimeout = 6;

/**
 * SQS's `maxReceiveCount` for a queue, from the timeout of the function that reads it. A message that crashes the
 * function every time is received again once per visibility timeout. It becomes a dead letter within nine days, before
 * SQS deletes it: within five days for a timeout of one minute (1,000 receives), on day 9 for five minutes (432).
 */
export function maxReceives(timeoutMs: number): number {
  return Math.min(
    receives.max,
    Math.floor(retryTimings.deadLetterAfterMs / (visibilityPerTimeout * timeoutMs)),
  );
}

export const queues = {
  /** A dead letter keeps its original enqueue time, so the dead-letter queue needs a longer retention. */
  retentionMs: 10 * days,
  deadLetterRetentionMs: 14 * days,
  /** SQS quotas: entries per batch; bytes per message with its attributes, or per batch (Amazon SQS message quotas). */
  batchEntries: 10,
  messageBytes: 1024 ** 2,
  maxVisibilityMs: 12 * 60 * minutes,
} as const;

export const concurrency = {
  /** Records per batch; all of them are processed concurrently. */
  batchSize: 10,
  /** Concurrent invocations: `maximumConcurrency` of the event source mapping. */
  documents: 20,
  backfill: 4,
  discovery: 2,
  spans: 2,
  audit: 20,
} as const;

/** Attempts within one receive; each requests a fresh link, downloads and uploads. */
export const attempts = {
  max: 3,
  minDelayMs: 200,
  maxDelayMs: 2 * seconds,
  /** No further attempt starts with less time left than this. */
  minTimeLeftMs: 5 * seconds,
} as const;

/** How the low lanes (spans, backfill, audit) leave Telnyx's rate limit to live work. */
export const pacing = {
  /** Share of the limit that is reserved for live work. */
  liveShare: 0.5,
  /** The longest wait for the limit's reset. A request that would wait longer fails with RateLimitReserved. */
  maxWaitMs: 5 * seconds,
} as const;

/**
 * Timeouts of single calls. The idle timeout of the download is shorter than that of S3, so that a stalled download is
 * never reported as an error of S3.
 */
export const calls = {
  telnyxMs: 10 * seconds,
  downloadIdleMs: 8 * seconds,
  /** Time that any download may take. After it, the download must average at least `downloadBytesPerSecond`. */
  downloadMs: 15 * seconds,
  downloadBytesPerSecond: 128 * 1024,
  bucketIdleMs: 15 * seconds,
  bucketMs: 10 * seconds,
  /** Two such calls must fit into `timeouts.reserveMs`: at the end, unprocessed messages are returned to the queue. */
  queueMs: 1_400,
  /** Total time for SQS calls of a webhook: Telnyx waits 2 s, including a cold start. */
  webhookMs: 1_200,
  connectMs: 3 * seconds,
  /** A connection idle for longer is not reused: its peer may have closed it. Servers keep one for 5 s or more. */
  socketIdleMs: 4 * seconds,
  secretMs: 5 * seconds,
} as const;

/**
 * Which documents a sweep reads and queues, by age: the sweep's `requestedAt` minus the document's `created_at`. Ages in
 * minutes, from `youngest` (inclusive) to `oldest` (exclusive). A document that stays unarchived is queued at most six
 * times.
 */
export const sweep = {
  intervalMinutes: 1,
  /** Every sweep. The minute in the future allows for clock differences and for a sweep that runs late. */
  fresh: { youngest: -1, oldest: 2 },
  /** The sweep of every fifth minute: the second chance, while Telnyx still keeps an unlinked document. */
  second: { everyMinutes: 5, youngest: 14, oldest: 24 },
  /** The same sweep counts unarchived documents of this age as overdue. As wide as its interval, so each counts once. */
  overdue: { youngest: 10, oldest: 15 },
  /** The first sweep of an hour: the last chance, for linked documents. */
  nextDay: { everyMinutes: 60, youngest: 25 * 60, oldest: 26 * 60 },
  /** A sweep message older than this is acknowledged without a request: later sweeps have done its work. */
  supersededAfterMinutes: 30,
  /** The same for the first sweep of an hour. */
  hourlySupersededAfterMinutes: 60,
} as const;

/** The nightly audit. */
export const nightlyAudit = {
  /** Hour of the day (UTC) at which the schedule starts it. */
  hour: 2,
  /** Days within which every document, receipt and day of Telnyx's list is read once, unless the stage says otherwise. */
  fixityDays: 30,
  /** Documents per part, as the plan estimates them. */
  partDocuments: 25_000,
  /** A part ends early after this many documents, this many bytes of objects, or this share of the function's time. */
  maxPartDocuments: 50_000,
  maxPartBytes: 8 * 1024 ** 3,
  workShare: 0.6,
  /** Documents that a part inspects at the same time. */
  documentsAtOnce: 32,
  /** Documents with something missing for which a part asks Telnyx. The others stay in doubt, and are not repaired that night. */
  questionsPerPart: 1_000,
  /** Objects that the archiver did not write, of which a part keeps the findings. It counts the others, or stops to list them. */
  foreignObjects: 1_000,
  /** A part that still fails this long after its plan is recorded as unchecked. */
  uncheckedAfterMs: 6 * 60 * minutes,
  /** A later run closes a run without a summary that is older than this. */
  unfinishedAfterMs: 12 * 60 * minutes,
  /** A manifest is written when the newest one is this old. */
  manifestEveryMs: 7 * days,
  /** How far back a run looks for the last complete one. */
  lastRunWithinMs: 60 * days,
  /** How long the archiver may take to archive a document before it counts as missing. */
  graceMs: 15 * minutes,
} as const;

/**
 * Maximum number of documents that one event queues; sweeps find the rest. An order of a thousand numbers shares a few
 * documents, whereas a signed event of 1 MB could name 26,000.
 */
export const maxDocumentsPerEvent = 1_000;

/** Rows per page of a Telnyx list. The maximum is 250 (Telnyx API reference, "List all documents"). */
export const telnyxPageSize = 250;

/**
 * Hosts that download links may have unless the stage lists its own: all public endpoints of Amazon S3 under
 * amazonaws.com, including the old forms with a hyphen (AWS General Reference, "Amazon Simple Storage Service endpoints
 * and quotas"), and Telnyx's own storage; path style, as Telnyx documents it, or with the bucket as a prefix.
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

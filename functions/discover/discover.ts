/**
 * The story of one discovery message: candidates from Telnyx → those without a receipt → into the queue of their
 * lane, and never into discovery's own.
 */
import type { Bucket } from '../bucket/store.ts';
import { withoutReceipt } from '../bucket/unarchived.ts';
import { ArchiverError } from '../errors.ts';
import { attempts, type RetryTimings } from '../limits.ts';
import type { Log } from '../log.ts';
import type { DiscoveryMessage, DocumentMessage } from '../queue/messages.ts';
import type { SendMessages } from '../queue/send.ts';
import { withRetry } from '../retry.ts';
import type { TelnyxClient } from '../telnyx/client.ts';
import { createConfirmingReader } from '../telnyx/confirm.ts';
import { type Candidate, listDocuments } from '../telnyx/lists.ts';
import { createRetryingTelnyx, type RetryingTelnyx } from '../telnyx/retrying-telnyx.ts';
import { readWindow, type Window } from '../telnyx/window.ts';
import type { Random, Time } from '../time.ts';
import { documentsOfPortingOrder, documentsOfPortOut } from './orders.ts';
import { isSuperseded, planSweep, type SweepBand } from './sweep.ts';

export interface DiscoverDependencies {
  telnyx: Pick<TelnyxClient, 'get'>;
  bucket: Pick<Bucket, 'list'>;
  send: SendMessages;
  /** Where live documents go. */
  documentsQueueUrl: string;
  /** Where the documents of a span go. */
  backfillQueueUrl: string;
  /** Whether documents that Telnyx's scanner calls infected are archived too. If not, sweeps leave them out. */
  archiveInfected: boolean;
  maxDocumentBytes: number;
  timings: RetryTimings;
  log: Log;
  time: Time;
  random: Random;
}

/** The receive that a message is worked on in. */
export interface DiscoveryReceive {
  /** Milliseconds since the Unix epoch. */
  receivedAt: number;
  /** Monotonic milliseconds. */
  deadline: number;
  signal: AbortSignal;
}

export interface Discovered {
  /** Documents that Telnyx named. */
  found: number;
  /** Of these, how many are not settled and are in the queue now. */
  queued: number;
  /** Of a five-minute sweep: not settled although there was time for it. */
  overdue: number;
  /** Of a sweep: left out, since the list itself shows that they cannot be archived (infected, too large). */
  leftOut: number;
  /** Rows with something in place of the id that is not a lower-case UUID. */
  unreadable: number;
  /** Of the Telnyx API. */
  requests: number;
}

/** How one kind of message is worked on. */
interface Plan {
  /** Read in this order. */
  parts: readonly Part[];
  queueUrl: string;
  trigger: DocumentMessage['trigger'];
  event?: DocumentMessage['event'];
  /** How many candidates are gathered before their receipts are looked for. */
  gathered: number;
}

interface Part {
  read: () => AsyncIterable<Candidate[]>;
  /** Of a sweep: which of the documents count, and as what. @default all are queued */
  band?: SweepBand;
}

/** Live documents are queued as soon as they are seen. */
const noneGathered = 1;
/** Ids of a span at a time: the more, the fewer listings; this many take 3 MB. */
const spanGathered = 25_000;

/**
 * Queues each document that the message leads to and that is not settled, once. May be stopped at any point and
 * started over: nothing is remembered, and what is settled by then is not queued again.
 *
 * @throws ArchiverError OrderGone, MalformedMessage for a span that ends before it begins, those of the Telnyx
 *   API, the bucket and the queue, or the signal's reason; whatever was found before is in the queue, unless the
 *   time is over or bucket or queue are what failed
 */
export async function discover(
  message: DiscoveryMessage,
  { receivedAt, deadline, signal }: DiscoveryReceive,
  dependencies: DiscoverDependencies,
): Promise<Discovered> {
  const { bucket, log, time, timings, random } = dependencies;
  const result: Discovered = { found: 0, queued: 0, overdue: 0, leftOut: 0, unreadable: 0, requests: 0 };
  if (message.kind === 'recent' && isSuperseded(message.requestedAt, receivedAt)) {
    log.info('Superseded by later sweeps', { kind: message.kind });
    return result;
  }
  const telnyx = createRetryingTelnyx(dependencies.telnyx, { deadline, signal, timings, time, random, log });
  const plan = planFor(message, telnyx, dependencies);
  const queued = new Set<string>();
  const seen = new Set<string>();
  let oldestMs: number | undefined;

  const readPart = async ({ read, band }: Part) => {
    let gathered = new Map<string, Candidate>();
    const queueGathered = async () => {
      // Taken first: what bucket or queue have failed is left to the next attempt.
      const taken = gathered;
      gathered = new Map();
      const missing = await withoutReceipt([...taken.keys()], bucket, signal);
      const wanted = missing.filter((id) => band === undefined || band.isQueued(taken.get(id)?.createdAt));
      await send(wanted, plan, message.requestedAt, signal, dependencies);
      for (const id of wanted) queued.add(id);
      for (const id of taken.keys()) seen.add(id);
      for (const id of missing) {
        const createdAt = taken.get(id)?.createdAt;
        if (band?.isOverdue(createdAt)) result.overdue += 1;
        if (createdAt !== undefined) oldestMs = Math.max(oldestMs ?? 0, receivedAt - createdAt);
      }
      result.found = seen.size;
      result.queued = queued.size;
    };
    const add = (candidate: Candidate) => {
      const { id, createdAt } = candidate;
      if (id === undefined) {
        result.unreadable += 1;
        if (band?.isOverdue(createdAt)) result.overdue += 1;
      } else if (seen.has(id)) return;
      else if (band !== undefined && cannotBeArchived(candidate, dependencies)) {
        seen.add(id);
        result.leftOut += 1;
      } else gathered.set(id, candidate);
    };
    try {
      for await (const candidates of read()) {
        candidates.forEach(add);
        if (gathered.size >= plan.gathered) await queueGathered();
      }
    } finally {
      // What is known is queued even where reading on is not possible.
      await queueGathered();
    }
  };

  try {
    for (const part of plan.parts) {
      await withRetry(() => readPart(part), {
        most: attempts.most,
        // What passes by itself was waited out, or is waited out better by the message.
        delayAfter: (error) =>
          error.retryPolicy === 'retry' && !error.conclusive
            ? timings.attemptsSpanMs / (attempts.most - 1)
            : undefined,
        leastTimeMs: attempts.leastTimeMs,
        deadline,
        attemptsSpanMs: timings.attemptsSpanMs,
        signal,
        time,
        onRetry: ({ code }, attempt, delayMs) =>
          log.info('Reading again', { attempt, retryInMs: Math.round(delayMs), code }),
      });
    }
    if (message.kind === 'recent') {
      log.count('SweepsCompleted');
      // Only now, so that a sweep that is received twice counts once.
      log.count('DocumentsOverdue', result.overdue);
      if (oldestMs !== undefined) log.count('OldestUnarchived', oldestMs);
    }
  } finally {
    result.requests = telnyx.requests();
    report(result, log);
  }
  return result;
}

function planFor(
  message: DiscoveryMessage,
  telnyx: RetryingTelnyx,
  dependencies: DiscoverDependencies,
): Plan {
  const { documentsQueueUrl, backfillQueueUrl } = dependencies;
  const reader = createConfirmingReader();
  const within = (window: Window) => () =>
    readWindow(window, (created, page) => listDocuments(telnyx, created, page), reader);
  const live = { queueUrl: documentsQueueUrl, gathered: noneGathered };
  switch (message.kind) {
    case 'recent':
      return {
        ...live,
        parts: planSweep(message.requestedAt).map((band) => ({ read: within(band.window), band })),
        trigger: 'sweep',
      };
    case 'porting-order':
      return {
        ...live,
        parts: [{ read: () => documentsOfPortingOrder(telnyx, message.orderId) }],
        trigger: 'webhook',
        event: message.event,
      };
    case 'port-out':
      return {
        ...live,
        parts: [{ read: () => documentsOfPortOut(telnyx, message.orderId) }],
        trigger: 'webhook',
        event: message.event,
      };
    case 'span':
      return {
        parts: [{ read: within(spanWindow(message)) }],
        queueUrl: backfillQueueUrl,
        trigger: 'backfill',
        gathered: spanGathered,
      };
  }
}

function cannotBeArchived(
  { stated }: Candidate,
  { archiveInfected, maxDocumentBytes }: DiscoverDependencies,
): boolean {
  return (stated?.infected === true && !archiveInfected) || (stated?.bytes ?? 0) > maxDocumentBytes;
}

function spanWindow({
  createdAfter,
  createdBefore,
}: {
  createdAfter: string;
  createdBefore: string;
}): Window {
  const window = { from: Date.parse(createdAfter), to: Date.parse(createdBefore) };
  if (window.from >= window.to) {
    throw new ArchiverError(
      'MalformedMessage',
      'The span ends before it begins: createdAfter must be earlier than createdBefore.',
    );
  }
  return window;
}

async function send(
  ids: readonly string[],
  { queueUrl, trigger, event }: Plan,
  requestedAt: string,
  signal: AbortSignal,
  dependencies: DiscoverDependencies,
): Promise<void> {
  const messages = ids.map(
    (documentId): DocumentMessage => ({
      v: 1,
      kind: 'document',
      documentId,
      trigger,
      ...(event === undefined ? {} : { event }),
      requestedAt,
    }),
  );
  await dependencies.send(queueUrl, messages, signal);
}

function report(result: Discovered, log: Log): void {
  if (result.unreadable > 0) {
    log.warn('Telnyx lists documents whose ids cannot be read', { problems: result.unreadable });
  }
  log.count('DocumentsFound', result.found);
  log.count('DocumentsQueued', result.queued);
}

/**
 * Processes one discovery message: reads documents from Telnyx, drops those that have a receipt, and queues the others
 * in the documents or the backfill lane. Never sends to the queues that the discover function reads.
 */
import type { StatedFact } from '../bucket/contexts.ts';
import { withoutReceipt } from '../bucket/unarchived.ts';
import { ArchiverError, asArchiverError } from '../errors.ts';
import { attempts, type RetryTimings } from '../limits.ts';
import type { Log } from '../log.ts';
import type { DiscoveryMessage, DocumentMessage } from '../queue/messages.ts';
import type { SendMessages } from '../queue/send.ts';
import { withRetry } from '../retry.ts';
import type { TelnyxClient } from '../telnyx/client.ts';
import { createConfirmingReader } from '../telnyx/confirm.ts';
import { type Candidate, listAllLinks, listDocuments } from '../telnyx/lists.ts';
import { createRetryingTelnyx, type RetryingTelnyx, type SparingTelnyx } from '../telnyx/retrying-telnyx.ts';
import { readWindow, type Window } from '../telnyx/window.ts';
import { type Random, withDeadline } from '../time.ts';
import { type ContextDependencies, writeContexts } from './contexts.ts';
import {
  documentsOfNumberOrder,
  documentsOfPortingOrder,
  documentsOfPortOut,
  type FoundDocument,
} from './orders.ts';
import { isSuperseded, linkPageOf, planSweep, type SweepBand } from './sweep.ts';

export interface DiscoverDependencies extends ContextDependencies {
  telnyx: Pick<TelnyxClient, 'get'>;
  send: SendMessages;
  /** Queue for documents found by a sweep or through an order. */
  documentsQueueUrl: string;
  /** Queue for documents found in a span. */
  backfillQueueUrl: string;
  /** Whether documents that Telnyx's scanner reports as infected are archived. If not, sweeps do not queue them. */
  archiveInfected: boolean;
  maxDocumentBytes: number;
  timings: RetryTimings;
  random: Random;
}

/** The delivery that is being processed, and its time limits. */
export interface DiscoveryReceive {
  /** Milliseconds since the Unix epoch. */
  receivedAt: number;
  /** Monotonic milliseconds. */
  deadline: number;
  signal: AbortSignal;
}

export interface DiscoveryResult {
  /** Documents that Telnyx listed. */
  found: number;
  /** Documents without a receipt that were sent to a queue. */
  queued: number;
  /** Documents of 10 to 15 minutes without a receipt; only five-minute sweeps count them. */
  overdue: number;
  /** Documents that a sweep did not queue because the list shows that they cannot be archived (infected, too large). */
  leftOut: number;
  /** Rows whose id is not a lower-case UUID. */
  unreadable: number;
  /** Requests to the Telnyx API. */
  requests: number;
}

/** How to process one kind of message. */
interface Plan {
  /** Lists to read, in this order. */
  parts: readonly Part[];
  queueUrl: string;
  trigger: DocumentMessage['trigger'];
  event?: DocumentMessage['event'];
  /** Candidates to collect before looking up their receipts. */
  batchSize: number;
}

interface Part {
  read: () => AsyncIterable<FoundDocument[]>;
  /** Sweeps only: which documents are queued, and which are overdue. @default all are queued, none is overdue */
  band?: SweepBand;
}

/** Time limit for the document links of a sweep, so that they do not delay the next sweeps. */
const linksMs = 20_000;

/** Live documents are queued after each page of the list. */
const liveBatchSize = 1;
/** A larger batch needs fewer listings of receipts. 25,000 ids take 3 MB. */
const spanBatchSize = 25_000;

/**
 * Queues each document that the message leads to and that has no receipt, once. Keeps no state, so it may be stopped
 * at any point and run again: documents archived in the meantime are not queued again. Then writes the
 * contexts of the documents.
 *
 * @throws ArchiverError OrderGone; MalformedMessage for a span that ends before it begins; errors of the Telnyx API,
 *   the bucket or the queue; or the signal's reason. Documents found before the error have been queued, unless the
 *   signal aborted or the bucket or the queue failed
 */
export async function discover(
  message: DiscoveryMessage,
  { receivedAt, deadline, signal }: DiscoveryReceive,
  dependencies: DiscoverDependencies,
): Promise<DiscoveryResult> {
  const { bucket, log, time, timings, random } = dependencies;
  const result: DiscoveryResult = { found: 0, queued: 0, overdue: 0, leftOut: 0, unreadable: 0, requests: 0 };
  if (message.kind === 'recent' && isSuperseded(message.requestedAt, receivedAt)) {
    log.info('Sweep skipped: later sweeps cover it', { kind: message.kind });
    return result;
  }
  const telnyx = createRetryingTelnyx(dependencies.telnyx, { deadline, signal, timings, time, random, log });
  const plan = createPlan(message, telnyx, dependencies);
  const queued = new Set<string>();
  const seen = new Set<string>();
  const facts: StatedFact[] = [];
  let oldestMs: number | undefined;

  const readPart = async ({ read, band }: Part) => {
    let collected = new Map<string, Candidate>();
    const queueCollected = async () => {
      // Cleared first: a batch on which the bucket or the queue failed is left to the next attempt.
      const batch = collected;
      collected = new Map();
      const unarchived = await withoutReceipt([...batch.keys()], bucket, signal);
      const toQueue = unarchived.filter(
        // Stryker disable next-line OptionalChaining: always in the batch; required by the type.
        (id) => band === undefined || band.isQueued(batch.get(id)?.createdAt),
      );
      await sendDocuments(toQueue, plan, message.requestedAt, signal, dependencies);
      for (const id of toQueue) queued.add(id);
      for (const id of batch.keys()) seen.add(id);
      for (const id of unarchived) {
        // Stryker disable next-line OptionalChaining: always in the batch; required by the type.
        const createdAt = batch.get(id)?.createdAt;
        if (band?.isOverdue(createdAt)) result.overdue += 1;
        if (createdAt !== undefined) oldestMs = Math.max(oldestMs ?? 0, receivedAt - createdAt);
      }
      result.found = seen.size;
      result.queued = queued.size;
    };
    const add = ({ fact, ...candidate }: FoundDocument) => {
      const { id, createdAt } = candidate;
      if (id === undefined) {
        result.unreadable += 1;
        if (band?.isOverdue(createdAt)) result.overdue += 1;
        return;
      }
      if (fact) facts.push({ documentId: id, ...fact });
      if (seen.has(id)) return;
      if (band !== undefined && cannotBeArchived(candidate, dependencies)) {
        seen.add(id);
        result.leftOut += 1;
      } else collected.set(id, candidate);
    };
    try {
      for await (const candidates of read()) {
        candidates.forEach(add);
        if (collected.size >= plan.batchSize) await queueCollected();
      }
    } finally {
      // Also after a failed request: documents found so far are queued.
      await queueCollected();
    }
  };

  const readParts = async () => {
    for (const part of plan.parts) {
      await withRetry(() => readPart(part), {
        maxAttempts: attempts.max,
        // Other errors were retried per request (`createRetryingTelnyx`), or the message waits in its queue.
        delayAfter: (error) =>
          error.retryPolicy === 'retry' && !error.conclusive
            ? timings.attemptsSpanMs / (attempts.max - 1)
            : undefined,
        minTimeLeftMs: attempts.minTimeLeftMs,
        deadline,
        attemptsSpanMs: timings.attemptsSpanMs,
        signal,
        time,
        onRetry: ({ code }, attempt, delayMs) =>
          log.info('Retrying', { attempt, retryInMs: Math.round(delayMs), code }),
      });
    }
  };

  try {
    try {
      await readParts();
    } catch (error) {
      await learnAside(() => writeContexts(facts, signal, dependencies), dependencies);
      throw error;
    }
    if (message.kind === 'recent') {
      log.count('SweepsCompleted');
      // Counted after the last part, so that a sweep that fails and is received again counts once.
      log.count('DocumentsOverdue', result.overdue);
      if (oldestMs !== undefined) log.count('OldestUnarchived', oldestMs);
      await learnAside(() => learnFromLinks(message.requestedAt, telnyx, signal, dependencies), dependencies);
    }
    await writeContexts(facts, signal, dependencies);
  } finally {
    result.requests = telnyx.requests();
    logResult(result, log);
  }
  return result;
}

/** Writes contexts for one page of the document links. @throws ArchiverError those of Telnyx's API and of `Bucket`; OutOfTime */
function learnFromLinks(
  requestedAt: string,
  telnyx: SparingTelnyx,
  signal: AbortSignal,
  dependencies: DiscoverDependencies,
): Promise<void> {
  // Stryker disable next-line StringLiteral: only the code is logged.
  const timedOut = () => new ArchiverError('OutOfTime', 'The document links took too long.');
  return withDeadline(dependencies.time, linksMs, signal, timedOut, async (limited) => {
    const links = await listAllLinks({ get: telnyx.getSpare }, linkPageOf(requestedAt));
    limited.throwIfAborted();
    const found = links.map(
      ({ documentId, resourceId, type }): StatedFact => ({ documentId, kind: 'link', id: resourceId, type }),
    );
    await writeContexts(found, limited, dependencies);
  });
}

/** Runs `learn` and only logs a failure: the archiving of documents does not depend on contexts. */
async function learnAside(
  learn: () => Promise<void>,
  { log }: Pick<DiscoverDependencies, 'log'>,
): Promise<void> {
  try {
    await learn();
  } catch (thrown) {
    log.info('Contexts not written', { code: asArchiverError(thrown).code });
  }
}

function createPlan(
  message: DiscoveryMessage,
  telnyx: RetryingTelnyx,
  dependencies: DiscoverDependencies,
): Plan {
  const { documentsQueueUrl, backfillQueueUrl } = dependencies;
  const reader = createConfirmingReader();
  const listOf = (window: Window) => () =>
    readWindow(window, (created, page) => listDocuments(telnyx, created, page), reader);
  const live = { queueUrl: documentsQueueUrl, batchSize: liveBatchSize };
  switch (message.kind) {
    case 'recent':
      return {
        ...live,
        parts: planSweep(message.requestedAt).map((band) => ({ read: listOf(band.window), band })),
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
    case 'number-order':
      return {
        ...live,
        parts: [{ read: () => documentsOfNumberOrder(telnyx, message.orderId) }],
        trigger: 'webhook',
        event: message.event,
      };
    case 'span':
      return {
        parts: [{ read: listOf(spanWindow(message)) }],
        queueUrl: backfillQueueUrl,
        trigger: 'backfill',
        batchSize: spanBatchSize,
      };
  }
}

function cannotBeArchived(
  { stated }: Candidate,
  { archiveInfected, maxDocumentBytes }: DiscoverDependencies,
): boolean {
  // Stryker disable next-line OptionalChaining: rows of the documents list always state something.
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

async function sendDocuments(
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

function logResult(result: DiscoveryResult, log: Log): void {
  if (result.unreadable > 0) {
    log.warn('Telnyx listed rows without a valid document ID', { problems: result.unreadable });
  }
  log.count('DocumentsFound', result.found);
  log.count('DocumentsQueued', result.queued);
}

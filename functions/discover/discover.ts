/**
 * The story of one discovery message: candidates from Telnyx → those without a receipt → into the queue of their
 * lane, and never into discovery's own.
 */
import type { Bucket } from '../bucket/store.ts';
import { ArchiverError } from '../errors.ts';
import { backoffLadderMs, receives, sweep, timeouts } from '../limits.ts';
import type { Log } from '../log.ts';
import type { DiscoveryMessage, DocumentMessage } from '../queue/messages.ts';
import type { SendMessages } from '../queue/send.ts';
import type { TelnyxClient } from '../telnyx/client.ts';
import { type Candidate, listDocuments } from '../telnyx/lists.ts';
import { createPatientTelnyx, type PatientTelnyx } from '../telnyx/patience.ts';
import type { Random, Time } from '../time.ts';
import { documentsOfPortingOrder, documentsOfPortOut } from './orders.ts';
import { withoutReceipt } from './unarchived.ts';
import { readWindow, type Window } from './window.ts';

export interface DiscoverDependencies {
  telnyx: Pick<TelnyxClient, 'get'>;
  bucket: Pick<Bucket, 'list'>;
  send: SendMessages;
  /** Where live documents go. */
  documentsQueueUrl: string;
  /** Where the documents of a span go. */
  backfillQueueUrl: string;
  /** From one `recent` message to the next. */
  sweepIntervalMs: number;
  /** How far before its `requestedAt` a `recent` message reads. */
  sweepLookBackMs: number;
  log: Log;
  time: Time;
  random: Random;
}

/** Until when there is time to work on the message. */
export interface Receive {
  /** Monotonic milliseconds. */
  deadline: number;
  signal: AbortSignal;
}

export interface Discovered {
  /** Documents that Telnyx named. */
  found: number;
  /** Of these, how many had no receipt and are in the queue now. */
  queued: number;
  /** Of a sweep: without a receipt although there was time for one. */
  missed: number;
  /** Rows with something in place of the id that is no lower-case UUID. */
  unreadable: number;
  /** Of the Telnyx API. */
  requests: number;
}

/** How one kind of message is worked on. */
interface Plan {
  candidates: AsyncIterable<Candidate[]>;
  queueUrl: string;
  trigger: DocumentMessage['trigger'];
  event?: DocumentMessage['event'];
  /** How many candidates are gathered before their receipts are looked for. */
  gathered: number;
}

/** Live documents are queued as soon as they are seen. */
const noneGathered = 1;
/** Ids of a span at a time: the more, the fewer listings; this many take 3 MB. */
const spanGathered = 25_000;

/**
 * Queues each document that the message leads to and that has no receipt, once. May be stopped at any point and
 * started over: nothing is remembered, and what has a receipt by then is not queued again.
 *
 * @throws ArchiverError OrderGone, MalformedMessage for a span that ends before it begins, those of the Telnyx
 *   API, the bucket and the queue, or the signal's reason; whatever was found before is in the queue, unless the
 *   time is over or bucket or queue are what failed
 */
export async function discover(
  message: DiscoveryMessage,
  { deadline, signal }: Receive,
  dependencies: DiscoverDependencies,
): Promise<Discovered> {
  const { bucket, log, time, random } = dependencies;
  const telnyx = createPatientTelnyx(dependencies.telnyx, { deadline, signal, time, random, log });
  const plan = planFor(message, telnyx, dependencies);
  const sweeping = message.kind === 'recent';
  const missedBefore = sweeping
    ? time.now() - missedAfterMs(dependencies.sweepIntervalMs)
    : Number.NEGATIVE_INFINITY;
  const result: Discovered = { found: 0, queued: 0, missed: 0, unreadable: 0, requests: 0 };
  const queued = new Set<string>();
  let gathered = new Map<string, number | undefined>();

  const settle = async () => {
    // Taken first: what bucket or queue have failed is left to the message's next receive.
    const taken = gathered;
    gathered = new Map();
    const missing = await withoutReceipt([...taken.keys()], bucket, signal);
    await send(missing, plan, message.requestedAt, signal, dependencies);
    for (const id of missing) queued.add(id);
    result.found += taken.size;
    result.queued = queued.size;
    result.missed += missing.filter((id) => (taken.get(id) ?? missedBefore) < missedBefore).length;
  };

  try {
    try {
      for await (const candidates of plan.candidates) {
        for (const { id, createdAt } of candidates) {
          if (id === undefined) result.unreadable += 1;
          else if (!queued.has(id)) gathered.set(id, createdAt);
        }
        if (gathered.size >= plan.gathered) await settle();
      }
    } finally {
      // What is known is queued even where reading on is not possible.
      await settle();
    }
    if (sweeping) log.count('SweepsCompleted');
  } finally {
    result.requests = telnyx.requests();
    report(result, sweeping, log);
  }
  return result;
}

function planFor(message: DiscoveryMessage, telnyx: PatientTelnyx, dependencies: DiscoverDependencies): Plan {
  const { documentsQueueUrl, backfillQueueUrl } = dependencies;
  const within = (window: Window) =>
    readWindow(window, (created, page) => listDocuments(telnyx, created, page));
  const live = { queueUrl: documentsQueueUrl, gathered: noneGathered };
  switch (message.kind) {
    case 'recent':
      return {
        ...live,
        candidates: within(recentWindow(message.requestedAt, dependencies)),
        trigger: 'sweep',
      };
    case 'porting-order':
      return {
        ...live,
        candidates: documentsOfPortingOrder(telnyx, message.orderId),
        trigger: 'webhook',
        event: message.event,
      };
    case 'port-out':
      return {
        ...live,
        candidates: documentsOfPortOut(telnyx, message.orderId),
        trigger: 'webhook',
        event: message.event,
      };
    case 'span':
      return {
        candidates: within(spanWindow(message)),
        queueUrl: backfillQueueUrl,
        trigger: 'backfill',
        gathered: spanGathered,
      };
  }
}

/**
 * What a `recent` message reads, whenever it is worked on: from one look-back before it was sent to one after, so
 * that one which waited through an outage still covers its part of it, and no more.
 *
 * After a silence of the schedule itself there are no such messages. So the first sweep of each hour looks back
 * further, over a day and more, and what a silence of up to a day hid is found within an hour of its end. (That
 * the latest documents have receipts would prove nothing: webhooks go on while sweeps are silent.) What is unlinked
 * is gone by then anyway, and what is linked can wait for that hour. After a longer silence, backfill the span.
 */
export function recentWindow(
  requestedAt: string,
  { sweepIntervalMs, sweepLookBackMs }: Pick<DiscoverDependencies, 'sweepIntervalMs' | 'sweepLookBackMs'>,
): Window {
  const requested = Date.parse(requestedAt);
  const firstOfTheHour = requested % hourMs < sweepIntervalMs;
  const lookBackMs = firstOfTheHour
    ? Math.max(sweepLookBackMs, sweep.longLookBackMinutes * minuteMs)
    : sweepLookBackMs;
  return { from: requested - lookBackMs, to: requested + sweepLookBackMs };
}

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;

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
      'The span ends before it begins: createdAfter is to be earlier.',
    );
  }
  return window;
}

/**
 * How old a document must be for a missing receipt to mean something: one sweep, and then all receives of the
 * retry ladder, each up to the function's time limit and each wait at its longest. With a sweep every 5 minutes
 * that is under 25 minutes, before Telnyx deletes. What is older and still without has slipped through, is a dead
 * letter or waits for a person, who has an alarm for these two already.
 */
export function missedAfterMs(sweepIntervalMs: number): number {
  const waitsMs = backoffLadderMs.retry.reduce((sum, rung) => sum + 1.2 * rung, 0);
  return sweepIntervalMs + waitsMs + receives.retry * timeouts.archiveMs;
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

function report(result: Discovered, sweeping: boolean, log: Log): void {
  if (result.unreadable > 0) {
    log.warn('Telnyx lists documents whose ids cannot be read', { problems: result.unreadable });
  }
  log.count('DocumentsFound', result.found);
  log.count('DocumentsQueued', result.queued);
  if (sweeping) log.count('DocumentsMissed', result.missed + result.unreadable);
}

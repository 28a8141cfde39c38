/** A Telnyx whose list changes between any two requests, a bucket's receipts and a queue, all in virtual time. */
import { receiptKey } from '../../functions/bucket/keys.ts';
import type { Bucket } from '../../functions/bucket/store.ts';
import { type DiscoverDependencies, discover } from '../../functions/discover/discover.ts';
import { ArchiverError } from '../../functions/errors.ts';
import { retryTimings, singlePutBytes } from '../../functions/limits.ts';
import { createLog } from '../../functions/log.ts';
import type { DiscoveryMessage, DocumentMessage, QueueMessage } from '../../functions/queue/messages.ts';
import type { SendMessages } from '../../functions/queue/send.ts';
import type { TelnyxClient } from '../../functions/telnyx/client.ts';
import { smallestFullPage } from '../../functions/telnyx/pages.ts';
import { sleep } from '../../functions/time.ts';
import { virtualTime } from '../fakes/clock.ts';
import { type ListedRow, type ListOptions, pageOf } from '../fakes/telnyx-list.ts';

export const noon = Date.parse('2026-11-24T12:00:00Z');
export const minutes = 60_000;

export function documentId(number: number): string {
  return `${hex(Math.imul(number + 1, 0x9e3779b1) >>> 0, 8)}-0000-4000-8000-${hex(number, 12)}`;
}

const hex = (number: number, digits: number) => number.toString(16).padStart(digits, '0');

/** What happens at one request, instead of or before its answer. */
export interface Step {
  fault?:
    | 'rate-limited'
    | 'unavailable'
    | 'garbled'
    | 'empty'
    | 'repeated'
    | 'unfiltered'
    | 'nonsense'
    | 'too-large'
    | undefined;
  /** Called before the answer is made up. */
  change?: (() => void) | undefined;
}

export interface WorldOptions extends ListOptions<ListedRow> {
  documents?: ListedRow[];
  archived?: Iterable<string>;
  /** What the list shows of a document. @default its id and instant */
  show?: (document: ListedRow) => unknown;
  total?: () => number;
  step?: (request: number) => Step;
  start?: number;
  overrides?: Partial<DiscoverDependencies>;
}

/** Documents of another year: a page of its own for each page number. */
function elsewhen(pageNumber: number): unknown[] {
  return Array.from({ length: smallestFullPage }, (_, row) =>
    shown({
      id: documentId(9_000_000 + pageNumber * smallestFullPage + row),
      createdAt: noon - 365 * 24 * 60 * minutes,
    }),
  );
}

export type World = ReturnType<typeof createWorld>;

export function createWorld(options: WorldOptions = {}) {
  const time = virtualTime(options.start ?? noon + 7 * minutes);
  const documents = new Map((options.documents ?? []).map((document) => [document.id, document]));
  const receipts = new Set([...(options.archived ?? [])].map(receiptKey));
  const sent: { queueUrl: string; message: QueueMessage }[] = [];
  const lines: Record<string, unknown>[] = [];
  const requested: { path: string; query: URLSearchParams }[] = [];
  /** Counts every call to a neighbour; may throw in place of it. */
  const calls = { count: 0, before: (_count: number): void => undefined };
  let listings = 0;
  let delivered: unknown;

  const call = () => {
    calls.count += 1;
    calls.before(calls.count);
  };
  const listed = (query: URLSearchParams): unknown[] =>
    pageOf(documents.values(), query, options).map(options.show ?? shown);

  const telnyx: Pick<TelnyxClient, 'get'> = {
    get: async (path, query, _gone, signal) => {
      call();
      requested.push({ path, query });
      await sleep(time, 50, signal);
      const { fault, change } = options.step?.(requested.length) ?? {};
      change?.();
      const rateLimit = { limit: undefined, remaining: undefined, resetMs: undefined };
      switch (fault) {
        case 'rate-limited':
          throw new ArchiverError('RateLimited', 'Too many requests.', { retryAfterMs: 1_000 });
        case 'unavailable':
          throw new ArchiverError('TelnyxUnavailable', 'Unavailable.');
        case 'too-large':
          throw new ArchiverError('AnswerTooLarge', 'More than 32 MiB.');
        case 'garbled':
          throw new ArchiverError('UnexpectedResponse', 'Not JSON.');
        case 'nonsense':
          return { body: { rows: [] }, rateLimit };
        case 'empty':
          delivered = [];
          break;
        case 'repeated':
          delivered ??= [];
          break;
        case 'unfiltered':
          delivered = elsewhen(Number(query.get('page[number]')));
          break;
        default:
          delivered = listed(query);
      }
      const total = options.total?.() ?? 0;
      return { body: { data: delivered, meta: { total_pages: total, total_results: total } }, rateLimit };
    },
  };
  const bucket: Pick<Bucket, 'list'> = {
    list: async (prefix, startAfter, signal) => {
      call();
      listings += 1;
      await sleep(time, 20, signal);
      return [...receipts]
        .filter((key) => key.startsWith(prefix) && (startAfter === undefined || key > startAfter))
        .sort()
        .slice(0, 1_000);
    },
  };
  const send: SendMessages = async (queueUrl, messages, signal) => {
    call();
    await sleep(time, 10, signal);
    sent.push(...messages.map((message) => ({ queueUrl, message })));
  };
  const dependencies: DiscoverDependencies = {
    telnyx,
    bucket,
    send,
    documentsQueueUrl: 'documents',
    backfillQueueUrl: 'backfill',
    archiveInfected: false,
    maxDocumentBytes: singlePutBytes,
    timings: retryTimings,
    log: createLog({ name: 'test', write: (line) => lines.push(JSON.parse(line)), now: () => time.now() }),
    time,
    random: () => 0.5,
    ...options.overrides,
  };

  return {
    time,
    documents,
    sent,
    lines,
    requested,
    calls,
    dependencies,
    listings: () => listings,
    archive: (id: string) => receipts.add(receiptKey(id)),
    /** Ids in the order in which they were queued. */
    queued: () => sent.map(({ message }) => (message as DocumentMessage).documentId),
    /** The sum of a metric's values. */
    counted: (metric: string) =>
      lines.reduce((sum, line) => sum + (metric in line ? Number(line[metric]) : 0), 0),
    discover: (message: DiscoveryMessage, signal = new AbortController().signal) =>
      discover(
        message,
        { receivedAt: time.now(), deadline: time.monotonic() + 297_000, signal },
        dependencies,
      ),
  };
}

function shown({ id, createdAt }: ListedRow): unknown {
  return { id, record_type: 'document', created_at: new Date(createdAt).toISOString() };
}

export function recent(requestedAt: number): DiscoveryMessage {
  return { v: 1, kind: 'recent', requestedAt: new Date(requestedAt).toISOString() };
}

export function span(createdAfter: number, createdBefore: number): DiscoveryMessage {
  return {
    v: 1,
    kind: 'span',
    createdAfter: new Date(createdAfter).toISOString(),
    createdBefore: new Date(createdBefore).toISOString(),
    requestedAt: new Date(noon).toISOString(),
  };
}

/** Documents created one after the other, `apartMs` apart, the last of them at `last`. */
export function someDocuments(count: number, last: number, apartMs: number): ListedRow[] {
  return Array.from({ length: count }, (_, position) => ({
    id: documentId(position),
    createdAt: last - position * apartMs,
  }));
}

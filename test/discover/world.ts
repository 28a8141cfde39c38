/** Fakes for discover tests in virtual time: a Telnyx list that may change between requests, receipts, and a queue. */
import { receiptKey } from '../../functions/bucket/keys.ts';
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

const unlimited = { limit: undefined, remaining: undefined, resetMs: undefined };

const hex = (number: number, digits: number) => number.toString(16).padStart(digits, '0');

/** What happens at one request to Telnyx. */
export interface Step {
  /** Replaces the normal response. */
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
  /** Changes the list before the response is built. */
  change?: (() => void) | undefined;
}

export interface WorldOptions extends ListOptions<ListedRow> {
  documents?: ListedRow[];
  archived?: Iterable<string>;
  /** The row that the list returns for a document. @default its id and `created_at` */
  rowOf?: (document: ListedRow) => unknown;
  /** The totals in the response's `meta`. */
  total?: () => number;
  /** @param request counts from 1 */
  step?: (request: number) => Step;
  start?: number;
  /** Rows of the list of all document links, by page number. @default none */
  links?: (pageNumber: number) => unknown[];
  /** Keys under `contexts/`. */
  contexts?: Iterable<string>;
  overrides?: Partial<DiscoverDependencies>;
}

/** Documents of another year, different ones for each page number. */
function rowsOfAnotherYear(pageNumber: number): unknown[] {
  return Array.from({ length: smallestFullPage }, (_, row) =>
    rowOf({
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
  const contexts = new Map<string, Buffer>(
    [...(options.contexts ?? [])].map((key) => [key, Buffer.from('')]),
  );
  const linkPages: number[] = [];
  const sent: { queueUrl: string; message: QueueMessage }[] = [];
  const lines: Record<string, unknown>[] = [];
  const requested: { path: string; query: URLSearchParams }[] = [];
  /** Counts the calls to Telnyx, bucket and queue. `before` may throw to fail a call. */
  const calls = { count: 0, before: (_count: number): void => undefined };
  let listings = 0;
  let lastRows: unknown;

  const call = () => {
    calls.count += 1;
    calls.before(calls.count);
  };
  const listed = (query: URLSearchParams): unknown[] =>
    pageOf(documents.values(), query, options).map(options.rowOf ?? rowOf);

  const telnyx: Pick<TelnyxClient, 'get'> = {
    get: async (path, query, _gone, signal) => {
      if (path === 'document_links') {
        const number = Number(query.get('page[number]'));
        linkPages.push(number);
        return { body: { data: options.links?.(number) ?? [] }, rateLimit: unlimited };
      }
      call();
      requested.push({ path, query });
      await sleep(time, 50, signal);
      const { fault, change } = options.step?.(requested.length) ?? {};
      change?.();
      const rateLimit = unlimited;
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
          lastRows = [];
          break;
        case 'repeated':
          lastRows ??= [];
          break;
        case 'unfiltered':
          lastRows = rowsOfAnotherYear(Number(query.get('page[number]')));
          break;
        default:
          lastRows = listed(query);
      }
      const total = options.total?.() ?? 0;
      return { body: { data: lastRows, meta: { total_pages: total, total_results: total } }, rateLimit };
    },
  };
  const bucket: DiscoverDependencies['bucket'] = {
    putOnce: async ({ key, body }, signal) => {
      call();
      await sleep(time, 20, signal);
      if (contexts.has(key)) return 'exists';
      contexts.set(key, body as Buffer);
      return { bytes: 0, sha256: undefined, etag: undefined, versionId: undefined };
    },
    list: async (prefix, startAfter, signal) => {
      call();
      listings += 1;
      await sleep(time, 20, signal);
      return [...receipts, ...contexts.keys()]
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
    version: '0.2.0',
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
    /** Pages of the document links that were requested. */
    linkPages,
    /** Keys and contents under `contexts/`. */
    contexts,
    calls,
    dependencies,
    listings: () => listings,
    archive: (id: string) => receipts.add(receiptKey(id)),
    /** Ids of queued documents, in the order they were queued. */
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

function rowOf({ id, createdAt }: ListedRow): unknown {
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

/** Documents created `intervalMs` apart, newest first, the newest at `newest`. */
export function someDocuments(count: number, newest: number, intervalMs: number): ListedRow[] {
  return Array.from({ length: count }, (_, position) => ({
    id: documentId(position),
    createdAt: newest - position * intervalMs,
  }));
}

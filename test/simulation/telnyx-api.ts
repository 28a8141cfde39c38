/** api.telnyx.com, for one container. */
import type { HttpGet, HttpResponse } from '../../functions/http.ts';
import { concurrency } from '../../functions/limits.ts';
import {
  type Account,
  type AccountDocument,
  type Order,
  orderNames,
  otherHosts,
  usualHost,
} from './account.ts';
import { type BodyPlan, createAnswer } from './body.ts';
import { canary } from './canary.ts';
import { type Container, connectionReset, type Reply } from './container.ts';
import type { SimulationContext } from './context.ts';
import { numberOrderRecord } from './orders.ts';

export const telnyxUrl = new URL('https://api.telnyx.com/v2');

/** Behaviour that the specification of Telnyx's API leaves open. */
export interface TelnyxBehaviour {
  /** Maximum number of rows per page. */
  pageRows: number;
  /** How the filter rounds a timestamp before it compares. */
  filtered: (instant: number) => number;
  /** Whether the bounds of the filter are inclusive. */
  inclusive: boolean;
  /** The rate limit that Telnyx enforces and states; undefined if there is none. */
  limit: RateLimit | undefined;
}

/** Applies to all containers together. */
interface RateLimit {
  perSecond: number;
  /** How the seconds until the reset are rounded in the response. */
  reset: 'exact' | 'down' | 'up' | 'unstated';
  /** Requests in the current second: all, and those of low-priority lanes. */
  window: { second: number; used: number; byLowLanes: number };
}

type Answer = { status: number; headers?: Record<string, string>; body: string; plan?: Partial<BodyPlan> };

const faultsOfAnyCall = [
  'telnyx-rate-limited',
  'telnyx-server-error',
  'telnyx-error-contains-secrets',
  'api-key-forbidden',
  'telnyx-no-response',
  'telnyx-body-stalls',
  'telnyx-body-truncated',
  'telnyx-connection-reset',
  'telnyx-returns-html',
  'telnyx-returns-malformed-json',
  'telnyx-gateway-error',
] as const;

/** Each of these invocations may have a request in transit when the limit is reached. */
const lowLaneInvocations = concurrency.backfill + concurrency.spans;

const html = '<html><body><h1>502 Bad Gateway</h1></body></html>';
const nonsense = [
  '{}',
  '[]',
  'null',
  '{"data":null}',
  '{"data":{"id":7,"url":{}}}',
  '{"data":"text"}',
  '1e999',
];

export function createTelnyxApi(
  container: Container,
  account: Account,
  behaviour: TelnyxBehaviour,
  context: SimulationContext,
): HttpGet {
  const { clock, random, injector, eventLog, monitor } = context;
  /** By invocation and list: the rows of the last response, and whether it was faulty. */
  const lastAnswers = new Map<string, { rows: string[]; faulty: boolean }>();

  const answerTo = (url: URL): Answer => {
    const [, , collection = '', id = '', part] = url.pathname.split('/');
    if (collection === 'documents' && id === '') return documents(url);
    if (collection === 'documents') return ofDocument(id, part);
    if (collection === 'document_links') return links(url);
    const order = account.orders.get(id);
    if (!order || orderNames[order.kind].collection !== collection || clock.now() >= order.goneAt) {
      container.recordCause('order gone');
      return notFound(`${collection} ${id}`);
    }
    return ofOrder(order, part, url);
  };
  /** Whether the request for a section of an order fails: at most one section per order, as long as faults occur. */
  const isDown = (orderId: string, section: string): boolean => {
    if (
      !injector.shouldInjectUncounted('telnyx-order-section-fails') &&
      account.failingSections.get(orderId) !== section
    )
      return false;
    if (injector.isStopped || (account.failingSections.get(orderId) ?? section) !== section) return false;
    account.failingSections.set(orderId, section);
    injector.count('telnyx-order-section-fails');
    container.recordCause('telnyx-order-section-fails');
    return true;
  };

  const ofDocument = (id: string, part: string | undefined): Answer => {
    const document = account.documents.get(id);
    if (!document || !account.exists(document, clock.now())) {
      container.recordCause('gone');
      return notFound(id);
    }
    if (container.shouldInject('telnyx-404-for-existing-document')) return notFound(id);
    if (container.shouldInject('telnyx-404-with-other-code')) return refusal(404, '10007', 'not now');
    if (document.expectedFailure) container.recordCause(document.expectedFailure);
    if (document.expectedFailure === 'ChecksumMismatch') injector.count('record-digest-wrong');
    if (part === undefined) {
      const shown = container.shouldInject('telnyx-returns-other-document')
        ? anotherThan(document)
        : document;
      return { status: 200, body: `{"data":${shown.record}}` };
    }
    if (container.shouldInject('telnyx-refuses-link')) return refusal(422, '10015', 'not ready');
    const expired = container.shouldInject('link-expired');
    const host = container.shouldInject('link-to-other-allowed-host') ? random.pick(otherHosts) : usualHost;
    const link = account.link(id, clock.now(), expired, host);
    const isDisallowed =
      document.expectedFailure === 'LinkNotAllowed' || container.shouldInject('link-to-disallowed-address');
    const url = isDisallowed ? random.pick(disallowedUrls(link)) : link;
    return { status: 200, body: JSON.stringify({ data: { url } }) };
  };

  const anotherThan = (document: AccountDocument): AccountDocument => {
    const others = [...account.documents.values()].filter((other) => other !== document);
    return others.length === 0 ? document : random.pick(others);
  };

  const documents = (url: URL): Answer => {
    const after = Date.parse(url.searchParams.get('filter[created_at][gt]') ?? '');
    const before = Date.parse(url.searchParams.get('filter[created_at][lt]') ?? '');
    const isWithin = (createdAt: number) => {
      const instant = behaviour.filtered(createdAt);
      const atEdge = behaviour.inclusive && (instant === after || instant === before);
      return atEdge || (instant > after && instant < before);
    };
    const rows = account.listed(clock.now(), isWithin).map(({ record }) => record);
    const outsideWindow = () =>
      account
        .listed(clock.now(), (createdAt) => createdAt < after - 5_000 || createdAt > before + 5_000)
        .map(({ record }) => record);
    const malformedRow = `{"id":"no id","created_at":"${new Date((after + before) / 2).toISOString()}"}`;
    return page('documents', url, rows, { outsideWindow, malformedRow });
  };

  const links = (url: URL): Answer => {
    const resource = url.searchParams.get('filter[linked_resource_id]');
    const all = [...account.orders.values()].filter(({ id }) => resource === null || id === resource);
    const linked = all.flatMap((order) =>
      idsAt(order, 'links').map((documentId) => ({
        documentId,
        id: order.id,
        type: orderNames[order.kind].linkedType,
      })),
    );
    const rowOf = ({ documentId, id, type }: (typeof linked)[number]) =>
      JSON.stringify({
        id: `link-${id}-${documentId}`,
        document_id: documentId,
        linked_record_type: type,
        linked_resource_id: id,
      });
    const malformedRow = '{"id":"no link","document_id":7,"linked_resource_id":null}';
    const answer = page(`links ${resource}`, url, linked.map(rowOf), { malformedRow });
    if (resource === null) {
      container.invocation?.linksRead.push(...linked.filter((link) => answer.body.includes(rowOf(link))));
    }
    return answer;
  };

  const ofOrder = (order: Order, part: string | undefined, url: URL): Answer => {
    if (isDown(order.id, part ?? 'order')) return { status: 500, body: html };
    if (part === undefined && order.kind === 'number-order') {
      const documents = order.documents.filter(({ id }) => isThere(id));
      return { status: 200, body: JSON.stringify({ data: numberOrderRecord({ ...order, documents }) }) };
    }
    if (part === undefined) {
      const [loa] = idsAt(order, 'loa');
      const [invoice] = idsAt(order, 'invoice');
      const requirements = idsAt(order, 'requirement').map((id) => ({
        field_type: 'document',
        field_value: id,
      }));
      const data = {
        id: order.id,
        customer_reference: order.reference,
        documents: { loa: loa ?? null, invoice: invoice ?? null },
        requirements: [...requirements, { field_type: 'textual', field_value: 'a text' }],
      };
      return { status: 200, body: JSON.stringify({ data }) };
    }
    const section = ({ requirements: 'requirements', additional_documents: 'additional' } as const)[part];
    const rows = idsAt(order, section ?? 'supporting').map((id) =>
      section === 'requirements'
        ? `{"id":"requirement-${id}","field_type":"document","field_value":"${id}"}`
        : `{"id":"row-${id}","document_id":"${id}"}`,
    );
    return part === 'supporting_documents'
      ? { status: 200, body: `{"data":[${rows.join()}]}` }
      : page(`${order.id} ${part}`, url, rows, {});
  };

  const idsAt = (order: Order | undefined, section: string): string[] =>
    (order?.documents ?? [])
      .filter((entry) => entry.section === section)
      .map(({ id }) => id)
      .filter(isThere);

  const isThere = (id: string): boolean => {
    const document = account.documents.get(id);
    return document !== undefined && account.exists(document, clock.now());
  };

  const page = (
    list: string,
    url: URL,
    rows: string[],
    { outsideWindow, malformedRow }: { outsideWindow?: () => string[]; malformedRow?: string },
  ): Answer => {
    const number = Number(url.searchParams.get('page[number]'));
    const size = Math.min(Number(url.searchParams.get('page[size]')), behaviour.pageRows);
    if (behaviour.pageRows < 250) injector.count('list-page-size-ignored');
    let shown = rows.slice((number - 1) * size, number * size);
    const chain = `${container.invocation?.id} ${list}`;
    const last = lastAnswers.get(chain);
    // One of two responses in a row must be correct, and concurrent readers of one list cannot be distinguished.
    const mayFail =
      last?.faulty !== true && container.invocation?.causes.has('list read concurrently') !== true;
    let faulty = false;
    if (mayFail && container.shouldInject('list-page-empty')) {
      shown = [];
      faulty = true;
    } else if (mayFail && last && container.shouldInject('list-page-repeated')) {
      shown = last.rows;
      faulty = true;
    } else if (
      mayFail &&
      outsideWindow &&
      outsideWindow().length > 0 &&
      container.shouldInject('list-filter-ignored')
    ) {
      shown = outsideWindow().slice(0, size);
      faulty = true;
    } else if (malformedRow && shown.length < size && container.shouldInject('list-row-malformed')) {
      shown = [...shown, malformedRow];
    }
    lastAnswers.set(chain, { rows: shown, faulty });
    const wrong = container.shouldInject('list-totals-wrong');
    const total = wrong ? random.integer(0, 1_000) : rows.length;
    const meta = {
      page_number: number,
      page_size: size,
      total_results: total,
      total_pages: Math.ceil(total / size),
    };
    return { status: 200, body: `{"data":[${shown.join()}],"meta":${JSON.stringify(meta)}}` };
  };

  const faultyAnswer = (fault: (typeof faultsOfAnyCall)[number], key: string): Answer | undefined => {
    switch (fault) {
      case 'telnyx-rate-limited': {
        const seconds = String(random.pick([1, 2, 10, 60]));
        const headers: Record<string, string> = random.chance(0.5)
          ? { 'x-ratelimit-reset': seconds, 'x-ratelimit-remaining': '0' }
          : { 'retry-after': seconds };
        return { ...refusal(random.chance(0.9) ? 429 : 400, '10011', 'Too many requests'), headers };
      }
      case 'telnyx-server-error':
        return random.chance(0.5)
          ? { status: random.pick([500, 502, 503, 504, 408]), body: html }
          : refusal(500, '10007', 'Unexpected error');
      case 'telnyx-error-contains-secrets':
        return refusal(
          500,
          '10007',
          `Bearer ${key} ${key} ${account.link('x', clock.now(), true)} X-Amz-Signature=${canary}`,
        );
      case 'api-key-forbidden':
        return refusal(403, '10010', 'Authorization failed');
      case 'telnyx-gateway-error':
        return {
          status: random.pick([400, 401, 403, 404, 422]),
          body: random.pick([html, '{"message":"Forbidden"}', '{"code":404,"error":"Not Found"}', '']),
        };
      case 'telnyx-returns-html':
        return { status: 200, body: html };
      case 'telnyx-returns-malformed-json':
        return { status: 200, body: random.pick(nonsense) };
      case 'telnyx-body-stalls':
        return { status: 200, body: '{"data":', plan: { ends: 'stall' } };
      case 'telnyx-body-truncated':
        return { status: 200, body: `{"data":{"url":"${account.link('x', clock.now(), true)}` };
      default:
        return undefined;
    }
  };

  const recordRequest = ({ pathname }: URL) => {
    const id = /^\/v2\/documents\/([0-9a-f-]{36})$/.exec(pathname)?.[1];
    if (id === undefined || !container.invocation) return;
    const { recordRequests } = container.invocation;
    recordRequests.set(id, [...(recordRequests.get(id) ?? []), clock.monotonic()]);
  };

  /** Counts the request. Returns the rate-limit headers of the response, and whether the limit is exceeded. */
  const countAgainstLimit = (): { headers: Record<string, string>; isOver: boolean } => {
    const { limit } = behaviour;
    if (limit === undefined || injector.isStopped) return { headers: {}, isOver: false };
    const { perSecond, window } = limit;
    const now = clock.monotonic();
    const second = Math.floor(now / 1_000);
    if (second !== window.second) Object.assign(window, { second, used: 0, byLowLanes: 0 });
    window.used += 1;
    if (['backfill', 'spans'].includes(container.invocation?.lane ?? '')) window.byLowLanes += 1;
    const share = perSecond / 2 + lowLaneInvocations;
    if (window.byLowLanes > share) {
      monitor.report(
        'live-work-keeps-half-the-rate',
        'Telnyx',
        `${window.byLowLanes} of ${perSecond} requests are from low-priority lanes`,
      );
    }
    const isOver = window.used > perSecond;
    if (isOver) injector.count('telnyx-enforces-rate-limit');
    return {
      headers: {
        'x-ratelimit-limit': String(perSecond),
        'x-ratelimit-remaining': String(Math.max(0, perSecond - window.used)),
        ...statedReset(limit, second + 1 - now / 1_000),
      },
      isOver,
    };
  };

  return (url, { headers, signal }) =>
    container.call('GET from Telnyx', signal, (reply: Reply<HttpResponse>) => {
      monitor.requested(url, headers, 'telnyx');
      recordRequest(url);
      const respondOrReturn201 = (answer: Answer) => {
        const created = answer.status === 200 && container.shouldInject('telnyx-returns-201');
        respond(created ? { ...answer, status: 201 } : answer);
      };
      const rateLimit = countAgainstLimit();
      const respond = ({ status, headers: more = {}, body, plan }: Answer) => {
        const near = container.shouldInject('telnyx-rate-limit-nearly-used')
          ? {
              'x-ratelimit-remaining': String(random.integer(0, 3)),
              'x-ratelimit-reset': String(random.integer(1, 5)),
            }
          : {};
        const chunks = [Buffer.from(body)];
        const allHeaders = { ...rateLimit.headers, ...near, ...more };
        if ('x-ratelimit-remaining' in allHeaders) {
          container.knowsRateLimit = true;
          container.recordCause('rate limit known');
        }
        reply.succeedWith(() =>
          createAnswer(status, allHeaders, { chunks, ...plan }, { container, clock, signal }),
        );
      };
      const key = /^Bearer (\S+)$/.exec(headers.authorization ?? '')?.[1] ?? '';
      if (key !== account.apiKey) {
        injector.count('api-key-rotated');
        // Expected, unless the secret has held the accepted key since before the invocation.
        if (account.secret.rightSince > (container.invocation?.startedAt ?? 0))
          container.recordCause('api-key-rotated');
        return respond(refusal(401, '10009', 'Authentication failed'));
      }
      if (rateLimit.isOver) {
        container.recordCause('telnyx-rate-limited');
        return respond(refusal(429, '10011', 'Too many requests'));
      }
      const fault = container.firstToInject(faultsOfAnyCall);
      if (fault) eventLog.add(container.id, `${fault} at ${url.pathname}`);
      if (fault === 'telnyx-no-response') return;
      if (fault === 'telnyx-connection-reset') return reply.fail(connectionReset());
      return respondOrReturn201((fault && faultyAnswer(fault, key)) ?? answerTo(url));
    });
}

function statedReset({ reset }: RateLimit, seconds: number): Record<string, string> {
  if (reset === 'unstated') return {};
  const round = { exact: (value: number) => value, down: Math.floor, up: Math.ceil }[reset];
  return { 'x-ratelimit-reset': String(round(seconds)) };
}

function refusal(status: number, code: string, detail: string): Answer {
  return { status, body: JSON.stringify({ errors: [{ code, title: 'Rejected', detail }] }) };
}

/** Without an `errors` array, as the specification states for links. */
function notFound(what: string): Answer {
  return { status: 404, body: JSON.stringify({ code: '10005', title: 'Not found', detail: what }) };
}

/** URLs that the archiver must not request. */
function disallowedUrls(link: string): string[] {
  const path = link.slice(link.indexOf('/telnyx-documents/'));
  return [
    `http://s3.amazonaws.com${path}`,
    `https://169.254.169.254${path}`,
    `https://[::1]${path}`,
    `https://0x7f000001${path}`,
    `https://s3.amazonaws.com.evil.example${path}`,
    `https://evil.example/s3.amazonaws.com${path}`,
    `https://s3.amazonaws.com@evil.example${path}`,
    `https://user:word@s3.amazonaws.com${path}`,
    `https://s3.amazonaws.com:8443${path}`,
    `file:///etc/passwd?${canary}`,
    `no URL ${canary}`,
  ];
}

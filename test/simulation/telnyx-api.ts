/** api.telnyx.com, as one container reaches it. */
import type { HttpGet, HttpResponse } from '../../functions/http.ts';
import { concurrency } from '../../functions/limits.ts';
import { type Account, type AccountDocument, type Order, otherHosts, usualHost } from './account.ts';
import { type BodyPlan, createAnswer } from './body.ts';
import { canary } from './canary.ts';
import { type Container, connectionReset, type Reply } from './container.ts';
import type { Surroundings } from './surroundings.ts';

export const telnyxUrl = new URL('https://api.telnyx.com/v2');

/** How this Telnyx takes its own specification. */
export interface Habits {
  /** The most rows of a page. */
  pageRows: number;
  /** What the filter makes of an instant before it compares. */
  filtered: (instant: number) => number;
  /** Whether the filter's bounds belong to what they bound. */
  inclusive: boolean;
  /** What Telnyx allows and states, if it states anything. */
  limit: RateLimit | undefined;
}

/** So many requests a second, from whichever container they come. */
interface RateLimit {
  perSecond: number;
  /** How the time to the reset is stated, in seconds. */
  reset: 'exact' | 'down' | 'up' | 'unstated';
  /** Of the second that runs: all requests, and those of low lanes. */
  window: { second: number; used: number; byLowLanes: number };
}

type Answer = { status: number; headers?: Record<string, string>; body: string; plan?: Partial<BodyPlan> };

const anyCall = [
  'telnyx-rate-limited',
  'telnyx-fails',
  'telnyx-quotes-secrets',
  'api-key-forbidden',
  'telnyx-stalls',
  'telnyx-body-stalls',
  'telnyx-body-cut',
  'telnyx-resets',
  'telnyx-answers-html',
  'telnyx-answers-nonsense',
  'telnyx-behind-gateway',
] as const;

/** Each may have a request under way when the limit comes near. */
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
  habits: Habits,
  surroundings: Surroundings,
): HttpGet {
  const { clock, random, weather, journal, watch } = surroundings;
  /** Per list and invocation: the rows that came last, and whether that answer was at fault. */
  const lastAnswers = new Map<string, { rows: string[]; faulty: boolean }>();

  const answerTo = (url: URL): Answer => {
    const [, , collection = '', id = '', part] = url.pathname.split('/');
    if (collection === 'documents' && id === '') return documents(url);
    if (collection === 'documents') return ofDocument(id, part);
    if (collection === 'document_links') return links(url);
    const order = account.orders.get(id);
    if (!order || clock.now() >= order.goneAt) {
      container.suffers('order gone');
      return notFound(`${collection} ${id}`);
    }
    return ofOrder(order, part, url);
  };
  /** One place of the order is down for as long as there is weather. */
  const isDown = (orderId: string, place: string): boolean => {
    if (!weather.brings('telnyx-place-fails') && account.placesDown.get(orderId) !== place) return false;
    if (weather.isClear || (account.placesDown.get(orderId) ?? place) !== place) return false;
    account.placesDown.set(orderId, place);
    weather.counted('telnyx-place-fails');
    container.suffers('telnyx-place-fails');
    return true;
  };

  const ofDocument = (id: string, part: string | undefined): Answer => {
    const document = account.documents.get(id);
    if (!document || !account.isThere(document, clock.now())) {
      container.suffers('gone');
      return notFound(id);
    }
    if (container.strikes('telnyx-not-found-yet')) return notFound(id);
    if (container.strikes('telnyx-not-found-otherwise')) return refusal(404, '10007', 'not now');
    if (document.hopeless) container.suffers(document.hopeless);
    if (document.hopeless === 'ChecksumMismatch') weather.counted('record-digest-wrong');
    if (part === undefined) {
      const shown = container.strikes('telnyx-wrong-document') ? anotherThan(document) : document;
      return { status: 200, body: `{"data":${shown.record}}` };
    }
    if (container.strikes('telnyx-refuses-link')) return refusal(422, '10015', 'not ready');
    const expired = container.strikes('link-expired');
    const host = container.strikes('link-of-another-host') ? random.pick(otherHosts) : usualHost;
    const link = account.link(id, clock.now(), expired, host);
    const isAstray = document.hopeless === 'LinkNotAllowed' || container.strikes('link-leads-astray');
    const url = isAstray ? random.pick(astray(link)) : link;
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
      const instant = habits.filtered(createdAt);
      const atEdge = habits.inclusive && (instant === after || instant === before);
      return atEdge || (instant > after && instant < before);
    };
    const rows = account.listed(clock.now(), isWithin).map(({ record }) => record);
    const others = () =>
      account
        .listed(clock.now(), (createdAt) => createdAt < after - 5_000 || createdAt > before + 5_000)
        .map(({ record }) => record);
    const garbled = `{"id":"no id","created_at":"${new Date((after + before) / 2).toISOString()}"}`;
    return page('documents', url, rows, { others, garbled });
  };

  const links = (url: URL): Answer => {
    const order = account.orders.get(url.searchParams.get('filter[linked_resource_id]') ?? '');
    const rows = idsAt(order, 'links').map((id) => `{"id":"link-${id}","document_id":"${id}"}`);
    return page(`links ${order?.id}`, url, rows, {});
  };

  const ofOrder = (order: Order, part: string | undefined, url: URL): Answer => {
    if (isDown(order.id, part ?? 'order')) return { status: 500, body: html };
    if (part === undefined) {
      const [loa] = idsAt(order, 'loa');
      const [invoice] = idsAt(order, 'invoice');
      const requirements = idsAt(order, 'requirement').map((id) => ({
        field_type: 'document',
        field_value: id,
      }));
      const data = {
        id: order.id,
        documents: { loa: loa ?? null, invoice: invoice ?? null },
        requirements: [...requirements, { field_type: 'textual', field_value: 'a text' }],
      };
      return { status: 200, body: JSON.stringify({ data }) };
    }
    const place = ({ requirements: 'requirements', additional_documents: 'additional' } as const)[part];
    const rows = idsAt(order, place ?? 'supporting').map((id) =>
      place === 'requirements'
        ? `{"id":"requirement-${id}","field_type":"document","field_value":"${id}"}`
        : `{"id":"row-${id}","document_id":"${id}"}`,
    );
    return part === 'supporting_documents'
      ? { status: 200, body: `{"data":[${rows.join()}]}` }
      : page(`${order.id} ${part}`, url, rows, {});
  };

  const idsAt = (order: Order | undefined, place: string): string[] =>
    (order?.documents ?? [])
      .filter((entry) => entry.place === place)
      .map(({ id }) => id)
      .filter((id) => {
        const document = account.documents.get(id);
        return document && account.isThere(document, clock.now());
      });

  const page = (
    list: string,
    url: URL,
    rows: string[],
    { others, garbled }: { others?: () => string[]; garbled?: string },
  ): Answer => {
    const number = Number(url.searchParams.get('page[number]'));
    const size = Math.min(Number(url.searchParams.get('page[size]')), habits.pageRows);
    if (habits.pageRows < 250) weather.counted('list-page-size-ignored');
    let shown = rows.slice((number - 1) * size, number * size);
    const chain = `${container.invocation?.id} ${list}`;
    const last = lastAnswers.get(chain);
    // Of two answers in a row one is right; and several readers of one list in one process cannot be told apart.
    const mayFail =
      last?.faulty !== true && container.invocation?.suffered.has('lists side by side') !== true;
    let faulty = false;
    if (mayFail && container.strikes('list-empty')) {
      shown = [];
      faulty = true;
    } else if (mayFail && last && container.strikes('list-repeated')) {
      shown = last.rows;
      faulty = true;
    } else if (mayFail && others && others().length > 0 && container.strikes('list-unfiltered')) {
      shown = others().slice(0, size);
      faulty = true;
    } else if (garbled && shown.length < size && container.strikes('list-garbled-row')) {
      shown = [...shown, garbled];
    }
    lastAnswers.set(chain, { rows: shown, faulty });
    const wrong = container.strikes('list-totals-wrong');
    const total = wrong ? random.integer(0, 1_000) : rows.length;
    const meta = {
      page_number: number,
      page_size: size,
      total_results: total,
      total_pages: Math.ceil(total / size),
    };
    return { status: 200, body: `{"data":[${shown.join()}],"meta":${JSON.stringify(meta)}}` };
  };

  const disturbed = (fault: (typeof anyCall)[number], key: string): Answer | undefined => {
    switch (fault) {
      case 'telnyx-rate-limited': {
        const seconds = String(random.pick([1, 2, 10, 60]));
        const headers: Record<string, string> = random.chance(0.5)
          ? { 'x-ratelimit-reset': seconds, 'x-ratelimit-remaining': '0' }
          : { 'retry-after': seconds };
        return { ...refusal(random.chance(0.9) ? 429 : 400, '10011', 'Too many requests'), headers };
      }
      case 'telnyx-fails':
        return random.chance(0.5)
          ? { status: random.pick([500, 502, 503, 504, 408]), body: html }
          : refusal(500, '10007', 'Unexpected error');
      case 'telnyx-quotes-secrets':
        return refusal(
          500,
          '10007',
          `Bearer ${key} ${key} ${account.link('x', clock.now(), true)} X-Amz-Signature=${canary}`,
        );
      case 'api-key-forbidden':
        return refusal(403, '10010', 'Authorization failed');
      case 'telnyx-behind-gateway':
        return {
          status: random.pick([400, 401, 403, 404, 422]),
          body: random.pick([html, '{"message":"Forbidden"}', '{"code":404,"error":"Not Found"}', '']),
        };
      case 'telnyx-answers-html':
        return { status: 200, body: html };
      case 'telnyx-answers-nonsense':
        return { status: 200, body: random.pick(nonsense) };
      case 'telnyx-body-stalls':
        return { status: 200, body: '{"data":', plan: { ends: 'stall' } };
      case 'telnyx-body-cut':
        return { status: 200, body: `{"data":{"url":"${account.link('x', clock.now(), true)}` };
      default:
        return undefined;
    }
  };

  const noteAsked = ({ pathname }: URL) => {
    const id = /^\/v2\/documents\/([0-9a-f-]{36})$/.exec(pathname)?.[1];
    if (id === undefined || !container.invocation) return;
    const { asked } = container.invocation;
    asked.set(id, [...(asked.get(id) ?? []), clock.monotonic()]);
  };

  /** Counts the request; what Telnyx states of its limit with the answer. */
  const limited = (): { headers: Record<string, string>; isOver: boolean } => {
    const { limit } = habits;
    if (limit === undefined || weather.isClear) return { headers: {}, isOver: false };
    const { perSecond, window } = limit;
    const now = clock.monotonic();
    const second = Math.floor(now / 1_000);
    if (second !== window.second) Object.assign(window, { second, used: 0, byLowLanes: 0 });
    window.used += 1;
    if (['backfill', 'spans'].includes(container.invocation?.lane ?? '')) window.byLowLanes += 1;
    const share = perSecond / 2 + lowLaneInvocations;
    if (window.byLowLanes > share) {
      watch.broken(
        'live-has-half',
        'Telnyx',
        `${window.byLowLanes} of ${perSecond} requests are of low lanes`,
      );
    }
    const isOver = window.used > perSecond;
    if (isOver) weather.counted('telnyx-states-limit');
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
    container.call('GET of Telnyx', signal, (reply: Reply<HttpResponse>) => {
      watch.requested(url, headers, 'telnyx');
      noteAsked(url);
      const said = (answer: Answer) => {
        const created = answer.status === 200 && container.strikes('telnyx-success-is-201');
        say(created ? { ...answer, status: 201 } : answer);
      };
      const stated = limited();
      const say = ({ status, headers: more = {}, body, plan }: Answer) => {
        const near = container.strikes('telnyx-rate-limit-near')
          ? {
              'x-ratelimit-remaining': String(random.integer(0, 3)),
              'x-ratelimit-reset': String(random.integer(1, 5)),
            }
          : {};
        const chunks = [Buffer.from(body)];
        const allHeaders = { ...stated.headers, ...near, ...more };
        if ('x-ratelimit-remaining' in allHeaders) {
          container.knowsRateLimit = true;
          container.suffers('rate limit known');
        }
        reply.making(() =>
          createAnswer(status, allHeaders, { chunks, ...plan }, { container, clock, signal }),
        );
      };
      const key = /^Bearer (\S+)$/.exec(headers.authorization ?? '')?.[1] ?? '';
      if (key !== account.apiKey) {
        weather.counted('api-key-rotated');
        // The function has an excuse unless the secret has held the right key all the while.
        if (account.secret.rightSince > (container.invocation?.startedAt ?? 0))
          container.suffers('api-key-rotated');
        return say(refusal(401, '10009', 'Authentication failed'));
      }
      if (stated.isOver) {
        container.suffers('telnyx-rate-limited');
        return say(refusal(429, '10011', 'Too many requests'));
      }
      const fault = container.oneOf(anyCall);
      if (fault) journal.note(container.id, `${fault} at ${url.pathname}`);
      if (fault === 'telnyx-stalls') return;
      if (fault === 'telnyx-resets') return reply.failing(connectionReset());
      return said((fault && disturbed(fault, key)) ?? answerTo(url));
    });
}

function statedReset({ reset }: RateLimit, seconds: number): Record<string, string> {
  if (reset === 'unstated') return {};
  const round = { exact: (value: number) => value, down: Math.floor, up: Math.ceil }[reset];
  return { 'x-ratelimit-reset': String(round(seconds)) };
}

function refusal(status: number, code: string, detail: string): Answer {
  return { status, body: JSON.stringify({ errors: [{ code, title: 'Refused', detail }] }) };
}

/** Bare, as the specification has it for links. */
function notFound(what: string): Answer {
  return { status: 404, body: JSON.stringify({ code: '10005', title: 'Not found', detail: what }) };
}

/** Where a link must not be followed to. */
function astray(link: string): string[] {
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

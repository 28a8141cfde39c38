/**
 * A stand-in for the part of the Telnyx API v2 that the archiver uses
 * (https://developers.telnyx.com/api-reference/documents), with the answers that its specification promises.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { readBody } from '../../functions/http.ts';
import type { Time } from '../../functions/time.ts';
import { type Document, type Documents, recordOf } from './documents.ts';
import type { FaultKind, Faults } from './faults.ts';
import type { Orders } from './orders.ts';
import { type RateLimit, takeToken } from './rate-limit.ts';

export interface TelnyxOptions {
  apiKey: string;
  documents: Documents;
  orders: Orders;
  faults: Faults;
  /** A temporary download link to a document's bytes. */
  presign: (documentId: string) => string;
  time: Time;
  /** Called before each list is answered, so that it shows what there is now. */
  refresh?: () => Promise<void>;
  /** Told of each document that is uploaded. */
  onUpload?: (document: Document) => void;
  /** Requests in each window of so many seconds. @default no limit */
  rateLimit?: RateLimit;
  /** @default 0, any free port */
  port?: number;
}

export interface TelnyxServer {
  /** `http://127.0.0.1:<port>/v2` */
  url: string;
  /** Requests by route, refused ones included. */
  requests: ReadonlyMap<string, number>;
  close(): Promise<void>;
}

/** An answer as JSON; text is sent as it is. */
interface Answer {
  status: number;
  body: unknown;
  headers?: Record<string, string>;
}

const largestUpload = 30 * 1024 ** 2;

export async function startTelnyx(options: TelnyxOptions): Promise<TelnyxServer> {
  const requests = new Map<string, number>();
  const limit = takeToken(options.rateLimit, options.time);
  const server = createServer(async (request, response) => {
    try {
      const rate = limit();
      for (const [name, value] of Object.entries(rate.headers)) response.setHeader(name, value);
      const answer = rate.allowed
        ? await answerTo(request, options, requests)
        : failure(429, '10011', 'Too many requests');
      if (answer === 'reset') request.socket.resetAndDestroy();
      else if (answer !== 'silence') send(response, answer);
    } catch (error) {
      send(response, failure(500, '10007', `Unexpected error: ${String(error)}`));
    }
  });
  server.listen(options.port ?? 0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v2`,
    requests,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

async function answerTo(
  request: IncomingMessage,
  options: TelnyxOptions,
  requests: Map<string, number>,
): Promise<Answer | 'reset' | 'silence'> {
  const url = new URL(request.url ?? '/', 'http://telnyx');
  const [version, resource = '', id, part] = url.pathname.slice(1).split('/');
  const route = [request.method, resource, id && '{id}', part].filter(Boolean).join(' ');
  requests.set(route, (requests.get(route) ?? 0) + 1);
  if (request.headers.authorization !== `Bearer ${options.apiKey}`) {
    return failure(401, '10009', 'Authentication failed');
  }
  if (version !== 'v2') return failure(404, '10005', 'Resource not found');

  switch (route) {
    case 'GET documents':
      await options.refresh?.();
      return list(filtered(options.documents.all(), url.searchParams).map(recordOf), url.searchParams);
    case 'POST documents':
      return upload(request, options);
    case 'GET documents {id}':
      return about(id ?? '', options, false);
    case 'GET documents {id} download_link':
      return about(id ?? '', options, true);
    case 'GET document_links':
      return list(
        options.orders.links(url.searchParams.get('filter[linked_resource_id]') ?? ''),
        url.searchParams,
      );
    case 'GET porting_orders {id}':
      return found(options.orders.portingOrder(id ?? ''));
    case 'GET porting_orders {id} requirements':
      return found(options.orders.requirements(id ?? ''), url.searchParams);
    case 'GET porting_orders {id} additional_documents':
      return found(options.orders.additionalDocuments(id ?? ''), url.searchParams);
    case 'GET portouts {id} supporting_documents':
      return found(options.orders.supportingDocuments(id ?? ''));
    default:
      return failure(404, '10005', 'Resource not found');
  }
}

/** A document's record or its download link, with what the fault plan has in store for it. */
function about(
  id: string,
  { documents, faults, presign }: TelnyxOptions,
  wantsLink: boolean,
): Answer | 'reset' | 'silence' {
  if (!/^[0-9a-f-]{36}$/i.test(id)) return failure(wantsLink ? 422 : 400, '10006', 'Invalid resource ID');
  const document = documents.get(id);
  if (!document) return notFound(wantsLink);
  const fault = faults.next('api', document) ?? (wantsLink ? faults.next('link', document) : undefined);
  if (fault !== undefined) return faultyAnswer(fault, wantsLink);
  if (wantsLink) return { status: 200, body: { data: { url: presign(id) } } };
  const record = recordOf(document);
  switch (faults.next('record', document)) {
    case 'wrong-hash':
      record.sha256 = 'bad0'.repeat(16);
      break;
    case 'no-hash':
      delete record.sha256;
      break;
    case 'no-size':
      delete record.size;
      break;
    case 'infected':
      record.av_scan_status = 'infected';
      break;
    default:
  }
  return { status: 200, body: { data: record } };
}

function faultyAnswer(fault: FaultKind, wantsLink: boolean): Answer | 'reset' | 'silence' {
  switch (fault) {
    case 'rate-limited':
      return { ...failure(429, '10011', 'Too many requests'), headers: { 'x-ratelimit-reset': '1' } };
    case 'html-error':
      return { status: 502, body: '<html><body>Bad gateway</body></html>' };
    case 'api-reset':
      return 'reset';
    case 'api-stall':
      return 'silence';
    case 'not-json':
      return { status: 200, body: '{"data": {"id": ' };
    case 'wrong-shape':
      return { status: 200, body: { document: { identifier: 1 } } };
    case 'gone':
      return notFound(wantsLink);
    case 'link-refused':
      return failure(422, '10015', 'The document cannot be downloaded');
    default:
      return failure(500, '10007', 'Unexpected error');
  }
}

/** Telnyx's specification has the 404 of `download_link` as a bare error object. */
function notFound(bare: boolean): Answer {
  const error = {
    code: '10005',
    title: 'Resource not found',
    detail: 'The requested resource could not be found.',
  };
  return { status: 404, body: bare ? error : { errors: [error] } };
}

function failure(status: number, code: string, title: string): Answer {
  return { status, body: { errors: [{ code, title }] } };
}

function found(data: readonly unknown[] | object | undefined, query?: URLSearchParams): Answer {
  if (data === undefined) return notFound(false);
  return Array.isArray(data) && query ? list(data, query) : { status: 200, body: { data } };
}

function filtered(documents: Document[], query: URLSearchParams): Document[] {
  const after = Date.parse(query.get('filter[created_at][gt]') ?? '');
  const before = Date.parse(query.get('filter[created_at][lt]') ?? '');
  const reference = query.get('filter[customer_reference][eq]');
  const name = query.get('filter[filename][contains]');
  const chosen = documents.filter(
    ({ createdAt, customerReference, fileName }) =>
      !(createdAt <= after) &&
      !(createdAt >= before) &&
      (reference === null || customerReference === reference) &&
      (name === null || fileName.includes(name)),
  );
  const sort = query.get('sort[]') ?? query.get('sort') ?? '-created_at';
  return sort === 'created_at' ? chosen.reverse() : chosen;
}

function list(rows: readonly unknown[], query: URLSearchParams): Answer {
  const number = Math.max(1, Number(query.get('page[number]') ?? 1) || 1);
  const size = Math.min(250, Math.max(1, Number(query.get('page[size]') ?? 20) || 20));
  return {
    status: 200,
    body: {
      data: rows.slice((number - 1) * size, number * size),
      meta: {
        page_number: number,
        page_size: size,
        total_pages: Math.ceil(rows.length / size),
        total_results: rows.length,
      },
    },
  };
}

/** The JSON form of an upload: `file` in base64. */
async function upload(request: IncomingMessage, { documents, onUpload }: TelnyxOptions): Promise<Answer> {
  const fields: unknown = JSON.parse((await readBody(request, largestUpload)).toString('utf8'));
  const { file, filename, customer_reference } = fields as Record<string, unknown>;
  if (typeof file !== 'string') return failure(422, '10015', 'file is missing');
  const document = await documents.add(String(filename ?? 'document'), Buffer.from(file, 'base64'), {
    customerReference: String(customer_reference ?? ''),
  });
  onUpload?.(document);
  return { status: 200, body: { data: recordOf(document) } };
}

function send(response: ServerResponse, { status, body, headers }: Answer): void {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  response.writeHead(status, {
    ...headers,
    'content-type': typeof body === 'string' ? 'text/html' : 'application/json',
  });
  response.end(text);
}

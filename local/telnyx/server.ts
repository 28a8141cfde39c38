/**
 * A stand-in for the part of the Telnyx API v2 that the archiver uses
 * (https://developers.telnyx.com/api-reference/documents), with the answers that its specification promises.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Time } from '../../functions/time.ts';
import { type Document, type Documents, recordOf } from './documents.ts';
import type { FaultKindAt, Faults } from './faults.ts';
import { chosenDocuments, page, refuseOtherFilters } from './lists.ts';
import type { Orders } from './orders.ts';
import { type RequestLimit, takeToken } from './rate-limit.ts';
import { type ApiResponse, failure, notFound, RequestError, telnyxErrorCodes } from './response.ts';
import { readUpload } from './upload.ts';

export interface TelnyxOptions {
  apiKey: string;
  documents: Documents;
  orders: Orders;
  faults: Faults;
  /** A temporary download link to what the storage has under a key that ends in a document's id. */
  presign: (key: string) => string;
  time: Time;
  /** Called before each list is answered, so that it shows what there is now. */
  refresh?: () => Promise<void>;
  /** Told of each document that is uploaded. */
  onUpload?: (document: Document) => void;
  /** @default more than anybody asks for */
  rateLimit?: RequestLimit;
  /** @default 0, any free port */
  port?: number;
}

export interface TelnyxServer {
  /** `http://127.0.0.1:<port>/v2` */
  url: string;
  /** Requests by route, such as `GET documents {id} download_link`, refused ones included. */
  requests: ReadonlyMap<string, number>;
  close(): Promise<void>;
}

type Outcome = ApiResponse | 'reset' | 'silence';

interface Asked {
  route: string;
  id: string;
  query: URLSearchParams;
}

export async function startTelnyx(options: TelnyxOptions): Promise<TelnyxServer> {
  const requests = new Map<string, number>();
  const limit = takeToken(options.rateLimit, options.time);
  const server = createServer(async (request, response) => {
    const asked = askedBy(request);
    requests.set(asked.route, (requests.get(asked.route) ?? 0) + 1);
    const rate = limit();
    for (const [name, value] of Object.entries(rate.headers)) response.setHeader(name, value);
    const outcome = rate.allowed ? await outcomeOf(request, asked, options) : tooManyRequests;
    if (outcome === 'reset') request.socket.resetAndDestroy();
    else if (outcome !== 'silence') send(response, outcome);
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

function askedBy({ method, url: target = '/' }: IncomingMessage): Asked {
  const url = new URL(target, 'http://telnyx');
  const [version, resource, id, ...rest] = url.pathname.slice(1).split('/');
  const route = [method, ...(version === 'v2' ? [] : [version]), resource, id && '{id}', ...rest];
  return { route: route.filter(Boolean).join(' '), id: id ?? '', query: url.searchParams };
}

async function outcomeOf(request: IncomingMessage, asked: Asked, options: TelnyxOptions): Promise<Outcome> {
  if (request.headers.authorization !== `Bearer ${options.apiKey}`)
    return faultyAnswer('key-rejected', false);
  try {
    const fault = options.faults.next('api', { route: asked.route });
    return fault === undefined
      ? await answerTo(request, asked, options)
      : faultyAnswer(fault, asked.route.endsWith('download_link'));
  } catch (error) {
    if (error instanceof RequestError) return error.answer;
    return failure(500, telnyxErrorCodes.unexpected, `Unexpected error: ${String(error)}`);
  }
}

async function answerTo(
  request: IncomingMessage,
  { route, id, query }: Asked,
  options: TelnyxOptions,
): Promise<Outcome> {
  const { documents, orders } = options;
  switch (route) {
    case 'GET documents':
      await options.refresh?.();
      return page(chosenDocuments(documents.all(), query), query, recordOf);
    case 'POST documents': {
      const { fileName, bytes, customerReference } = await readUpload(request);
      const document = await documents.add(fileName, bytes, { customerReference });
      options.onUpload?.(document);
      return { status: 200, body: { data: recordOf(document) } };
    }
    case 'GET documents {id}':
      return recordAnswer(id, route, options);
    case 'GET documents {id} download_link':
      return linkAnswer(id, route, options);
    case 'GET document_links':
      refuseOtherFilters(query, ['filter[linked_resource_id]', 'filter[linked_record_type]']);
      return page(
        orders.links(query.get('filter[linked_resource_id]'), query.get('filter[linked_record_type]')),
        query,
      );
    case 'GET porting_orders {id}':
      return found(orders.portingOrder(id), (data) => ({ status: 200, body: { data } }));
    case 'GET porting_orders {id} requirements':
      return found(orders.requirements(id), (rows) => page(rows, query));
    case 'GET porting_orders {id} additional_documents':
      return found(orders.additionalDocuments(id), (rows) => page(rows, query));
    case 'GET portouts {id} supporting_documents':
      // The only success that the specification names.
      return found(orders.supportingDocuments(id), (data) => ({ status: 201, body: { data } }));
    default:
      return notFound(false);
  }
}

/** GET /documents/{id}, with what the fault plan has in store for it. */
function recordAnswer(id: string, route: string, { documents, faults }: TelnyxOptions): Outcome {
  if (!isUuid(id)) return failure(400, telnyxErrorCodes.invalidId, 'Invalid resource ID');
  const document = documents.get(id);
  if (!document) return notFound(false);
  const fault = faults.next('api', { document, route });
  if (fault !== undefined) return faultyAnswer(fault, false);
  const data = recordOf(document);
  switch (faults.next('record', { document })) {
    case 'wrong-hash':
      data.sha256 = 'bad0'.repeat(16);
      break;
    case 'no-hash':
      delete data.sha256;
      break;
    case 'wrong-size':
      data.size = { unit: 'bytes', amount: document.bytes + 1 };
      break;
    case 'no-size':
      delete data.size;
      break;
    case 'malformed-fields':
      Object.assign(data, malformedFields);
      break;
    case 'exact-numbers':
      return { status: 200, body: `{"data":${withMembers(data, exactNumbers)}}` };
    case 'oversized-record':
      data.customer_reference = 'PO-1 '.repeat(60_000);
      break;
    case 'nested-record':
      return { status: 200, body: `{"data":${withMembers(data, `"parts":${nested(2_000)}`)}}` };
    case 'created-status':
      return { status: 201, body: { data } };
    case 'infected':
      data.status = 'denied';
      data.av_scan_status = 'infected';
      break;
  }
  return { status: 200, body: { data } };
}

/** Each of another type than specified. */
const malformedFields = {
  created_at: 1_764_000_000,
  content_type: ['application/pdf'],
  filename: 12_345,
  sha256: 'not available',
  size: { unit: 'bytes', amount: '10' },
  av_scan_status: { status: 'scanned' },
};

/** An integer above 2^53, and a number above the largest double. */
const exactNumbers = '"account_id":2791500000000000123,"weight":1e400';

const nested = (levels: number) => `${'['.repeat(levels)}${']'.repeat(levels)}`;

/** An object's JSON with more members, which are JSON text. */
function withMembers(object: Record<string, unknown>, members: string): string {
  return `${JSON.stringify(object).slice(0, -1)},${members}}`;
}

/** GET /documents/{id}/download_link, with what the fault plan has in store for it. */
function linkAnswer(id: string, route: string, { documents, faults, presign }: TelnyxOptions): Outcome {
  if (!isUuid(id)) return failure(422, telnyxErrorCodes.invalidId, 'Invalid resource ID');
  const document = documents.get(id);
  if (!document) return notFound(true);
  const fault = faults.next('api', { document, route }) ?? faults.next('link', { document, route });
  if (fault !== undefined && fault !== 'odd-path') return faultyAnswer(fault, true);
  return { status: 200, body: { data: { url: presign(fault === 'odd-path' ? `a/./b/..//${id}` : id) } } };
}

function faultyAnswer(fault: Exclude<FaultKindAt<'api' | 'link'>, 'odd-path'>, ofLink: boolean): Outcome {
  switch (fault) {
    case 'rate-limited':
      return { ...tooManyRequests, headers: { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '1' } };
    case 'server-error':
      return failure(500, telnyxErrorCodes.unexpected, 'Unexpected error');
    case 'html-error':
      return htmlPage(502, 'Bad gateway');
    case 'gateway-not-found':
      return htmlPage(404, '404 Not Found');
    case 'gateway-forbidden':
      return htmlPage(403, 'Access denied');
    case 'gateway-unauthorised':
      return { status: 401, body: { message: 'Unauthorized' } };
    case 'api-reset':
      return 'reset';
    case 'api-stall':
      return 'silence';
    case 'not-json':
      return { status: 200, body: '{"data": {"id": ' };
    case 'wrong-shape':
      return { status: 200, body: { document: { identifier: 1 } } };
    case 'gone':
      return notFound(ofLink);
    case 'key-rejected':
      return failure(401, telnyxErrorCodes.unauthenticated, 'Authentication failed');
    case 'key-forbidden':
      return failure(403, telnyxErrorCodes.unauthorised, 'Authorization failed');
    case 'link-refused':
      return failure(422, telnyxErrorCodes.badRequest, 'The document cannot be downloaded');
  }
}

function htmlPage(status: number, title: string): ApiResponse {
  return {
    status,
    body: `<html><body><h1>${title}</h1></body></html>`,
    headers: { 'content-type': 'text/html' },
  };
}

const tooManyRequests: ApiResponse = failure(429, telnyxErrorCodes.tooManyRequests, 'Too many requests');

function found<Data>(data: Data | undefined, answer: (data: Data) => ApiResponse): ApiResponse {
  return data === undefined ? notFound(false) : answer(data);
}

const isUuid = (id: string) => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(id);

function send(response: ServerResponse, { status, body, headers }: ApiResponse): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(typeof body === 'string' ? body : JSON.stringify(body));
}

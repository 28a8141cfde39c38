/**
 * A stand-in for the part of the Telnyx API v2 that the archiver uses
 * (https://developers.telnyx.com/api-reference/documents), with responses according to its specification.
 */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { pipeline, Readable } from 'node:stream';
import type { Time } from '../../functions/time.ts';
import { openLoopbackServer } from '../loopback.ts';
import { type Document, type Documents, recordOf } from './documents.ts';
import type { FaultKindAt, Faults } from './faults.ts';
import { page, selectDocuments } from './lists.ts';
import type { Orders } from './orders.ts';
import { isUuidOfAnyCase, readQuery } from './query.ts';
import { createRateLimiter, type RequestLimit } from './rate-limit.ts';
import {
  type ApiResponse,
  notFound,
  RequestError,
  telnyxError,
  telnyxErrors,
  unprocessable,
} from './response.ts';
import { readChanges, readUpload } from './upload.ts';

export interface TelnyxOptions {
  apiKey: string;
  documents: Documents;
  orders: Orders;
  faults: Faults;
  /** Creates a presigned download link for a storage key, which ends with a document ID. */
  presign: (key: string) => string;
  time: Time;
  /** Called before each list request to update the documents. */
  refresh?: () => Promise<void>;
  /** Called for each uploaded document. */
  onUpload?: (document: Document) => void;
  /** @default a limit that is never reached */
  rateLimit?: RequestLimit;
  /** @default 0, any free port */
  port?: number;
}

export interface TelnyxServer {
  /** `http://127.0.0.1:<port>/v2` */
  url: string;
  /** Number of requests by route, such as `GET documents {id} download_link`, including rejected ones. */
  requests: ReadonlyMap<string, number>;
  close(): Promise<void>;
}

type Outcome = ApiResponse | 'reset' | 'silence';

interface ParsedRequest {
  route: string;
  id: string;
  query: URLSearchParams;
}

export async function startTelnyx(options: TelnyxOptions): Promise<TelnyxServer> {
  const requests = new Map<string, number>();
  const limit = createRateLimiter(options.rateLimit, options.time);
  const listener: RequestListener = async (request, response) => {
    const parsed = parseRequest(request);
    requests.set(parsed.route, (requests.get(parsed.route) ?? 0) + 1);
    const rate = limit();
    for (const [name, value] of Object.entries(rate.headers)) response.setHeader(name, value);
    const outcome = rate.allowed ? await respond(request, parsed, options) : tooManyRequests;
    if (outcome === 'reset') request.socket.resetAndDestroy();
    else if (outcome !== 'silence') send(response, outcome);
  };
  const { origin, close } = await openLoopbackServer(listener, { port: options.port ?? 0 });
  return { url: `${origin}/v2`, requests, close };
}

function parseRequest({ method, url: target = '/' }: IncomingMessage): ParsedRequest {
  const url = new URL(target, 'http://telnyx');
  const [version, resource, id, ...rest] = url.pathname.slice(1).split('/');
  const route = [method, ...(version === 'v2' ? [] : [version]), resource, id && '{id}', ...rest];
  return { route: route.filter(Boolean).join(' '), id: id ?? '', query: url.searchParams };
}

async function respond(
  request: IncomingMessage,
  parsed: ParsedRequest,
  options: TelnyxOptions,
): Promise<Outcome> {
  if (request.headers.authorization !== `Bearer ${options.apiKey}`)
    return faultResponse('key-rejected', false);
  try {
    const fault = options.faults.next('api', { route: parsed.route });
    return fault === undefined
      ? await handleRequest(request, parsed, options)
      : faultResponse(fault, parsed.route.endsWith('download_link'));
  } catch (error) {
    if (error instanceof RequestError) return error.response;
    return telnyxError(500, telnyxErrors.unexpected, String(error));
  }
}

async function handleRequest(
  request: IncomingMessage,
  { route, id, query: parameters }: ParsedRequest,
  options: TelnyxOptions,
): Promise<Outcome> {
  const { documents, orders } = options;
  const query = readQuery(route, parameters);
  if (!query) return notFound(false);
  if (id !== '' && !isUuidOfAnyCase(id)) {
    throw new RequestError(422, telnyxErrors.invalidId, 'The ID in the path is not a UUID');
  }
  switch (route) {
    case 'GET documents':
      await options.refresh?.();
      return page(selectDocuments(documents.all(), query), query, recordOf);
    case 'POST documents': {
      const { fileName, bytes, customerReference } = await readUpload(request);
      const document = await documents.add(fileName, bytes, { customerReference });
      options.onUpload?.(document);
      return { status: 200, body: { data: recordOf(document) } };
    }
    case 'GET documents {id}':
      return recordResponse(id, route, options);
    case 'PATCH documents {id}':
      return respondIfFound(documents.get(id), async (document) => {
        documents.update(document, await readChanges(request));
        return { status: 200, body: { data: recordOf(document) } };
      });
    case 'DELETE documents {id}':
      return respondIfFound(documents.get(id), async (document) => {
        if (document.linked) throw unprocessable('The document is linked to a service. Unlink it first.');
        await documents.remove(id);
        return { status: 200, body: { data: recordOf(document) } };
      });
    case 'GET documents {id} download':
      return downloadResponse(id, route, options);
    case 'GET documents {id} download_link':
      return linkResponse(id, route, options);
    case 'GET document_links':
      return page(orders.links(query), query);
    case 'GET porting_orders {id}':
      return respondIfFound(orders.portingOrder(id), (data) => ({ status: 200, body: { data } }));
    case 'GET porting_orders {id} requirements':
      return respondIfFound(orders.requirements(id), (rows) => page(rows, query));
    case 'GET porting_orders {id} additional_documents':
      return respondIfFound(orders.additionalDocuments(id, query), (rows) => page(rows, query));
    case 'GET number_orders {id}':
      return respondIfFound(orders.numberOrder(id), (data) => ({ status: 200, body: { data } }));
    case 'GET portouts {id} supporting_documents':
      // 201 is the only success status in the specification.
      return respondIfFound(orders.supportingDocuments(id), (data) => ({ status: 201, body: { data } }));
    default:
      throw new Error(`${route} has parameters, but no response.`);
  }
}

/** GET /documents/{id}, with the next fault if any. */
function recordResponse(id: string, route: string, { documents, faults }: TelnyxOptions): Outcome {
  const document = documents.get(id);
  if (!document) return notFound(false);
  const fault = faults.next('api', { document, route });
  if (fault !== undefined) return faultResponse(fault, false);
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

/** Fields with types that violate the specification. */
const malformedFields = {
  created_at: 1_764_000_000,
  content_type: ['application/pdf'],
  filename: 12_345,
  sha256: 'not available',
  size: { unit: 'bytes', amount: '10' },
  av_scan_status: { status: 'scanned' },
};

/** An integer above 2^53 and a number above the largest double. */
const exactNumbers = '"account_id":2791500000000000123,"weight":1e400';

const nested = (levels: number) => `${'['.repeat(levels)}${']'.repeat(levels)}`;

/** JSON of an object with additional members, given as JSON text. */
function withMembers(object: Record<string, unknown>, members: string): string {
  return `${JSON.stringify(object).slice(0, -1)},${members}}`;
}

/** GET /documents/{id}/download, with the next fault of the API if any. */
async function downloadResponse(
  id: string,
  route: string,
  { documents, faults }: TelnyxOptions,
): Promise<Outcome> {
  const document = documents.get(id);
  if (!document) return notFound(false);
  const fault = faults.next('api', { document, route });
  if (fault !== undefined) return faultResponse(fault, false);
  const file = await documents.read(id);
  if (!file) return notFound(false);
  const headers = { 'content-type': document.contentType, 'content-length': String(file.bytes) };
  return { status: 200, body: file.data, headers };
}

/** GET /documents/{id}/download_link, with the next fault if any. */
function linkResponse(id: string, route: string, { documents, faults, presign }: TelnyxOptions): Outcome {
  const document = documents.get(id);
  if (!document) return notFound(true);
  const fault = faults.next('api', { document, route }) ?? faults.next('link', { document, route });
  if (fault !== undefined && fault !== 'odd-path') return faultResponse(fault, true);
  return { status: 200, body: { data: { url: presign(fault === 'odd-path' ? `a/./b/..//${id}` : id) } } };
}

function faultResponse(fault: Exclude<FaultKindAt<'api' | 'link'>, 'odd-path'>, ofLink: boolean): Outcome {
  switch (fault) {
    case 'rate-limited':
      return { ...tooManyRequests, headers: { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '1' } };
    case 'server-error':
      return telnyxError(500, telnyxErrors.unexpected, 'Simulated error');
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
      return telnyxError(401, telnyxErrors.unauthenticated, 'The API key is not valid');
    case 'key-forbidden':
      return telnyxError(403, telnyxErrors.unauthorised, 'The API key lacks permission');
    case 'link-refused':
      return telnyxError(422, telnyxErrors.badRequest, 'The document cannot be downloaded');
  }
}

function htmlPage(status: number, title: string): ApiResponse {
  return {
    status,
    body: `<html><body><h1>${title}</h1></body></html>`,
    headers: { 'content-type': 'text/html' },
  };
}

const tooManyRequests: ApiResponse = telnyxError(
  429,
  telnyxErrors.tooManyRequests,
  'The rate limit is reached',
);

function respondIfFound<Data>(
  data: Data | undefined,
  respond: (data: Data) => ApiResponse | Promise<ApiResponse>,
): ApiResponse | Promise<ApiResponse> {
  return data === undefined ? notFound(false) : respond(data);
}

function send(response: ServerResponse, { status, body, headers }: ApiResponse): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  if (body instanceof Readable) {
    // A failure closes the connection before the end, which is all that a client can be told by then.
    pipeline(body, response, () => undefined);
    return;
  }
  response.end(typeof body === 'string' ? body : JSON.stringify(body));
}

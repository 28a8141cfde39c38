/**
 * The part of the Telnyx API v2 that the archiver uses (https://developers.telnyx.com/api-reference/documents).
 * Only the fields that the archiver relies on are validated. A response that is not from the API itself, but from a
 * gateway or firewall in front of it, is treated as an outage, whatever it says.
 */
import * as v from 'valibot';
import { ArchiverError, type ErrorCode, nameOf } from '../errors.ts';
import { type HttpGet, type HttpResponse, readBody } from '../http.ts';
import { membersOf } from '../json-text.ts';
import { calls } from '../limits.ts';
import { type Time, withDeadline } from '../time.ts';
import { uuidPattern } from '../uuid.ts';
import type { ApiKey } from './api-key.ts';
import { type Pacer, type StatedRateLimit, unpaced } from './pacing.ts';
import { boundRecord, isFields, readFacts, type StatedFacts } from './record.ts';

const documentResponse = v.object({ data: v.looseObject({ id: v.pipe(v.string(), v.regex(uuidPattern)) }) });

/** A document as Telnyx describes it. */
export interface TelnyxDocument extends StatedFacts {
  id: string;
  /** JSON text of Telnyx's record, verbatim or truncated: see `boundRecord`. */
  record: string;
  /** Whether `record` is truncated, because it was too large or too deeply nested. */
  cut: boolean;
  /** Names of the record's fields that do not follow the specification. They are treated as missing. */
  malformed: readonly string[];
}

const linkResponse = v.object({ data: v.object({ url: v.string() }) });

/** Error codes of the Telnyx API (https://developers.telnyx.com/development/api-fundamentals/api-errors). */
const errorCode = { notFound: '10005', tooManyRequests: '10011' } as const;

/** Metadata of 250 documents takes about 300 kB. */
const maxResponseBytes = 32 * 1024 ** 2;
/** Upper limit for a wait that Telnyx states. */
const maxRetryAfterMs = 15 * 60_000;

interface JsonResponse {
  body: unknown;
  rateLimit: StatedRateLimit;
}

export interface TelnyxClient {
  /** GET /documents/{id}. @throws ArchiverError DocumentGone and those of `get` */
  document(id: string, signal: AbortSignal): Promise<TelnyxDocument>;
  /**
   * GET /documents/{id}/download_link: a presigned URL, which is a secret until it expires.
   *
   * @throws ArchiverError DocumentGone, LinkRefused and those of `get`
   */
  downloadLink(id: string, signal: AbortSignal): Promise<string>;
  /**
   * GET of any path below the base URL, for lists.
   *
   * @param gone the error code for Telnyx's error 10005 (not found)
   * @throws ArchiverError `gone`, ApiKeyRejected, ApiKeyForbidden, ApiKeyUnavailable, RateLimited,
   *   TelnyxUnavailable, UnexpectedResponse
   */
  get(path: string, query: URLSearchParams, gone: ErrorCode, signal: AbortSignal): Promise<JsonResponse>;
}

export interface TelnyxClientOptions {
  /** Such as `https://api.telnyx.com/v2`. */
  baseUrl: URL;
  apiKey: ApiKey;
  httpGet: HttpGet;
  time: Time;
  /** @default requests are not delayed */
  pacer?: Pacer;
}

export function createTelnyxClient(options: TelnyxClientOptions): TelnyxClient {
  const { baseUrl, apiKey, httpGet, time, pacer = unpaced } = options;
  const request = (url: URL, key: string, signal: AbortSignal) => {
    const headers = {
      authorization: `Bearer ${key}`,
      accept: 'application/json',
      'accept-encoding': 'identity',
    };
    const timedOut = () =>
      new ArchiverError('TelnyxUnavailable', `Telnyx did not respond within ${calls.telnyxMs / 1_000} s.`);
    return withDeadline(time, calls.telnyxMs, signal, timedOut, async (limited) => {
      try {
        const response = await httpGet(url, { headers, signal: limited });
        return { response, text: (await readBody(response.body, maxResponseBytes)).toString('utf8') };
      } catch (error) {
        limited.throwIfAborted();
        if (error instanceof RangeError)
          throw new ArchiverError('AnswerTooLarge', 'A response of the Telnyx API is larger than 32 MiB.');
        throw new ArchiverError('TelnyxUnavailable', `The connection to Telnyx failed (${nameOf(error)}).`, {
          cause: error,
        });
      }
    });
  };

  /** @throws ArchiverError as `TelnyxClient.get`, and `refused` for a 422 */
  const getJson = async (
    path: string,
    query: URLSearchParams,
    { gone, refused }: ErrorResponses,
    signal: AbortSignal,
  ): Promise<JsonResponse & { text: string }> => {
    const url = new URL(`${baseUrl.href.replace(/\/$/, '')}/${path}`);
    url.search = query.toString();
    const key = await apiKey.current();
    const paced = (withKey: string) =>
      pacer(
        () => request(url, withKey, signal),
        // Only a successful response without these headers means that there is no limit.
        ({ response }) =>
          response.status < 300 || 'x-ratelimit-limit' in response.headers
            ? rateLimitOf(response)
            : undefined,
        signal,
      );
    let { response, text } = await paced(key);
    // A 401 that is not from the API itself says nothing about the key.
    if (response.status === 401 && errorCodesOf(text).length > 0) {
      const fresh = await apiKey.after(key);
      if (fresh !== key) ({ response, text } = await paced(fresh));
    }
    const { status } = response;
    if (status < 200 || status > 299)
      throw errorFor(response, errorCodesOf(text), { gone, refused }, time.now());
    const body = parseJson(text);
    if (body === undefined) {
      throw new ArchiverError(
        'TelnyxUnavailable',
        `Telnyx returned ${status} without JSON. The response is not from its API: check proxies and firewalls in between.`,
      );
    }
    return { body, text, rateLimit: rateLimitOf(response) };
  };

  return {
    get: async (path, query, gone, signal) => {
      const { body, rateLimit } = await getJson(path, query, { gone, refused: 'UnexpectedResponse' }, signal);
      return { body, rateLimit };
    },

    document: async (id, signal) => {
      const errors = { gone: 'DocumentGone', refused: 'UnexpectedResponse' } as const;
      const { body, text } = await getJson(`documents/${id}`, new URLSearchParams(), errors, signal);
      const { data } = check(documentResponse, body);
      if (data.id !== id) throw unexpected('it is about another document');
      const { facts, malformed } = readFacts(data);
      const record = boundRecord(membersOf(text).get('data') as string);
      return { id, ...facts, malformed, record: record.text, cut: record.cut };
    },

    downloadLink: async (id, signal) => {
      const path = `documents/${id}/download_link`;
      const errors = { gone: 'DocumentGone', refused: 'LinkRefused' } as const;
      const { body } = await getJson(path, new URLSearchParams(), errors, signal);
      return check(linkResponse, body).data.url;
    },
  };
}

/** Error codes for responses of the API about the requested resource. */
interface ErrorResponses {
  /** For Telnyx's error 10005 (not found). */
  gone: ErrorCode;
  /** For a 422. */
  refused: ErrorCode;
}

/** @throws ArchiverError UnexpectedResponse naming the field, but not its value */
export function check<Schema extends v.GenericSchema>(schema: Schema, body: unknown): v.InferOutput<Schema> {
  const result = v.safeParse(schema, body);
  if (result.success) return result.output;
  throw unexpected(`${v.getDotPath(result.issues[0]) ?? 'its body'} is missing or invalid`);
}

/** @returns undefined if the text is not JSON. The parser's message is dropped: it quotes the text. */
function parseJson(text: string): unknown {
  // Stryker disable BlockStatement: an empty block returns undefined as well.
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
// Stryker restore BlockStatement

function unexpected(what: string): ArchiverError {
  return new ArchiverError('UnexpectedResponse', `Unexpected response from the Telnyx API: ${what}.`);
}

/** Quotes only the status and codes: titles and details are written by others and may contain keys or links. */
function errorFor(
  response: HttpResponse,
  codes: readonly string[],
  { gone, refused }: ErrorResponses,
  now: number,
): ArchiverError {
  const { status } = response;
  const returned = `Telnyx returned ${status}${codes.length === 0 ? '' : ` (${codes.slice(0, 3).join(', ')})`}`;
  const retryAfterMs = retryAfterOf(response, now);
  if (status === 429 || codes.includes(errorCode.tooManyRequests)) {
    return new ArchiverError('RateLimited', `${returned}: too many requests.`, { retryAfterMs });
  }
  if (status < 400 || status === 408 || status >= 500) {
    return new ArchiverError('TelnyxUnavailable', `${returned}.`, { retryAfterMs });
  }
  if (codes.length === 0) {
    return new ArchiverError(
      'TelnyxUnavailable',
      `${returned} without an error code of its API. The response is not from the API: check proxies and firewalls in between.`,
      { retryAfterMs },
    );
  }
  if (status === 401) {
    return new ArchiverError(
      'ApiKeyRejected',
      `${returned}: the API key is not valid. Store a valid one in the secret.`,
    );
  }
  if (status === 403) {
    return new ArchiverError('ApiKeyForbidden', `${returned}: the API key is not allowed to read this.`);
  }
  if (codes.includes(errorCode.notFound))
    return new ArchiverError(gone, `${returned}: it does not exist, or no longer exists.`);
  if (status === 422) return new ArchiverError(refused, `${returned}.`);
  return new ArchiverError('UnexpectedResponse', `${returned}, which its API specification does not list.`);
}

/**
 * Codes of the error objects in a response. Without any, the response is not from the API itself. Telnyx's codes have
 * five digits, as a string or a number; gateways use HTTP statuses and names. According to the specification the 404 of
 * `download_link` is a bare error object; all other responses have an `errors` array.
 */
function errorCodesOf(text: string): string[] {
  const body = parseJson(text);
  if (!isFields(body)) return [];
  const errors: unknown[] = Array.isArray(body.errors) ? body.errors : [body];
  return errors
    .map((error) => (isFields(error) ? error.code : undefined))
    .filter((code) => typeof code === 'string' || typeof code === 'number')
    .map(String)
    .filter((code) => /^\d{5}$/.test(code));
}

/**
 * `x-ratelimit-reset` counts seconds until the reset
 * (https://developers.telnyx.com/development/api-fundamentals/reliability/rate-limiting).
 */
function rateLimitOf({ headers }: HttpResponse): StatedRateLimit {
  return {
    limit: countOf(headers['x-ratelimit-limit']),
    remaining: countOf(headers['x-ratelimit-remaining']),
    resetMs: secondsOf(headers['x-ratelimit-reset']),
  };
}

function countOf(header: string | string[] | undefined): number | undefined {
  return /^\d{1,9}$/.test(String(header)) ? Number(header) : undefined;
}

/** `Retry-After`, in seconds or as a date (RFC 9110, section 10.2.3). For a 429 at least `x-ratelimit-reset`. */
function retryAfterOf(response: HttpResponse, now: number): number | undefined {
  const header = response.headers['retry-after'];
  const stated = [secondsOf(header) ?? untilDateOf(header, now)];
  if (response.status === 429) stated.push(rateLimitOf(response).resetMs);
  const known = stated.filter((ms) => ms !== undefined);
  return known.length === 0 ? undefined : Math.max(...known);
}

function secondsOf(header: string | string[] | undefined): number | undefined {
  if (!/^\d{1,9}(\.\d+)?$/.test(String(header))) return undefined;
  return Math.min(Number(header) * 1_000, maxRetryAfterMs);
}

/** Milliseconds until an HTTP date (RFC 9110, section 5.6.7); 0 for a date in the past. */
function untilDateOf(header: string | undefined, now: number): number | undefined {
  const date = header?.endsWith(' GMT') ? Date.parse(header) : Number.NaN;
  return Number.isNaN(date) ? undefined : Math.min(Math.max(0, date - now), maxRetryAfterMs);
}

/**
 * The part of the Telnyx API v2 that the archiver uses (https://developers.telnyx.com/api-reference/documents).
 * Every answer is checked against what is relied on, no more, and nothing is concluded from an answer that is not
 * the API's own: whatever a gateway or firewall in front of it says is an outage.
 */
import * as v from 'valibot';
import { ArchiverError, type ErrorCode, nameOf } from '../errors.ts';
import { type HttpAnswer, type HttpGet, readBody } from '../http.ts';
import { membersOf } from '../json-text.ts';
import { calls } from '../limits.ts';
import { type Time, withDeadline } from '../time.ts';
import { uuidPattern } from '../uuid.ts';
import type { ApiKey } from './api-key.ts';
import { type Pacer, type StatedRateLimit, unpaced } from './pacing.ts';
import { boundRecord, isFields, readFacts, type StatedFacts } from './record.ts';

const documentAnswer = v.object({ data: v.looseObject({ id: v.pipe(v.string(), v.regex(uuidPattern)) }) });

/** A document as Telnyx describes it. */
export interface TelnyxDocument extends StatedFacts {
  id: string;
  /** JSON text of Telnyx's record as it came, or cut: see `boundRecord`. */
  record: string;
  /** Whether `record` is cut, because it was too large or too deeply nested. */
  cut: boolean;
  /** Names of the record's fields that are not as specified and count as not stated. */
  malformed: readonly string[];
}

const linkAnswer = v.object({ data: v.object({ url: v.string() }) });

/** Error codes of the Telnyx API (https://developers.telnyx.com/development/api-fundamentals/api-errors). */
const errorCode = { notFound: '10005', tooManyRequests: '10011' } as const;

/** Metadata of 250 documents takes about 300 kB. */
const maxAnswerBytes = 32 * 1024 ** 2;
/** No stated wait is believed beyond this. */
const longestRetryAfterMs = 15 * 60_000;

interface JsonAnswer {
  body: unknown;
  rateLimit: StatedRateLimit;
}

export interface TelnyxClient {
  /** GET /documents/{id}. @throws ArchiverError DocumentGone and those of `get` */
  document(id: string, signal: AbortSignal): Promise<TelnyxDocument>;
  /**
   * GET /documents/{id}/download_link: a presigned URL, which is a secret while it lasts.
   *
   * @throws ArchiverError DocumentGone, LinkRefused and those of `get`
   */
  downloadLink(id: string, signal: AbortSignal): Promise<string>;
  /**
   * GET of any path below the base URL, for the lists.
   *
   * @param gone the code for Telnyx's error 10005, not found
   * @throws ArchiverError `gone`, ApiKeyRejected, ApiKeyForbidden, ApiKeyUnavailable, RateLimited,
   *   TelnyxUnavailable, UnexpectedResponse
   */
  get(path: string, query: URLSearchParams, gone: ErrorCode, signal: AbortSignal): Promise<JsonAnswer>;
}

export interface TelnyxClientOptions {
  /** Such as `https://api.telnyx.com/v2`. */
  baseUrl: URL;
  apiKey: ApiKey;
  httpGet: HttpGet;
  time: Time;
  /** @default nothing waits */
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
    const tooLate = () =>
      new ArchiverError('TelnyxUnavailable', `Telnyx did not answer within ${calls.telnyxMs / 1_000} s.`);
    return withDeadline(time, calls.telnyxMs, signal, tooLate, async (limited) => {
      try {
        const answer = await httpGet(url, { headers, signal: limited });
        return { answer, text: (await readBody(answer.body, maxAnswerBytes)).toString('utf8') };
      } catch (error) {
        limited.throwIfAborted();
        if (error instanceof RangeError)
          throw new ArchiverError('AnswerTooLarge', 'An answer of the Telnyx API is larger than 32 MiB.');
        throw new ArchiverError('TelnyxUnavailable', `The connection to Telnyx broke (${nameOf(error)}).`, {
          cause: error,
        });
      }
    });
  };

  /** @throws ArchiverError as `TelnyxClient.get`, and `refused` for a 422 */
  const ask = async (
    path: string,
    query: URLSearchParams,
    { gone, refused }: Refusals,
    signal: AbortSignal,
  ): Promise<JsonAnswer & { text: string }> => {
    const url = new URL(`${baseUrl.href.replace(/\/$/, '')}/${path}`);
    url.search = query.toString();
    const key = await apiKey.current();
    const paced = (withKey: string) =>
      pacer(
        () => request(url, withKey, signal),
        // Only from a success does it follow that there is no limit where none is stated.
        ({ answer }) =>
          answer.status < 300 || 'x-ratelimit-limit' in answer.headers ? rateLimitOf(answer) : undefined,
        signal,
      );
    let { answer, text } = await paced(key);
    // A 401 that is not the API's own says nothing about the key.
    if (answer.status === 401 && errorCodesOf(text).length > 0) {
      const fresh = await apiKey.after(key);
      if (fresh !== key) ({ answer, text } = await paced(fresh));
    }
    const { status } = answer;
    if (status < 200 || status > 299)
      throw refusal(answer, errorCodesOf(text), { gone, refused }, time.now());
    const body = parseJson(text);
    if (body === undefined) {
      throw new ArchiverError(
        'TelnyxUnavailable',
        `Telnyx answered ${status} without JSON. The answer is not from its API: check what stands in between.`,
      );
    }
    return { body, text, rateLimit: rateLimitOf(answer) };
  };

  return {
    get: async (path, query, gone, signal) => {
      const { body, rateLimit } = await ask(path, query, { gone, refused: 'UnexpectedResponse' }, signal);
      return { body, rateLimit };
    },

    document: async (id, signal) => {
      const refusals = { gone: 'DocumentGone', refused: 'UnexpectedResponse' } as const;
      const { body, text } = await ask(`documents/${id}`, new URLSearchParams(), refusals, signal);
      const { data } = check(documentAnswer, body);
      if (data.id !== id) throw unexpected('it sent another document than was asked for');
      const { facts, malformed } = readFacts(data);
      const record = boundRecord(membersOf(text).get('data') as string);
      return { id, ...facts, malformed, record: record.text, cut: record.cut };
    },

    downloadLink: async (id, signal) => {
      const path = `documents/${id}/download_link`;
      const refusals = { gone: 'DocumentGone', refused: 'LinkRefused' } as const;
      const { body } = await ask(path, new URLSearchParams(), refusals, signal);
      return check(linkAnswer, body).data.url;
    },
  };
}

/** What an answer of the API about the thing that was asked for means. */
interface Refusals {
  /** Of its error 10005, not found. */
  gone: ErrorCode;
  /** Of a 422. */
  refused: ErrorCode;
}

/** @throws ArchiverError UnexpectedResponse naming the field, but not what stands in it */
export function check<Schema extends v.GenericSchema>(schema: Schema, body: unknown): v.InferOutput<Schema> {
  const result = v.safeParse(schema, body);
  if (result.success) return result.output;
  throw unexpected(`${v.getDotPath(result.issues[0]) ?? 'its answer'} is missing or not as specified`);
}

/** @returns undefined for what is not JSON. The parser's message is not kept: it quotes the text. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function unexpected(what: string): ArchiverError {
  return new ArchiverError(
    'UnexpectedResponse',
    `The answer of the Telnyx API is not as specified: ${what}.`,
  );
}

/** Quotes status and codes alone: titles and details are the words of others, and may hold keys or links. */
function refusal(
  answer: HttpAnswer,
  codes: readonly string[],
  { gone, refused }: Refusals,
  now: number,
): ArchiverError {
  const { status } = answer;
  const said = `Telnyx answered ${status}${codes.length === 0 ? '' : ` (${codes.slice(0, 3).join(', ')})`}`;
  const retryAfterMs = retryAfterOf(answer, now);
  if (status === 429 || codes.includes(errorCode.tooManyRequests)) {
    return new ArchiverError('RateLimited', `${said}: too many requests.`, { retryAfterMs });
  }
  if (status < 400 || status === 408 || status >= 500) {
    return new ArchiverError('TelnyxUnavailable', `${said}.`, { retryAfterMs });
  }
  if (codes.length === 0) {
    return new ArchiverError(
      'TelnyxUnavailable',
      `${said} without an error code of its API. The answer is not from the API: check what stands in between.`,
      { retryAfterMs },
    );
  }
  if (status === 401) {
    return new ArchiverError(
      'ApiKeyRejected',
      `${said}: the API key is not valid. Store a valid one in the secret.`,
    );
  }
  if (status === 403) {
    return new ArchiverError('ApiKeyForbidden', `${said}: the API key may not read this.`);
  }
  if (codes.includes(errorCode.notFound))
    return new ArchiverError(gone, `${said}: it does not exist (any more).`);
  if (status === 422) return new ArchiverError(refused, `${said}.`);
  return new ArchiverError('UnexpectedResponse', `${said}, which its API specification does not name.`);
}

/**
 * The codes of the error objects in an answer; without any, the answer is not the API's own. Telnyx's codes have
 * five digits and come as text or as a number; gateways put HTTP statuses and names there. The specification's 404
 * of `download_link` is a bare error object, everything else wraps it in `errors`.
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
function rateLimitOf({ headers }: HttpAnswer): StatedRateLimit {
  return {
    limit: countOf(headers['x-ratelimit-limit']),
    remaining: countOf(headers['x-ratelimit-remaining']),
    resetMs: secondsOf(headers['x-ratelimit-reset']),
  };
}

function countOf(header: string | string[] | undefined): number | undefined {
  return typeof header === 'string' && /^\d{1,9}$/.test(header) ? Number(header) : undefined;
}

/** `Retry-After`, seconds or a date (RFC 9110, section 10.2.3), and at a 429 no less than `x-ratelimit-reset`. */
function retryAfterOf(answer: HttpAnswer, now: number): number | undefined {
  const header = answer.headers['retry-after'];
  const stated = [secondsOf(header) ?? untilDateOf(header, now)];
  if (answer.status === 429) stated.push(rateLimitOf(answer).resetMs);
  const known = stated.filter((ms) => ms !== undefined);
  return known.length === 0 ? undefined : Math.max(...known);
}

function secondsOf(header: string | string[] | undefined): number | undefined {
  if (typeof header !== 'string' || !/^\d{1,9}(\.\d+)?$/.test(header)) return undefined;
  return Math.min(Number(header) * 1_000, longestRetryAfterMs);
}

/** Milliseconds until an HTTP date (RFC 9110, section 5.6.7), 0 for one that has passed. */
function untilDateOf(header: string | undefined, now: number): number | undefined {
  const date = header?.endsWith(' GMT') ? Date.parse(header) : Number.NaN;
  return Number.isNaN(date) ? undefined : Math.min(Math.max(0, date - now), longestRetryAfterMs);
}

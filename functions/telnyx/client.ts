/**
 * The part of the Telnyx API v2 that the archiver uses (https://developers.telnyx.com/api-reference/documents).
 * Every answer is checked against what is relied on, no more: all fields of a document are optional in Telnyx's
 * specification.
 */
import * as v from 'valibot';
import { ArchiverError, type ErrorCode, nameOf } from '../errors.ts';
import { type HttpAnswer, type HttpGet, readBody } from '../http.ts';
import { calls } from '../limits.ts';
import { redact } from '../log.ts';
import { uuidPattern } from '../queue/messages.ts';
import { type Time, withDeadline } from '../time.ts';
import type { ApiKey } from './api-key.ts';
import { type Pacer, type RateLimit, unpaced } from './pacing.ts';

const sha256 = v.pipe(
  v.string(),
  v.toLowerCase(),
  v.regex(/^([0-9a-f]{64})?$/, 'sha256 is not 64 hex digits'),
  v.transform((hex) => (hex === '' ? undefined : hex)),
);
const documentRecord = v.looseObject({
  id: v.pipe(v.string(), v.regex(uuidPattern)),
  filename: v.nullish(v.string()),
  content_type: v.nullish(v.string()),
  created_at: v.nullish(v.string()),
  sha256: v.nullish(sha256),
  size: v.nullish(
    v.looseObject({
      unit: v.nullish(v.literal('bytes')),
      amount: v.nullish(v.pipe(v.number(), v.safeInteger(), v.minValue(0))),
    }),
  ),
  av_scan_status: v.nullish(v.string()),
});

/** What the archiver relies on of a document, and Telnyx's whole record as it came. */
export interface TelnyxDocument {
  id: string;
  fileName: string | undefined;
  contentType: string | undefined;
  /** ISO 8601. */
  createdAt: string | undefined;
  /** 64 lower-case hex digits. */
  sha256: string | undefined;
  bytes: number | undefined;
  infected: boolean;
  record: Readonly<Record<string, unknown>>;
}

const linkAnswer = v.object({ data: v.object({ url: v.string() }) });

const errorObject = v.looseObject({
  code: v.union([v.string(), v.number()]),
  title: v.nullish(v.string()),
  detail: v.nullish(v.string()),
});
/** The specification's 404 of `download_link` is a bare error object; everything else wraps it in `errors`. */
const errorBody = v.union([
  v.pipe(
    v.object({ errors: v.array(errorObject) }),
    v.transform((body) => body.errors[0]),
  ),
  errorObject,
]);

/** Metadata of 250 documents takes about 300 kB. */
const maxAnswerBytes = 8 * 1024 ** 2;
/** No stated wait is believed beyond this. */
const longestRetryAfterMs = 15 * 60_000;

export interface JsonAnswer {
  body: unknown;
  rateLimit: RateLimit;
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
   * @param gone the code for a 404
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
        return { answer, bytes: await readBody(answer.body, maxAnswerBytes) };
      } catch (error) {
        limited.throwIfAborted();
        if (error instanceof RangeError) throw unexpected('its answer is larger than 8 MiB');
        throw new ArchiverError('TelnyxUnavailable', `The connection to Telnyx broke (${nameOf(error)}).`, {
          cause: error,
        });
      }
    });
  };

  const get: TelnyxClient['get'] = async (path, query, gone, signal) => {
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
    let { answer, bytes } = await paced(key);
    if (answer.status === 401) {
      const fresh = await apiKey.after(key);
      if (fresh !== key) ({ answer, bytes } = await paced(fresh));
    }
    if (answer.status !== 200) throw refusal(answer, bytes, gone, time.now());
    return { body: parseJson(bytes), rateLimit: rateLimitOf(answer) };
  };

  return {
    get,
    document: async (id, signal) => {
      const { body } = await get(`documents/${id}`, new URLSearchParams(), 'DocumentGone', signal);
      const { data } = check(v.object({ data: documentRecord }), body);
      if (data.id !== id) throw unexpected('it sent another document than was asked for');
      return toDocument(data, (body as { data: Record<string, unknown> }).data);
    },
    downloadLink: async (id, signal) => {
      const { body } = await get(
        `documents/${id}/download_link`,
        new URLSearchParams(),
        'DocumentGone',
        signal,
      );
      return check(linkAnswer, body).data.url;
    },
  };
}

function toDocument(
  data: v.InferOutput<typeof documentRecord>,
  record: Readonly<Record<string, unknown>>,
): TelnyxDocument {
  return {
    id: data.id,
    fileName: data.filename ?? undefined,
    contentType: data.content_type ?? undefined,
    createdAt: data.created_at ?? undefined,
    sha256: data.sha256 ?? undefined,
    bytes: data.size?.amount ?? undefined,
    infected: data.av_scan_status === 'infected',
    record,
  };
}

/** @throws ArchiverError UnexpectedResponse naming the field, but not what stands in it */
export function check<Schema extends v.GenericSchema>(schema: Schema, body: unknown): v.InferOutput<Schema> {
  const result = v.safeParse(schema, body);
  if (result.success) return result.output;
  throw unexpected(`${v.getDotPath(result.issues[0]) ?? 'its answer'} is missing or not as specified`);
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    // The parser's message quotes the body, which may hold a presigned URL.
    throw unexpected('its answer is not JSON');
  }
}

function unexpected(what: string): ArchiverError {
  return new ArchiverError(
    'UnexpectedResponse',
    `Telnyx answered otherwise than its API specification says: ${what}.`,
  );
}

function refusal(answer: HttpAnswer, bytes: Buffer, gone: ErrorCode, now: number): ArchiverError {
  const { status } = answer;
  const stated = statedError(bytes);
  const said = `Telnyx answered ${status}${stated.text}`;
  const retryAfterMs = retryAfterOf(answer, now);
  if (status === 429 || stated.code === '10011') {
    return new ArchiverError('RateLimited', `${said}: too many requests.`, { retryAfterMs });
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
  if (status === 404) return new ArchiverError(gone, `${said}: not, or no longer, there.`);
  if (status === 422) return new ArchiverError('LinkRefused', `${said}.`);
  if (status === 408 || status >= 500)
    return new ArchiverError('TelnyxUnavailable', `${said}.`, { retryAfterMs });
  return new ArchiverError('UnexpectedResponse', `${said}, which its API specification does not name.`);
}

function statedError(bytes: Buffer): { code: string | undefined; text: string } {
  let body: unknown;
  try {
    body = JSON.parse(bytes.toString('utf8'));
  } catch {
    // Proxies on the way answer with HTML; then the status alone has to do.
    return { code: undefined, text: '' };
  }
  const result = v.safeParse(errorBody, body);
  if (!result.success || !result.output) return { code: undefined, text: '' };
  const { code, title, detail } = result.output;
  const words = [code, title, detail].filter((word) => word !== undefined && word !== null && word !== '');
  return { code: String(code), text: ` (${redact(words.join(' '))})` };
}

/**
 * `x-ratelimit-reset` counts seconds until the reset
 * (https://developers.telnyx.com/development/api-fundamentals/reliability/rate-limiting).
 */
function rateLimitOf(answer: HttpAnswer): RateLimit {
  const resetMs = secondsOf(answer.headers['x-ratelimit-reset']);
  return {
    limit: countOf(answer.headers['x-ratelimit-limit']),
    remaining: countOf(answer.headers['x-ratelimit-remaining']),
    resetMs,
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

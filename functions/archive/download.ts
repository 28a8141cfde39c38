/**
 * Opens presigned download links. A link comes from outside and could lead anywhere, so it is opened only with https,
 * on an allowed host with a public address, without redirects and decoding, and never with the Telnyx API key.
 */
import { RequestFilteringHttpsAgent } from 'request-filtering-agent';
import { createAgents, dropStaleSockets } from '../connections.ts';
import { ArchiverError, nameOf } from '../errors.ts';
import { createHttpGet, type HttpGet, type HttpResponse } from '../http.ts';
import { calls } from '../limits.ts';
import { systemTime, type Time, withDeadline } from '../time.ts';
import { matchesHost } from './download-hosts.ts';

/** In characters. Common servers accept no longer request line (nginx: 8 kB, Apache httpd: 8,190 bytes). */
const maxLinkLength = 8 * 1024;

export interface LinkPolicy {
  /** Host name patterns; see `download-hosts.ts`. */
  hosts: readonly string[];
  /** One origin that is always allowed, even with http or a loopback address: that of the local stack. */
  trustedOrigin: string | undefined;
}

/** Opens a presigned URL. Resolves only with a response of status 200. */
export type Download = (link: string, signal: AbortSignal) => Promise<HttpResponse>;

/**
 * @throws ArchiverError LinkNotAllowed, LinkExpired, DownloadRefused, RedirectRefused or DownloadFailed; no message
 *   contains the URL
 */
export function createDownload({
  policy,
  httpGet,
  time,
}: {
  policy: LinkPolicy;
  httpGet: HttpGet;
  time: Time;
}): Download {
  const timeoutError = () =>
    new ArchiverError(
      'DownloadFailed',
      `The storage did not respond within ${calls.downloadIdleMs / 1_000} s.`,
    );

  return async (link, signal) => {
    const url = allowedUrl(link, policy);
    const path = requestTarget(link);
    // The deadline covers the headers only. The reader of the body detects stalls (`copy.ts`).
    const response = await withDeadline(time, calls.downloadIdleMs, signal, timeoutError, async (limited) => {
      try {
        return await httpGet(url, { headers: { 'accept-encoding': 'identity' }, path, signal: limited });
      } catch (error) {
        limited.throwIfAborted();
        throw connectionError(error);
      }
    });
    if (response.status === 200) return response;
    response.body.destroy();
    throw statusError(response.status);
  };
}

/**
 * An HTTP client with agents of its own, used for downloads only. Refuses a connection unless its address is public,
 * whether the host is a name or an IP address.
 *
 * @param version of the archiver, for the User-Agent
 * @param monotonic clock in milliseconds; measures how long a connection was idle
 */
export function createGuardedHttpGet(
  policy: LinkPolicy,
  version: string,
  monotonic = systemTime.monotonic,
): HttpGet {
  const filteringAgent = (allowPrivateIPAddress: boolean) =>
    dropStaleSockets(new RequestFilteringHttpsAgent({ keepAlive: true, allowPrivateIPAddress }), monotonic);
  const guarded = createHttpGet({ https: filteringAgent(false) }, version);
  // Stryker disable next-line ConditionalExpression: only saves agents; no origin is undefined.
  if (policy.trustedOrigin === undefined) return guarded;
  const { http } = createAgents(undefined, monotonic);
  const trusted = createHttpGet({ https: filteringAgent(true), http }, version);
  return (url, options) => (url.origin === policy.trustedOrigin ? trusted : guarded)(url, options);
}

/**
 * Parses the link and returns its URL if the policy allows it.
 *
 * @throws ArchiverError LinkNotAllowed; the message names the violated rule, never the URL
 */
export function allowedUrl(link: string, policy: LinkPolicy): URL {
  if (link.length > maxLinkLength) throw notAllowed(`it is longer than ${maxLinkLength} characters`);
  // A URL parser would remove or encode these characters, but the link is sent unchanged.
  if (/[ \p{Cc}]/u.test(link)) throw notAllowed('it contains a space or a control character');
  const url = URL.parse(link);
  if (!url) throw notAllowed('it is not a URL');
  if (url.username !== '' || url.password !== '') throw notAllowed('it contains user info');
  if (url.origin === policy.trustedOrigin) return url;
  if (url.protocol !== 'https:') throw notAllowed('it is not https');
  if (url.port !== '') throw notAllowed('it contains a port');
  if (!policy.hosts.some((pattern) => matchesHost(url.hostname, pattern))) {
    throw notAllowed('its host is not among the allowed download hosts');
  }
  return url;
}

/**
 * Path and query exactly as in the link, because `.`, `..`, `//` and `%2F` are part of the signed text. Encodes only
 * non-ASCII characters, which HTTP does not allow.
 *
 * @throws ArchiverError LinkNotAllowed
 */
function requestTarget(link: string): string {
  // Stricter than a URL parser, which also accepts `https:host`, `https:///host` and `\` in place of `/`.
  const match = /^https?:\/\/[^/?#\\]+([/?][^#]*)?(?:#|$)/i.exec(link);
  if (!match) throw notAllowed('it is not an absolute URL');
  const target = (match[1] ?? '').toWellFormed().replace(/[^\0-\x7f]+/g, encodeURIComponent);
  return target.startsWith('/') ? target : `/${target}`;
}

function notAllowed(why: string): ArchiverError {
  return new ArchiverError(
    'LinkNotAllowed',
    `The download link from Telnyx is not allowed: ${why}. If Telnyx moved its storage, add the host to downloadHosts.`,
  );
}

function connectionError(error: unknown): ArchiverError {
  // The errors of request-filtering-agent have no code.
  if (error instanceof Error && / is not allowed\. Because/.test(error.message)) {
    return notAllowed('its host resolves to an address that is not public');
  }
  return new ArchiverError('DownloadFailed', `The connection to the storage failed (${nameOf(error)}).`, {
    cause: error,
  });
}

function statusError(status: number): ArchiverError {
  if (status === 403) {
    return new ArchiverError(
      'LinkExpired',
      'The storage returned 403 for the download link, as it does for an expired link.',
    );
  }
  if (status >= 300 && status < 400) {
    return new ArchiverError(
      'RedirectRefused',
      `The storage returned ${status}; redirects are not followed.`,
    );
  }
  const isRefused = status >= 400 && status < 500 && status !== 408 && status !== 429;
  return new ArchiverError(
    isRefused ? 'DownloadRefused' : 'DownloadFailed',
    `The storage returned ${status} for the download link. The next attempt uses a fresh link.`,
  );
}

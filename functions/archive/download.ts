/**
 * The guarded way to a presigned URL. Where it leads is decided by others, so: https to an allowed host and a
 * public address only, no redirects, no decoding, and never the Telnyx API key.
 */

import { RequestFilteringHttpsAgent } from 'request-filtering-agent';
import { createAgents, dropStaleSockets } from '../connections.ts';
import { ArchiverError, nameOf } from '../errors.ts';
import { createHttpGet, type HttpAnswer, type HttpGet } from '../http.ts';
import { calls } from '../limits.ts';
import { systemTime, type Time, withDeadline } from '../time.ts';
import { matchesHost } from './download-hosts.ts';

/** Characters: common servers take no longer request line (nginx: 8 kB, Apache httpd: 8,190 bytes). */
const longestLink = 8 * 1024;

export interface LinkPolicy {
  /** Patterns of host names, see `download-hosts.ts`. */
  hosts: readonly string[];
  /** One origin that is taken as it is, http and loopback included: the local stack. */
  trustedOrigin: string | undefined;
}

/** Opens a presigned URL. The answer's status is 200. */
export type Download = (link: string, signal: AbortSignal) => Promise<HttpAnswer>;

/**
 * @throws ArchiverError LinkNotAllowed, LinkExpired, DownloadRefused, RedirectRefused or DownloadFailed; no message
 *   holds the URL
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
  const tooLate = () =>
    new ArchiverError(
      'DownloadFailed',
      `The storage did not answer within ${calls.downloadIdleMs / 1_000} s.`,
    );

  return async (link, signal) => {
    const url = allowedUrl(link, policy);
    const path = requestTarget(link);
    // The deadline is for the headers; whoever reads the body watches over it from then on.
    const answer = await withDeadline(time, calls.downloadIdleMs, signal, tooLate, async (limited) => {
      try {
        return await httpGet(url, { headers: { 'accept-encoding': 'identity' }, path, signal: limited });
      } catch (error) {
        limited.throwIfAborted();
        throw connectionError(error);
      }
    });
    if (answer.status === 200) return answer;
    answer.body.destroy();
    throw refusal(answer.status);
  };
}

/**
 * Agents of the download's own: the filtering one checks every address that a name resolves to, and literals.
 *
 * @param version of the archiver, for the User-Agent
 * @param monotonic milliseconds; tells how long a connection was idle
 */
export function createGuardedHttpGet(
  policy: LinkPolicy,
  version: string,
  monotonic = systemTime.monotonic,
): HttpGet {
  const filtering = (allowPrivateIPAddress: boolean) =>
    dropStaleSockets(new RequestFilteringHttpsAgent({ keepAlive: true, allowPrivateIPAddress }), monotonic);
  const guarded = createHttpGet({ https: filtering(false) }, version);
  if (policy.trustedOrigin === undefined) return guarded;
  const { http } = createAgents(undefined, monotonic);
  const trusted = createHttpGet({ https: filtering(true), http }, version);
  return (url, options) => (url.origin === policy.trustedOrigin ? trusted : guarded)(url, options);
}

/**
 * The URL, if the policy lets the archiver go there.
 *
 * @throws ArchiverError LinkNotAllowed, naming the rule and not the URL
 */
export function allowedUrl(link: string, policy: LinkPolicy): URL {
  if (link.length > longestLink) throw notAllowed(`it is longer than ${longestLink} characters`);
  // A URL parser removes or encodes them, but the link goes out as it came.
  if (/[ \p{Cc}]/u.test(link)) throw notAllowed('it holds a space or a control character');
  const url = URL.parse(link);
  if (!url) throw notAllowed('it is not a URL');
  if (url.username !== '' || url.password !== '') throw notAllowed('it holds user info');
  if (url.origin === policy.trustedOrigin) return url;
  if (url.protocol !== 'https:') throw notAllowed('it is not https');
  if (url.port !== '') throw notAllowed('it names a port');
  if (!policy.hosts.some((pattern) => matchesHost(url.hostname, pattern))) {
    throw notAllowed('its host is not among the allowed download hosts');
  }
  return url;
}

/**
 * Path and query exactly as they stand in the link: `.`, `..`, `//` and `%2F` are part of what is signed. Only
 * characters beyond ASCII, which HTTP cannot carry, are encoded.
 *
 * @throws ArchiverError LinkNotAllowed
 */
function requestTarget(link: string): string {
  // Stricter than a URL parser, which takes `https:host`, `https:///host` and `\` for `/` as well.
  const match = /^https?:\/\/[^/?#\\]+([/?][^#]*)?(?:#|$)/i.exec(link);
  if (!match) throw notAllowed('it is not an absolute URL');
  const target = (match[1] ?? '').toWellFormed().replace(/[^\0-\x7f]+/g, encodeURIComponent);
  return target.startsWith('/') ? target : `/${target}`;
}

function notAllowed(why: string): ArchiverError {
  return new ArchiverError(
    'LinkNotAllowed',
    `Telnyx's download link was not followed: ${why}. If Telnyx has moved its storage, add the host to the stage's download hosts.`,
  );
}

function connectionError(error: unknown): ArchiverError {
  // The filtering agent's errors have no code of their own.
  if (error instanceof Error && / is not allowed\. Because,? /.test(error.message)) {
    return notAllowed('its host resolves to an address that is not public');
  }
  return new ArchiverError('DownloadFailed', `The connection to the storage broke (${nameOf(error)}).`, {
    cause: error,
  });
}

function refusal(status: number): ArchiverError {
  if (status === 403) {
    return new ArchiverError(
      'LinkExpired',
      'The storage refuses the download link (403), as it does once expired.',
    );
  }
  if (status >= 300 && status < 400) {
    return new ArchiverError(
      'RedirectRefused',
      `The storage answered ${status}; redirects are not followed.`,
    );
  }
  const isRefused = status >= 400 && status < 500 && status !== 408 && status !== 429;
  return new ArchiverError(
    isRefused ? 'DownloadRefused' : 'DownloadFailed',
    `The storage answered ${status} to the download link. The next attempt asks for a fresh one.`,
  );
}

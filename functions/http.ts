/**
 * HTTP GET over `node:https`, without redirects, decoding or buffering. `fetch` does all three, and its first use costs
 * 39 ms.
 */
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Readable } from 'node:stream';
import { type Agents, retryOnFreshConnection } from './connections.ts';

export interface HttpResponse {
  status: number;
  headers: IncomingHttpHeaders;
  /** The bytes as received. Must be read to the end or destroyed. */
  body: Readable;
}

interface HttpGetOptions {
  headers: Record<string, string>;
  signal: AbortSignal;
  /**
   * Path and query, starting with `/`, sent exactly as given. A `URL` removes `.` and `..` from its path, which would
   * invalidate the signature of a presigned URL.
   *
   * @default path and query of the URL
   */
  path?: string;
}

/**
 * Resolves as soon as the response headers have arrived. When `signal` aborts, the connection is destroyed, also while
 * the body is being read.
 */
export type HttpGet = (url: URL, options: HttpGetOptions) => Promise<HttpResponse>;

/** @param version of the archiver, for the User-Agent header: some proxies block requests without one */
export function createHttpGet(agents: Agents, version: string): HttpGet {
  const userAgent = `telnyx-document-archiver/${version}`;
  return (url, options) => {
    const headers = { 'user-agent': userAgent, ...options.headers };
    return retryOnFreshConnection(() => get(agents, url, { ...options, headers }), options.signal);
  };
}

function get(agents: Agents, url: URL, options: HttpGetOptions): Promise<HttpResponse> {
  return new Promise((resolve, reject) => {
    const secure = url.protocol === 'https:';
    if (!secure && !agents.http) {
      reject(new Error('Plain HTTP is not allowed. Use https.'));
      return;
    }
    const request = secure
      ? httpsRequest(url, { ...options, agent: agents.https })
      : httpRequest(url, { ...options, agent: agents.http });
    request.on('response', (body) =>
      resolve({ status: Number(body.statusCode), headers: body.headers, body }),
    );
    request.on('error', (error) => {
      // For a response that is not HTTP, Node adds the bytes that it could not parse. They may contain a presigned URL.
      Reflect.deleteProperty(error, 'rawPacket');
      reject(error);
    });
    request.end();
  });
}

/**
 * Reads a small body into memory.
 *
 * @throws RangeError as soon as more than `maxBytes` have arrived; the connection is then destroyed
 */
export async function readBody(body: Readable, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBytes) throw new RangeError(`The body is larger than ${maxBytes} bytes.`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, bytes);
}

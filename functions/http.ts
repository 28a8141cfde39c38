/**
 * HTTP GET over `node:https`, as little of it as the archiver needs: no redirects, no decoding, no buffering.
 * `fetch` does all three, and costs 39 ms at first use.
 */
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Readable } from 'node:stream';
import { type Agents, retryOnFreshConnection } from './connections.ts';

export interface HttpAnswer {
  status: number;
  headers: IncomingHttpHeaders;
  /** The bytes as they came. Must be read to the end or destroyed. */
  body: Readable;
}

interface HttpGetOptions {
  headers: Record<string, string>;
  signal: AbortSignal;
  /**
   * What is asked for, exactly as it goes out: `/`, path and query. A `URL` removes `.` and `..` from its own path,
   * which breaks the signature of a presigned one.
   *
   * @default path and query of the URL
   */
  path?: string;
}

/**
 * Resolves as soon as the answer's headers are there. When `signal` aborts, the connection is destroyed, the
 * body of an answer under way included.
 */
export type HttpGet = (url: URL, options: HttpGetOptions) => Promise<HttpAnswer>;

/** @param version of the archiver, for the User-Agent: front ends block requests without one */
export function createHttpGet(agents: Agents, version: string): HttpGet {
  const userAgent = `telnyx-document-archiver/${version}`;
  return (url, options) => {
    const headers = { 'user-agent': userAgent, ...options.headers };
    return retryOnFreshConnection(() => get(agents, url, { ...options, headers }), options.signal);
  };
}

function get(agents: Agents, url: URL, options: HttpGetOptions): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const secure = url.protocol === 'https:';
    if (!secure && !agents.http) {
      reject(new Error('Only https is spoken here.'));
      return;
    }
    const request = secure
      ? httpsRequest(url, { ...options, agent: agents.https })
      : httpRequest(url, { ...options, agent: agents.http });
    request.on('response', (body) =>
      resolve({ status: Number(body.statusCode), headers: body.headers, body }),
    );
    request.on('error', (error) => {
      // Where an answer is not HTTP, Node adds the bytes that it failed at: a presigned URL may be among them.
      Reflect.deleteProperty(error, 'rawPacket');
      reject(error);
    });
    request.end();
  });
}

/**
 * Reads a small body whole.
 *
 * @throws RangeError as soon as there are more than `maxBytes`; the connection is destroyed then
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

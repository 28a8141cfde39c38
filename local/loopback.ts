/**
 * HTTP servers for programs of this machine. Any web page can reach a loopback port: by form posts, and by DNS rebinding,
 * a name of its own that resolves to 127.0.0.1. Browsers send `Origin` with the former and that name as `Host` with the
 * latter.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface LoopbackOptions {
  /** @default 0, any free port */
  readonly port?: number;
  /** Whether a `Host` header is accepted. @default `isLoopbackHost` */
  readonly acceptsHost?: (host: string) => boolean;
}

export interface LoopbackServer {
  /** `http://127.0.0.1:<port>` */
  readonly origin: string;
  /** Closes all connections and releases the port. */
  close(): Promise<void>;
}

/** Starts a server on 127.0.0.1 that returns 403 for requests that a web page may have caused. */
export async function openLoopbackServer(
  listener: RequestListener,
  { port = 0, acceptsHost = isLoopbackHost }: LoopbackOptions = {},
): Promise<LoopbackServer> {
  const server = createServer((request, response) => {
    response.setHeader('x-content-type-options', 'nosniff');
    const reason = refusalReason(request, acceptsHost);
    if (reason === undefined) listener(request, response);
    else response.writeHead(403, { 'content-type': 'text/plain' }).end(`${reason}\n`);
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Why a request may come from a web page; undefined if it does not. */
export function refusalReason(
  { headers: { host = '', origin } }: IncomingMessage,
  acceptsHost: (host: string) => boolean,
): string | undefined {
  if (origin !== undefined) return 'Requests of web pages (with an Origin header) are refused.';
  return acceptsHost(host) ? undefined : 'The Host header must be 127.0.0.1 or localhost.';
}

/**
 * Whether a host names this machine. The port may be any: a proxy in front of a server has another one, and DNS rebinding
 * changes only the name.
 */
export function isLoopbackHost(host: string): boolean {
  return /^(127\.0\.0\.1|localhost|\[::1\])(:\d{1,5})?$/i.test(host);
}

/**
 * Reads the body; undefined if it is larger than `maxBytes`. It is still read to its end: closing the connection earlier
 * would reset it before the client has read the response.
 */
export async function readRequestBody(
  request: IncomingMessage,
  maxBytes: number,
): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes <= maxBytes) chunks.push(chunk);
  }
  return bytes > maxBytes ? undefined : Buffer.concat(chunks, bytes);
}

/** HTTP server of source and sink, which run in separate processes and report counts to their parent. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';

export interface ServerOptions {
  /** Paths of PEM files. Without it, plain HTTP. */
  tls?: { key: string; certificate: string } | undefined;
  /** Delay of each response, in milliseconds. */
  latencyMs: number;
}

export interface Counts {
  /** Number of requests by method and first path segment, such as `GET /v2`. */
  requests: Record<string, number>;
  connections: number;
}

/** Serves until the parent disconnects. Sends the address first, then on each message the counts since the last one. */
export async function serve(listener: RequestListener): Promise<void> {
  const [options] = (await once(process, 'message')) as [ServerOptions];
  let counts: Counts = { requests: {}, connections: 0 };
  const respond: RequestListener = async (request, response) => {
    const name = `${request.method} /${request.url?.split(/[/?]/)[1] ?? ''}`;
    counts.requests[name] = (counts.requests[name] ?? 0) + 1;
    if (options.latencyMs > 0) await wait(options.latencyMs);
    listener(request, response);
  };
  const server =
    options.tls === undefined
      ? createServer(respond)
      : createTlsServer(
          { key: readFileSync(options.tls.key), cert: readFileSync(options.tls.certificate) },
          respond,
        );
  server.keepAliveTimeout = 600_000;
  server.on('connection', () => {
    counts.connections += 1;
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  process.send?.(`${options.tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`);
  process.on('message', () => {
    process.send?.(counts);
    counts = { requests: {}, connections: 0 };
  });
  process.on('disconnect', () => process.exit());
}

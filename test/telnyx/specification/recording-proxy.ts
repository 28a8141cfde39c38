/** A proxy in front of the stand-in for Telnyx, for one test. Keeps each request with its response. */
import { once } from 'node:events';
import { Agent, createServer, type IncomingMessage, request as openRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { onTestFinished } from 'vitest';
import type { Exchange } from './specification.ts';

export interface RecordingProxy {
  /** Base URL to use instead of the target. */
  url: string;
  exchanges: Exchange[];
}

/** @param target base URL of the stand-in, such as `http://127.0.0.1:4000/v2` */
export async function startRecordingProxy(target: string): Promise<RecordingProxy> {
  const { origin, pathname: basePath } = new URL(target);
  const agent = new Agent({ keepAlive: true });
  const exchanges: Exchange[] = [];
  const server = createServer(async (request, response) => {
    const { method = '', url = '' } = request;
    const requestBody = await buffer(request);
    const forwarded = openRequest(origin + url, { method, headers: request.headers, agent });
    forwarded.end(requestBody);
    const [answer] = (await once(forwarded, 'response')) as [IncomingMessage];
    const responseBody = await buffer(answer);
    const status = answer.statusCode ?? 0;
    exchanges.push({
      method,
      path: url.slice(basePath.length),
      requestHeaders: headersOf(request),
      requestBody,
      status,
      responseHeaders: headersOf(answer),
      responseBody,
    });
    response.writeHead(status, answer.headers).end(responseBody);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    agent.destroy();
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}${basePath}`, exchanges };
}

function headersOf({ headersDistinct }: IncomingMessage): Headers {
  const headers = new Headers();
  for (const [name, values = []] of Object.entries(headersDistinct)) {
    for (const value of values) headers.append(name, value);
  }
  return headers;
}

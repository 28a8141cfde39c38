/** HTTP server in front of the webhook handler, like API Gateway's HTTP API with payload format 2.0. */
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2 } from 'aws-lambda';
import type { Time } from '../../functions/time.ts';
import { invoke } from './invoke.ts';

export interface WebhookPort {
  /** `http://127.0.0.1:<port>/webhook` */
  url: string;
  close(): Promise<void>;
}

export interface WebhookPortOptions {
  handler: (event: APIGatewayProxyEventV2) => Promise<APIGatewayProxyStructuredResultV2>;
  timeoutMs: number;
  time: Time;
  /** @default 0, any free port */
  port?: number;
}

const path = '/webhook';
/** Maximum request size of API Gateway. */
const maxRequestBytes = 10 * 1024 ** 2;

export async function openWebhookPort({
  handler,
  timeoutMs,
  time,
  port = 0,
}: WebhookPortOptions): Promise<WebhookPort> {
  const respond = async (request: IncomingMessage): Promise<APIGatewayProxyStructuredResultV2> => {
    if (request.url?.split('?')[0] !== path) return { statusCode: 404 };
    const body = await readToTheEnd(request);
    if (body === undefined) return { statusCode: 413 };
    const event = eventOf(request, body, time.now());
    try {
      const result = await invoke(handler, event, { functionName: 'webhook', timeoutMs, time });
      return result as APIGatewayProxyStructuredResultV2;
    } catch {
      // API Gateway does not expose the error; Lambda would log it.
      return { statusCode: 500, body: '{"message":"Internal Server Error"}' };
    }
  };
  const server = createServer((request, response) => {
    respond(request).then(
      ({ statusCode = 200, headers = {}, body = '' }) => {
        response.writeHead(statusCode, headers as Record<string, string>);
        response.end(body);
      },
      () => request.socket.destroy(),
    );
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/**
 * Reads the body; undefined if it is too large. A body that is too large is still read to its end: closing the connection
 * earlier would reset it before the client has read the 413 response.
 */
async function readToTheEnd(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes <= maxRequestBytes) chunks.push(chunk);
  }
  return bytes > maxRequestBytes ? undefined : Buffer.concat(chunks, bytes);
}

/** https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html */
function eventOf(request: IncomingMessage, body: Buffer, now: number): APIGatewayProxyEventV2 {
  const text = body.toString('utf8');
  const isText = Buffer.from(text, 'utf8').equals(body);
  const headers = Object.fromEntries(
    Object.entries(request.headersDistinct).map(([name, values = []]) => [name, values.join(',')]),
  );
  const method = request.method ?? 'GET';
  return {
    version: '2.0',
    routeKey: `${method} ${path}`,
    rawPath: path,
    rawQueryString: '',
    headers,
    requestContext: {
      accountId: '000000000000',
      apiId: 'local',
      domainName: '127.0.0.1',
      domainPrefix: 'local',
      http: {
        method,
        path,
        protocol: 'HTTP/1.1',
        sourceIp: '127.0.0.1',
        userAgent: headers['user-agent'] ?? '',
      },
      requestId: 'local',
      routeKey: `${method} ${path}`,
      stage: '$default',
      time: new Date(now).toUTCString(),
      timeEpoch: now,
    },
    body: isText ? text : body.toString('base64'),
    isBase64Encoded: !isText,
  };
}

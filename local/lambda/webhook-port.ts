/** HTTP server in front of the webhook handler, like API Gateway's HTTP API with payload format 2.0. */
import type { IncomingMessage } from 'node:http';
import type { APIGatewayProxyEventV2, APIGatewayProxyStructuredResultV2 } from 'aws-lambda';
import type { Time } from '../../functions/time.ts';
import { openLoopbackServer, readRequestBody } from '../loopback.ts';
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
    const body = await readRequestBody(request, maxRequestBytes);
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
  const { origin, close } = await openLoopbackServer(
    (request, response) => {
      respond(request).then(
        ({ statusCode = 200, headers = {}, body = '' }) => {
          response.writeHead(statusCode, headers as Record<string, string>);
          response.end(body);
        },
        () => request.socket.destroy(),
      );
    },
    // A tunnel sends its own name as Host. The signature of the event protects this port.
    { port, acceptsHost: () => true },
  );
  return { url: `${origin}${path}`, close };
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

/** How the SDK's clients send their requests. */
import { Readable } from 'node:stream';
import { NodeHttpHandler, type NodeHttpHandlerOptions } from '@smithy/node-http-handler';
import { createAgents, retryOnFreshConnection } from './connections.ts';
import { calls, concurrency } from './limits.ts';
import { systemTime } from './time.ts';

/**
 * For one client: it destroys the connections with itself. The SDK's own retries would each find out another dead
 * connection after a pause, and do not cover streams.
 *
 * @param monotonic milliseconds
 */
export function createRequestHandler(
  timeouts: Pick<NodeHttpHandlerOptions, 'requestTimeout' | 'socketTimeout'>,
  monotonic = systemTime.monotonic,
): NodeHttpHandler {
  const agents = createAgents(2 * concurrency.batchSize, monotonic);
  return new RepeatingHandler({
    ...timeouts,
    connectionTimeout: calls.connectMs,
    // Without the switch the SDK only logs that the time is up.
    throwOnRequestTimeout: true,
    httpsAgent: agents.https,
    httpAgent: agents.http,
  });
}

/** The archiver's AWS requests may all be repeated, but the bytes of a stream are gone once read. */
class RepeatingHandler extends NodeHttpHandler {
  override handle(...[request, options]: Parameters<NodeHttpHandler['handle']>) {
    const send = () => super.handle(request, options);
    return request.body instanceof Readable ? send() : retryOnFreshConnection(send, options?.abortSignal);
  }
}

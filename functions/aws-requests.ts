/** The HTTP request handler of the AWS SDK clients. */
import { Readable } from 'node:stream';
import { NodeHttpHandler, type NodeHttpHandlerOptions } from '@smithy/node-http-handler';
import { createAgents, retryOnFreshConnection } from './connections.ts';
import { calls, concurrency } from './limits.ts';
import { systemTime } from './time.ts';

/**
 * Creates the request handler of one SDK client; destroying the client closes its connections. A request that fails on
 * a reused connection is repeated on a fresh one. The SDK's own retries do not suffice: after a pause each of them would
 * meet another dead connection, and they do not cover streams.
 *
 * @param monotonic milliseconds
 */
export function createRequestHandler(
  timeouts: Pick<NodeHttpHandlerOptions, 'requestTimeout' | 'socketTimeout'>,
  monotonic = systemTime.monotonic,
): NodeHttpHandler {
  const agents = createAgents(2 * concurrency.batchSize, monotonic);
  return new FreshConnectionHandler({
    ...timeouts,
    connectionTimeout: calls.connectMs,
    // Without this the SDK only logs that the request timeout has passed.
    throwOnRequestTimeout: true,
    httpsAgent: agents.https,
    httpAgent: agents.http,
  });
}

/** All AWS requests of the archiver are safe to repeat, except for a stream: its bytes can be read only once. */
class FreshConnectionHandler extends NodeHttpHandler {
  override handle(...[request, options]: Parameters<NodeHttpHandler['handle']>) {
    const send = () => super.handle(request, options);
    // Stryker disable next-line OptionalChaining: the SDK always passes options; required by the type.
    return request.body instanceof Readable ? send() : retryOnFreshConnection(send, options?.abortSignal);
  }
}

import { SQSClient, type SQSClientConfig } from '@aws-sdk/client-sqs';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { calls, concurrency } from '../limits.ts';

/** The SQS client; region, endpoint and credentials come from the environment. */
export function createSqsClient(config: SQSClientConfig = {}): SQSClient {
  const sockets = { keepAlive: true, maxSockets: 2 * concurrency.batchSize };
  return new SQSClient({
    // Behind an endpoint of its own (the local stack) a queue URL's host may not resolve.
    useQueueUrlAsEndpoint: false,
    requestHandler: new NodeHttpHandler({
      connectionTimeout: calls.connectMs,
      requestTimeout: calls.queueMs,
      throwOnRequestTimeout: true,
      httpAgent: sockets,
      httpsAgent: sockets,
    }),
    ...config,
  });
}

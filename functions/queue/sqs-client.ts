import { SQSClient, type SQSClientConfig } from '@aws-sdk/client-sqs';
import { createRequestHandler } from '../aws-requests.ts';
import { calls } from '../limits.ts';
import { systemTime } from '../time.ts';

/**
 * Creates an SQS client. Region, endpoint and credentials come from the environment.
 *
 * @param monotonic monotonic milliseconds, to measure how long a connection was idle
 */
export function createSqsClient(config: SQSClientConfig = {}, monotonic = systemTime.monotonic): SQSClient {
  return new SQSClient({
    // With a custom endpoint (the local stack) the host of a queue URL may not resolve.
    useQueueUrlAsEndpoint: false,
    requestHandler: createRequestHandler({ requestTimeout: calls.queueMs }, monotonic),
    ...config,
  });
}

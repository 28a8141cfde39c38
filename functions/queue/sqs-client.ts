import { SQSClient, type SQSClientConfig } from '@aws-sdk/client-sqs';
import { createRequestHandler } from '../aws-requests.ts';
import { calls } from '../limits.ts';
import { systemTime } from '../time.ts';

/**
 * The SQS client; region, endpoint and credentials come from the environment.
 *
 * @param monotonic milliseconds; tells how long a connection was idle
 */
export function createSqsClient(config: SQSClientConfig = {}, monotonic = systemTime.monotonic): SQSClient {
  return new SQSClient({
    // Behind an endpoint of its own (the local stack) a queue URL's host may not resolve.
    useQueueUrlAsEndpoint: false,
    requestHandler: createRequestHandler({ requestTimeout: calls.queueMs }, monotonic),
    ...config,
  });
}

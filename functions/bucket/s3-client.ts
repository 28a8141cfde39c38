import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { calls, concurrency, timeouts } from '../limits.ts';

/** The S3 client with what streaming uploads need; region, endpoint and credentials come from the environment. */
export function createS3Client(config: S3ClientConfig = {}): S3Client {
  const sockets = { keepAlive: true, maxSockets: 2 * concurrency.batchSize };
  return new S3Client({
    // Saves a connection per upload of 2 MiB and more; an early refusal then shows as a broken pipe.
    expectContinueHeader: false,
    // S3 refuses aws-chunked chunks below 8 KiB (InvalidChunkSizeError), and sources give what they like.
    requestStreamBufferSize: 64 * 1024,
    // The archiver checks the digests itself, and the SDK would warn about every object that has none.
    responseChecksumValidation: 'WHEN_REQUIRED',
    // Every failure reaches us as an error; the SDK's own words on the console would only break the log's format.
    logger: { trace: silent, debug: silent, info: silent, warn: silent, error: silent },
    requestHandler: new NodeHttpHandler({
      connectionTimeout: calls.connectMs,
      socketTimeout: calls.bucketIdleMs,
      // Without the switch the SDK only logs that the time is up.
      requestTimeout: timeouts.archiveMs,
      throwOnRequestTimeout: true,
      httpAgent: sockets,
      httpsAgent: sockets,
    }),
    ...config,
  });
}

function silent(): undefined {
  return undefined;
}

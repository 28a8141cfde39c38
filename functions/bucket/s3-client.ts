import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import { createRequestHandler } from '../aws-requests.ts';
import { calls, timeouts } from '../limits.ts';
import { systemTime } from '../time.ts';

/**
 * The S3 client with what streaming uploads need; region, endpoint and credentials come from the environment.
 *
 * @param monotonic milliseconds; tells how long a connection was idle
 */
export function createS3Client(config: S3ClientConfig = {}, monotonic = systemTime.monotonic): S3Client {
  return new S3Client({
    // Saves a connection per upload of 2 MiB and more; an early refusal then shows as a broken pipe.
    expectContinueHeader: false,
    // S3 refuses aws-chunked chunks below 8 KiB (InvalidChunkSizeError), and sources give what they like.
    requestStreamBufferSize: 64 * 1024,
    // The archiver checks the digests itself, and the SDK would warn about every object that has none.
    responseChecksumValidation: 'WHEN_REQUIRED',
    // Every failure reaches us as an error; the SDK's own words on the console would only break the log's format.
    logger: { trace: silent, debug: silent, info: silent, warn: silent, error: silent },
    requestHandler: createRequestHandler(
      { socketTimeout: calls.bucketIdleMs, requestTimeout: timeouts.archiveMs },
      monotonic,
    ),
    ...config,
  });
}

function silent(): undefined {
  return undefined;
}

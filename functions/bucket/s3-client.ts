import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import { createRequestHandler } from '../aws-requests.ts';
import { calls, timeouts } from '../limits.ts';
import { systemTime } from '../time.ts';

/**
 * Creates an S3 client for streaming uploads. Region, endpoint and credentials come from the environment.
 *
 * @param monotonic clock in milliseconds, to measure how long a connection was idle
 */
export function createS3Client(config: S3ClientConfig = {}, monotonic = systemTime.monotonic): S3Client {
  return new S3Client({
    // Saves one connection per upload of 2 MiB and more. In return, an early refusal shows as a broken pipe.
    expectContinueHeader: false,
    // S3 refuses aws-chunked chunks of less than 8 KiB (InvalidChunkSizeError); a source's chunks have any size.
    requestStreamBufferSize: 64 * 1024,
    // The archiver verifies the digests itself, and the SDK would warn about each object without one.
    responseChecksumValidation: 'WHEN_REQUIRED',
    // The SDK throws every failure; its own console output would break the format of the log.
    logger: { trace: silent, debug: silent, info: silent, warn: silent, error: silent },
    requestHandler: createRequestHandler(
      { socketTimeout: calls.bucketIdleMs, requestTimeout: timeouts.archiveMs },
      monotonic,
    ),
    ...config,
  });
}

/**
 * Milliseconds by which S3's clock is ahead of this machine's, as the SDK has measured it with the last response: 0 if it
 * is less than five minutes.
 */
export function clockOffsetOf(s3: Pick<S3Client, 'send'> & Partial<Pick<S3Client, 'config'>>): number {
  return s3.config?.systemClockOffset ?? 0;
}

// Stryker disable next-line BlockStatement: of an empty block comes undefined, too.
function silent(): undefined {
  return undefined;
}

/** Translates S3's error codes to the archiver's. https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html */
import { ArchiverError, type ErrorCode, nameOf } from '../errors.ts';

const meanings: Record<string, { code: ErrorCode; message: string }> = {
  BadDigest: {
    code: 'ChecksumMismatch',
    message: 'The bytes that S3 received do not match the checksum. Nothing was stored.',
  },
  ConditionalRequestConflict: {
    code: 'BucketConflict',
    message: 'Another write to the same key is in progress.',
  },
  OperationAborted: { code: 'BucketConflict', message: 'Another write to the same key is in progress.' },
  AccessDenied: misconfigured(
    'S3 denies access. Check the function role, the bucket policy, the bucket owner and the KMS key policy.',
  ),
  AllAccessDisabled: misconfigured('Access to the bucket is disabled.'),
  NoSuchBucket: misconfigured('The bucket does not exist.'),
  PermanentRedirect: misconfigured('The bucket is in another region.'),
  AuthorizationHeaderMalformed: misconfigured('The bucket is in another region.'),
  InvalidAccessKeyId: misconfigured('The access key does not exist in AWS.'),
  SignatureDoesNotMatch: misconfigured('The signature is not valid: the secret access key is wrong.'),
  ExpiredToken: misconfigured('The credentials have expired.'),
  NotImplemented: misconfigured(
    'This S3 implementation lacks a feature that the archiver needs (conditional writes, checksums).',
  ),
  RequestTimeout: { code: 'BucketUnavailable', message: 'S3 timed out while it waited for the bytes.' },
  IncompleteBody: {
    code: 'BucketUnavailable',
    message: 'S3 received fewer bytes than Content-Length states.',
  },
};

const codeOfStatus: Record<number, string> = {
  301: 'PermanentRedirect',
  403: 'AccessDenied',
  409: 'OperationAborted',
  501: 'NotImplemented',
};

function misconfigured(message: string): { code: ErrorCode; message: string } {
  return { code: 'BucketMisconfigured', message };
}

/** Translates an error of the S3 client. Returns an ArchiverError unchanged. */
export function asBucketError(thrown: unknown): ArchiverError {
  if (thrown instanceof ArchiverError) return thrown;
  const details = { cause: thrown };
  const name = nameOf(thrown).replace(/ .*/, '');
  const status = statusOf(thrown);
  // Such as KMS.DisabledException and KMS.NotFoundException.
  if (name.startsWith('KMS.')) {
    return new ArchiverError(
      'EncryptionKeyUnavailable',
      "The bucket's KMS key cannot be used: disabled, pending deletion, throttled or not permitted.",
      details,
    );
  }
  // The response to a HEAD request has no body, so it has no error code, only a status.
  // Stryker disable next-line StringLiteral: any text that is not a code has no meaning.
  const meaning = meaningOf(name) ?? meaningOf(codeOfStatus[status ?? 0] ?? '');
  if (meaning) return new ArchiverError(meaning.code, meaning.message, details);
  if (status === undefined || status >= 500 || isThrottled(name, status)) {
    return new ArchiverError(
      'BucketUnavailable',
      `S3 is unreachable or failed (${nameOf(thrown)}). If an upload always fails like this, S3 may refuse it early: check the permissions.`,
      details,
    );
  }
  return new ArchiverError(
    'BucketMisconfigured',
    `S3 refused the request (${status} ${name}). Check the bucket, role, region and clock.`,
    details,
  );
}

/** A server chooses the name, so it may be one that every object has, such as `constructor`. */
function meaningOf(name: string): { code: ErrorCode; message: string } | undefined {
  return Object.hasOwn(meanings, name) ? meanings[name] : undefined;
}

/** A temporary error (Amazon S3 API reference, "Error responses"; AWS's common errors). */
function isThrottled(name: string, status: number): boolean {
  return status === 408 || status === 429 || /^(Throttling|TooManyRequests|RequestLimit)/.test(name);
}

/** The HTTP status of the response, or undefined if there was none. */
export function statusOf(thrown: unknown): number | undefined {
  if (!(thrown instanceof Error) || !('$metadata' in thrown)) return undefined;
  const { httpStatusCode } = thrown.$metadata as { httpStatusCode?: number };
  return httpStatusCode;
}

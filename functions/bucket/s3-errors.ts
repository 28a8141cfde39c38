/** What S3's refusals mean for a document. https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html */
import { ArchiverError, type ErrorCode, nameOf } from '../errors.ts';

const meanings: Record<string, { code: ErrorCode; message: string }> = {
  BadDigest: {
    code: 'ChecksumMismatch',
    message: 'S3 received other bytes than were sent, and stored nothing.',
  },
  ConditionalRequestConflict: {
    code: 'BucketConflict',
    message: 'S3 is busy with another write to the same key.',
  },
  OperationAborted: { code: 'BucketConflict', message: 'S3 is busy with another write to the same key.' },
  AccessDenied: misconfigured(
    'S3 denies access. Check the function role, the bucket policy, the bucket owner and the KMS key policy.',
  ),
  AllAccessDisabled: misconfigured('Access to the bucket is disabled.'),
  NoSuchBucket: misconfigured('The bucket does not exist.'),
  PermanentRedirect: misconfigured('The bucket is in another region.'),
  AuthorizationHeaderMalformed: misconfigured('The bucket is in another region.'),
  InvalidAccessKeyId: misconfigured('S3 does not know the credentials.'),
  SignatureDoesNotMatch: misconfigured('S3 does not accept the signature: the secret access key is wrong.'),
  ExpiredToken: misconfigured('The credentials have expired.'),
  NotImplemented: misconfigured(
    'This S3 implementation lacks what the archiver relies on (conditional writes, checksums).',
  ),
  RequestTimeout: { code: 'BucketUnavailable', message: 'S3 gave up waiting for the bytes.' },
  IncompleteBody: { code: 'BucketUnavailable', message: 'S3 received fewer bytes than announced.' },
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

/** Translates whatever the S3 client threw. */
export function asBucketError(thrown: unknown): ArchiverError {
  if (thrown instanceof ArchiverError) return thrown;
  const details = { cause: thrown };
  const name = nameOf(thrown).replace(/ .*/, '');
  const status = statusOf(thrown);
  // KMS.DisabledException, KMS.NotFoundException and their like.
  if (name.startsWith('KMS.')) {
    return new ArchiverError(
      'EncryptionKeyUnavailable',
      "The bucket's KMS key cannot be used: disabled, pending deletion, throttled or not permitted.",
      details,
    );
  }
  // The answer to a HEAD has no body, so S3's code is not in it and the status has to do.
  const meaning = meanings[name] ?? meanings[codeOfStatus[status ?? 0] ?? ''];
  if (meaning) return new ArchiverError(meaning.code, meaning.message, details);
  if (status === undefined || status >= 500 || isThrottled(name, status)) {
    return new ArchiverError(
      'BucketUnavailable',
      `S3 cannot be reached or is not able to answer (${nameOf(thrown)}). An upload that always ends like this may be one that S3 refuses early: check the permissions.`,
      details,
    );
  }
  return new ArchiverError(
    'BucketMisconfigured',
    `S3 refuses the request (${status} ${name}). Check bucket, role, region and clock.`,
    details,
  );
}

/** Passes by itself (Amazon S3 API reference, "Error responses"; AWS's common errors). */
function isThrottled(name: string, status: number): boolean {
  return status === 408 || status === 429 || /^(Throttling|TooManyRequests|RequestLimit)/.test(name);
}

/** The HTTP status, where S3 answered at all. */
export function statusOf(thrown: unknown): number | undefined {
  if (!(thrown instanceof Error) || !('$metadata' in thrown)) return undefined;
  const { httpStatusCode } = thrown.$metadata as { httpStatusCode?: number };
  return httpStatusCode;
}

import { describe, expect, it } from 'vitest';
import { asBucketError, statusOf } from '../../functions/bucket/s3-errors.ts';
import { ArchiverError, type ErrorCode } from '../../functions/errors.ts';
import { isReceiptUpload, sha256, startWorld } from '../archive/world.ts';

const never = new AbortController().signal;
const body = Buffer.from('a receipt');
const small = {
  key: 'receipts/x.json',
  body,
  bytes: body.length,
  sha256: sha256(body),
  contentType: 'text/plain',
};

/** Without the SDK's retries, which wait in real time. */
const s3Config = { maxAttempts: 1 };

/** A bucket whose requests all fail with this error. */
async function failingBucket(status: number, code: string) {
  const world = await startWorld({ s3Config });
  world.fail({ kind: 'error', status, code, when: 'after-body' }, () => true, 100);
  return world.dependencies.bucket;
}
const failureOf = (work: Promise<unknown>): Promise<ArchiverError> =>
  work.then(
    () => expect.unreachable('the request should have failed'),
    (error) => error,
  );

describe('an error of S3', () => {
  it.each<[number, string, ErrorCode]>([
    [400, 'BadDigest', 'ChecksumMismatch'],
    [409, 'ConditionalRequestConflict', 'BucketConflict'],
    [409, 'OperationAborted', 'BucketConflict'],
    [409, 'AnUnknownCode', 'BucketConflict'],
    [403, 'AccessDenied', 'BucketMisconfigured'],
    [403, 'AllAccessDisabled', 'BucketMisconfigured'],
    [403, 'InvalidAccessKeyId', 'BucketMisconfigured'],
    [403, 'SignatureDoesNotMatch', 'BucketMisconfigured'],
    [403, 'AnUnknownCode', 'BucketMisconfigured'],
    [400, 'ExpiredToken', 'BucketMisconfigured'],
    [404, 'NoSuchBucket', 'BucketMisconfigured'],
    [301, 'PermanentRedirect', 'BucketMisconfigured'],
    [400, 'AuthorizationHeaderMalformed', 'BucketMisconfigured'],
    [501, 'NotImplemented', 'BucketMisconfigured'],
    [400, 'KMS.DisabledException', 'EncryptionKeyUnavailable'],
    [400, 'KMS.NotFoundException', 'EncryptionKeyUnavailable'],
    [400, 'KMS.KMSInvalidStateException', 'EncryptionKeyUnavailable'],
    [400, 'KMS.ThrottlingException', 'EncryptionKeyUnavailable'],
    [400, 'RequestTimeout', 'BucketUnavailable'],
    [400, 'IncompleteBody', 'BucketUnavailable'],
    [503, 'SlowDown', 'BucketUnavailable'],
    [500, 'InternalError', 'BucketUnavailable'],
    [400, 'InvalidRequest', 'BucketMisconfigured'],
    [400, 'InvalidToken', 'BucketMisconfigured'],
    [408, 'RequestTimeout', 'BucketUnavailable'],
    [429, 'TooManyRequests', 'BucketUnavailable'],
    [400, 'ThrottlingException', 'BucketUnavailable'],
    [404, 'NoSuchKey', 'BucketMisconfigured'],
    [405, 'MethodNotAllowed', 'BucketMisconfigured'],
    [400, 'constructor', 'BucketMisconfigured'],
    [503, 'toString', 'BucketUnavailable'],
  ])('with status %i and code %s becomes %s for a PUT', async (status, s3Code, code) => {
    const bucket = await failingBucket(status, s3Code);

    const error = await failureOf(bucket.putOnce(small, never));

    expect(error).toMatchObject({ name: 'ArchiverError', code });
    expect(error.message).toMatch(/^[A-Z].*\.$/);
  });

  // The response to a HEAD request has no body, so S3's code does not arrive.
  it.each<[number, ErrorCode]>([
    [301, 'BucketMisconfigured'],
    [400, 'BucketMisconfigured'],
    [429, 'BucketUnavailable'],
    [403, 'BucketMisconfigured'],
    [409, 'BucketConflict'],
    [500, 'BucketUnavailable'],
    [501, 'BucketMisconfigured'],
    [503, 'BucketUnavailable'],
  ])(
    'with status %i becomes %s for a HEAD, and never means that the object does not exist',
    async (status, code) => {
      const bucket = await failingBucket(status, 'NeverSeen');

      expect(await failureOf(bucket.head('receipts/x.json', never))).toMatchObject({ code });
    },
  );

  it('is BucketUnavailable with a hint at permissions if the connection breaks', async () => {
    const world = await startWorld({ s3Config });
    world.fail({ kind: 'reset', during: 'request', afterBytes: 0 }, isReceiptUpload, 100);

    expect(await failureOf(world.dependencies.bucket.putOnce(small, never))).toMatchObject({
      code: 'BucketUnavailable',
      message: expect.stringMatching(/ECONNRESET.*check the permissions/),
    });
  });
});

describe('an error that is not from S3', () => {
  it('is returned unchanged if it is an ArchiverError', () => {
    const error = new ArchiverError('OutOfTime', 'x');

    expect(asBucketError(error)).toBe(error);
  });

  it.each([new Error('x'), 'a text', undefined, { $metadata: { httpStatusCode: 404 } }])(
    'has no status and becomes BucketUnavailable: %o',
    (thrown) => {
      expect(statusOf(thrown)).toBeUndefined();
      expect(asBucketError(thrown)).toMatchObject({ code: 'BucketUnavailable' });
    },
  );
});

describe('an error of the S3 client', () => {
  const errorOf = (name: string, httpStatusCode: number, code?: string) =>
    Object.assign(new Error('words of others'), {
      name,
      $metadata: { httpStatusCode },
      ...(code && { code }),
    });

  it.each([
    ['KMS.DisabledException', 400],
    ['AccessDenied', 403],
    ['SlowDown', 503],
    ['InvalidRequest', 400],
  ])('%s is the cause of what it is translated into', (name, status) => {
    const error = errorOf(name, status);

    expect(asBucketError(error).cause).toBe(error);
  });

  it('is named by its class alone, without a system code', () => {
    const { message } = asBucketError(errorOf('InvalidRequest', 400, 'ESOMETHING'));

    expect(message).toBe(
      'S3 refused the request (400 InvalidRequest). Check the bucket, role, region and clock.',
    );
  });

  it.each<[string, number, ErrorCode]>([
    ['NeverSeen', 408, 'BucketUnavailable'],
    ['NeverSeen', 429, 'BucketUnavailable'],
    ['NotThrottling', 400, 'BucketMisconfigured'],
    ['RequestLimitExceeded', 400, 'BucketUnavailable'],
    ['NotKMS.Exception', 400, 'BucketMisconfigured'],
  ])('%s with %i means %s', (name, status, code) => {
    expect(asBucketError(errorOf(name, status)).code).toBe(code);
  });
});

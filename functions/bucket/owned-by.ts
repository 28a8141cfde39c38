import type { S3Client } from '@aws-sdk/client-s3';

/**
 * Adds the expected owner to each request, listings and downloads included, so that S3 refuses it with AccessDenied if
 * the bucket belongs to another account.
 *
 * @param owner ID of an AWS account; undefined adds nothing
 * @see https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-owner-condition.html
 */
export function ownedBy(owner: string | undefined, s3: Pick<S3Client, 'send'>): Pick<S3Client, 'send'> {
  if (owner === undefined) return s3;
  const send = (command: { input: object }, ...others: unknown[]) => {
    Object.assign(command.input, { ExpectedBucketOwner: owner });
    return (s3.send as (...parameters: unknown[]) => unknown)(command, ...others);
  };
  return { send: send as S3Client['send'] };
}

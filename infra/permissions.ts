/**
 * Policy statements of the functions. CDK's `grant…` methods are not used, because they allow more than is needed:
 * `grantPut` includes retention and legal hold.
 */
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import type { Bucket } from 'aws-cdk-lib/aws-s3';
import type { IQueue } from 'aws-cdk-lib/aws-sqs';
import { catalogueFolder } from '../functions/bucket/keys.ts';

/** For an event source mapping, and to set the visibility timeout of single messages. */
export function receiveFrom(...queues: readonly IQueue[]): PolicyStatement {
  return new PolicyStatement({
    sid: 'Receive',
    actions: [
      'sqs:ChangeMessageVisibility',
      'sqs:DeleteMessage',
      'sqs:GetQueueAttributes',
      'sqs:ReceiveMessage',
    ],
    resources: queues.map((queue) => queue.queueArn),
  });
}

export function sendTo(...queues: readonly IQueue[]): PolicyStatement {
  return new PolicyStatement({
    sid: 'Send',
    actions: ['sqs:SendMessage'],
    resources: queues.map((queue) => queue.queueArn),
  });
}

/** @param prefixes key prefixes, such as `documents/` */
export function readObjects(bucket: Bucket, ...prefixes: readonly string[]): PolicyStatement {
  return new PolicyStatement({
    sid: 'ReadObjects',
    actions: ['s3:GetObject'],
    resources: prefixes.map((prefix) => bucket.arnForObjects(`${prefix}*`)),
  });
}

export function createObjects(bucket: Bucket, ...prefixes: readonly string[]): PolicyStatement {
  return new PolicyStatement({
    sid: 'CreateObjects',
    actions: ['s3:PutObject'],
    resources: prefixes.map((prefix) => bucket.arnForObjects(`${prefix}*`)),
  });
}

/** To read and write the catalogue, but not to delete. S3 answers 404 for a missing key only with the permission to list. */
export function rewriteCatalogue(bucket: Bucket): PolicyStatement[] {
  return [
    new PolicyStatement({
      sid: 'ListCatalogue',
      actions: ['s3:ListBucket'],
      resources: [bucket.bucketArn],
    }),
    new PolicyStatement({
      sid: 'RewriteCatalogue',
      actions: ['s3:GetObject', 's3:PutObject'],
      resources: [bucket.arnForObjects(`${catalogueFolder}*`)],
    }),
  ];
}

export function listKeys(bucket: Bucket, ...prefixes: readonly string[]): PolicyStatement {
  return new PolicyStatement({
    sid: 'ListKeys',
    actions: ['s3:ListBucket'],
    resources: [bucket.bucketArn],
    conditions: { StringLike: { 's3:prefix': prefixes.map((prefix) => `${prefix}*`) } },
  });
}

/**
 * To list all keys and their versions. No condition limits the prefix, because the audit also reports objects that
 * belong to no document, which may have any key.
 */
export function listEverything(bucket: Bucket): PolicyStatement {
  return new PolicyStatement({
    sid: 'ListEverything',
    actions: ['s3:ListBucket', 's3:ListBucketVersions'],
    resources: [bucket.bucketArn],
  });
}

/** Also for the locks of versions: the actions have no counterpart for them. */
export function readLocks(bucket: Bucket, ...prefixes: readonly string[]): PolicyStatement {
  return new PolicyStatement({
    sid: 'ReadLocks',
    actions: ['s3:GetObjectLegalHold', 's3:GetObjectRetention'],
    resources: prefixes.map((prefix) => bucket.arnForObjects(`${prefix}*`)),
  });
}

/**
 * Makes a HEAD request for a missing key return 404 instead of 403, for which S3 requires the permission to list. Only
 * listings carry `s3:prefix`, so the condition also allows requests without it.
 */
export function detectMissingKeys(bucket: Bucket, ...prefixes: readonly string[]): PolicyStatement {
  return new PolicyStatement({
    sid: 'DetectMissingKeys',
    actions: ['s3:ListBucket'],
    resources: [bucket.bucketArn],
    conditions: { StringLikeIfExists: { 's3:prefix': prefixes.map((prefix) => `${prefix}*`) } },
  });
}

/**
 * To write and read encrypted objects; a HEAD request for the checksum also decrypts. With S3 Bucket Keys the
 * encryption context is the bucket ARN (Amazon S3 user guide, "Reducing the cost of SSE-KMS").
 */
export function useKeyForBuckets(key: IKey, ...buckets: readonly Bucket[]): PolicyStatement {
  return keyStatement('UseKeyForBucket', ['kms:Decrypt', 'kms:GenerateDataKey'], key, buckets);
}

/** To write encrypted objects, but to read none. */
export function encryptForBucket(key: IKey, bucket: Bucket): PolicyStatement {
  return keyStatement('EncryptForBucket', ['kms:GenerateDataKey'], key, [bucket]);
}

function keyStatement(
  sid: string,
  actions: string[],
  key: IKey,
  buckets: readonly Bucket[],
): PolicyStatement {
  const arns = buckets.map((bucket) => bucket.bucketArn);
  return new PolicyStatement({
    sid,
    actions,
    resources: [key.keyArn],
    conditions: { StringEquals: { 'kms:EncryptionContext:aws:s3:arn': arns.length === 1 ? arns[0] : arns } },
  });
}

/** The encryption context of Secrets Manager is the secret ARN (AWS Secrets Manager user guide). */
export function readSecret(secretArn: string, key: IKey): PolicyStatement[] {
  return [
    new PolicyStatement({
      sid: 'ReadSecret',
      actions: ['secretsmanager:GetSecretValue'],
      resources: [secretArn],
    }),
    new PolicyStatement({
      sid: 'UseKeyForSecret',
      actions: ['kms:Decrypt'],
      resources: [key.keyArn],
      conditions: { StringEquals: { 'kms:EncryptionContext:SecretARN': secretArn } },
    }),
  ];
}

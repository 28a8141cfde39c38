/**
 * The statements that the functions' policies are made of, written by hand: CDK's `grant…` methods give more than
 * is needed here (`grantPut` brings retention and legal hold).
 */
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import type { Bucket } from 'aws-cdk-lib/aws-s3';
import type { IQueue } from 'aws-cdk-lib/aws-sqs';

/** What an event source mapping needs, and a message's own visibility timeout. */
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

/** @param prefixes of keys, such as `documents/` */
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

export function listKeys(bucket: Bucket, prefix: string): PolicyStatement {
  return new PolicyStatement({
    sid: 'ListKeys',
    actions: ['s3:ListBucket'],
    resources: [bucket.bucketArn],
    conditions: { StringLike: { 's3:prefix': `${prefix}*` } },
  });
}

/**
 * Has a HEAD of a missing key answer 404 instead of 403. S3 then asks for the permission to list, but `s3:prefix`
 * stands in the requests of listings only: it must be allowed to be absent.
 */
export function tellMissingKeys(bucket: Bucket, ...prefixes: readonly string[]): PolicyStatement {
  return new PolicyStatement({
    sid: 'TellMissingKeys',
    actions: ['s3:ListBucket'],
    resources: [bucket.bucketArn],
    conditions: { StringLikeIfExists: { 's3:prefix': prefixes.map((prefix) => `${prefix}*`) } },
  });
}

/**
 * To write encrypted objects, and to read them: a HEAD that asks for the checksum decrypts, too. With S3 Bucket Keys
 * the encryption context is the bucket's ARN (Amazon S3 user guide, "Reducing the cost of SSE-KMS").
 */
export function useKeyForBucket(key: IKey, bucket: Bucket): PolicyStatement {
  return new PolicyStatement({
    sid: 'UseKeyForBucket',
    actions: ['kms:Decrypt', 'kms:GenerateDataKey'],
    resources: [key.keyArn],
    conditions: { StringEquals: { 'kms:EncryptionContext:aws:s3:arn': bucket.bucketArn } },
  });
}

/** Secrets Manager's encryption context is the secret's ARN (AWS Secrets Manager user guide). */
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

import type { IKey } from 'aws-cdk-lib/aws-kms';
import { BlockedEncryptionType, Bucket, BucketEncryption, type IBucket } from 'aws-cdk-lib/aws-s3';
import { Construct } from 'constructs';
import { retained } from './bucket.ts';

export interface CatalogueBucketProps {
  key: IKey;
  accessLogs: Bucket;
}

/**
 * The catalogue, which `archiver find` searches: a cache that the audit makes from the archive. It has neither versions nor a
 * lock, because an erasure must leave nothing in it. It is retained like the archive, because CloudFormation cannot delete a
 * bucket that has objects.
 */
export class CatalogueBucket extends Construct {
  readonly bucket: Bucket;

  constructor(scope: Construct, id: string, { key, accessLogs }: CatalogueBucketProps) {
    super(scope, id);
    this.bucket = new Bucket(this, 'Bucket', {
      ...retained,
      versioned: false,
      encryption: BucketEncryption.KMS,
      encryptionKey: key,
      bucketKeyEnabled: true,
      blockedEncryptionTypes: [BlockedEncryptionType.SSE_C],
      serverAccessLogsBucket: accessLogs as IBucket,
      serverAccessLogsPrefix: 'catalogue/',
    });
  }
}

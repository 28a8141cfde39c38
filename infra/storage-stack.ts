import { CfnOutput, Stack, type StackProps } from 'aws-cdk-lib';
import { type IKey, Key } from 'aws-cdk-lib/aws-kms';
import type { Construct } from 'constructs';
import { ApiKeySecret } from './api-key-secret.ts';
import { ArchiveBucket } from './bucket.ts';
import { EncryptionKey } from './encryption-key.ts';
import type { Stage } from './stage.ts';

export interface StorageStackProps extends StackProps {
  stage: Stage;
}

/** Everything that holds data: the bucket, its KMS key, and the secret for the Telnyx API key. */
export class StorageStack extends Stack {
  readonly key: IKey;
  readonly archive: ArchiveBucket;
  readonly apiKey: ApiKeySecret;

  constructor(scope: Construct, id: string, { stage, ...stackProps }: StorageStackProps) {
    super(scope, id, {
      description:
        'Telnyx document archiver: archive bucket, KMS key and API key secret. Has termination protection.',
      terminationProtection: true,
      ...stackProps,
    });
    this.key =
      stage.existingKeyArn === undefined
        ? new EncryptionKey(this, 'Key', {
            description: 'Telnyx document archiver: documents, receipts and the Telnyx API key',
            breakGlassArns: stage.breakGlassArns,
          })
        : Key.fromKeyArn(this, 'Key', stage.existingKeyArn);
    this.archive = new ArchiveBucket(this, 'Archive', { ...stage, key: this.key });
    this.apiKey = new ApiKeySecret(this, 'ApiKey', { key: this.key });

    new CfnOutput(this, 'ArchiveBucketName', {
      description: 'Bucket with the documents in documents/ and one receipt for each in receipts/',
      value: this.archive.bucket.bucketName,
    });
    new CfnOutput(this, 'StoreApiKey', {
      description: 'Next: run this command, paste the Telnyx API key, then press Enter and Ctrl+D.',
      value: `aws secretsmanager put-secret-value --secret-id ${this.apiKey.secretArn} --secret-string file:///dev/stdin`,
    });
  }
}

import { createHash } from 'node:crypto';
import { Annotations, CfnOutput } from 'aws-cdk-lib';
import { type IKey, Key } from 'aws-cdk-lib/aws-kms';
import { Construct } from 'constructs';
import { ApiKeySecret } from './api-key-secret.ts';
import { ArchiveBucket } from './bucket.ts';
import { CatalogueBucket } from './catalogue-bucket.ts';
import { EncryptionKey } from './encryption-key.ts';
import type { Stage } from './stage.ts';

/**
 * Everything that holds data: the bucket, the catalogue, their KMS key, and the secret for the Telnyx API key. An export makes CloudFormation
 * refuse a second archive of the same Telnyx account, because the name of an export is unique in an account and region.
 */
export class ArchiveStorage extends Construct {
  readonly key: IKey;
  readonly archive: ArchiveBucket;
  readonly catalogue: CatalogueBucket;
  readonly apiKey: ApiKeySecret;

  constructor(scope: Construct, id: string, stage: Stage) {
    super(scope, id);
    announceErasureLimits(this, stage);
    this.key =
      stage.existingKeyArn === undefined
        ? new EncryptionKey(this, 'Key', {
            description: 'Telnyx document archiver: documents, receipts and the Telnyx API key',
            breakGlassArns: stage.breakGlassArns,
          })
        : Key.fromKeyArn(this, 'Key', stage.existingKeyArn);
    this.archive = new ArchiveBucket(this, 'Archive', { ...stage, key: this.key });
    this.catalogue = new CatalogueBucket(this, 'Catalogue', {
      key: this.key,
      accessLogs: this.archive.accessLogs,
    });
    this.apiKey = new ApiKeySecret(this, 'ApiKey', { key: this.key });

    for (const publicKey of stage.acceptSecondArchive ? [] : stage.telnyxPublicKeys) {
      const account = createHash('sha256').update(publicKey).digest('hex').slice(0, 16);
      new CfnOutput(this, `ArchiveOf${account}`, {
        description:
          'Archive of the Telnyx account with this public key (SHA-256). See docs/runbook.md, "An export is in use".',
        value: this.archive.bucket.bucketName,
        exportName: `telnyx-archive-of:${account}`,
      });
    }
    // Exported, as in the pipeline, because the command line cannot know the name of another app's stack.
    new CfnOutput(this, 'ArchiveBucketName', {
      description: 'Bucket with the documents in documents/ and one receipt for each in receipts/',
      value: this.archive.bucket.bucketName,
      exportName: `${stage.name}:ArchiveBucketName`,
    });
    new CfnOutput(this, 'CatalogueBucketName', {
      description: 'Bucket with the catalogue of the documents in rows/, as compressed JSON Lines',
      value: this.catalogue.bucket.bucketName,
      exportName: `${stage.name}:CatalogueBucketName`,
    });
    new CfnOutput(this, 'StoreApiKey', {
      description: 'Next: run this command, paste the Telnyx API key, then press Enter and Ctrl+D.',
      value: `aws secretsmanager put-secret-value --secret-id ${this.apiKey.secretArn} --secret-string file:///dev/stdin`,
      exportName: `${stage.name}:StoreApiKey`,
    });
  }
}

/** Prints at each synth what prevents erasures, so that nobody learns it on the day on which a document must be erased. */
function announceErasureLimits(scope: Construct, stage: Stage): void {
  const { retentionDays, retentionMode, breakGlassArns } = stage;
  if (retentionDays !== 'none' && retentionMode === 'COMPLIANCE') {
    Annotations.of(scope).addInfoV2(
      'telnyx-document-archiver:complianceRetention',
      `retentionMode is COMPLIANCE: nobody can erase a document in the first ${retentionDays} days after it was archived.`,
    );
  }
  if (breakGlassArns.length === 0) {
    Annotations.of(scope).addInfoV2(
      'telnyx-document-archiver:noBreakGlassRole',
      'No breakGlassArns are set: nobody can erase a document, or hold or release one. You can add roles at any time.',
    );
  }
}

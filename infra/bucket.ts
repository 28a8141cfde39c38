import { ArnFormat, Duration, RemovalPolicy, Stack } from 'aws-cdk-lib';
import { AnyPrincipal, Effect, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import {
  BlockPublicAccess,
  Bucket,
  BucketEncryption,
  type BucketProps,
  type IBucket,
  ObjectLockRetention,
  ObjectOwnership,
} from 'aws-cdk-lib/aws-s3';
import { Construct } from 'constructs';
import { documentPrefix, manifestPrefix, receiptPrefix } from '../functions/bucket/keys.ts';
import type { Stage } from './stage.ts';

export interface ArchiveBucketProps
  extends Pick<Stage, 'retentionDays' | 'retentionMode' | 'breakGlassArns'> {
  key: IKey;
  /** Overrides the defaults of the archive bucket. @default none */
  bucketProps?: BucketProps;
}

/** Key prefixes of all objects: the functions write documents and receipts, `archiver audit` writes manifests. */
export const archivePrefixes = {
  documents: documentPrefix,
  receipts: receiptPrefix,
  manifests: manifestPrefix,
} as const;

/** Retention of access logs in days: longer than a year, so that a yearly review has all of them. */
const accessLogDays = 400;

const retained = {
  blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
  objectOwnership: ObjectOwnership.BUCKET_OWNER_ENFORCED,
  enforceSSL: true,
  minimumTLSVersion: 1.2,
  versioned: true,
  removalPolicy: RemovalPolicy.RETAIN,
} satisfies BucketProps;

/**
 * The archive bucket: objects are written once, locked by Object Lock, and retained when the stack is deleted. A second
 * bucket has its server access logs, which S3 delivers neither to a bucket with Object Lock nor to one with SSE-KMS.
 */
export class ArchiveBucket extends Construct {
  readonly bucket: Bucket;
  readonly accessLogs: Bucket;

  constructor(scope: Construct, id: string, props: ArchiveBucketProps) {
    super(scope, id);
    this.accessLogs = new Bucket(this, 'AccessLogs', {
      ...retained,
      encryption: BucketEncryption.S3_MANAGED,
      lifecycleRules: [
        {
          id: 'ExpireOldLogs',
          expiration: Duration.days(accessLogDays),
          noncurrentVersionExpiration: Duration.days(30),
        },
      ],
    });
    this.bucket = new Bucket(this, 'Bucket', {
      ...retained,
      encryption: BucketEncryption.KMS,
      encryptionKey: props.key,
      bucketKeyEnabled: true,
      // Always on: it is hard to enable later, and has no effect without a retention.
      objectLockEnabled: true,
      ...(props.retentionDays !== 'none' && {
        objectLockDefaultRetention:
          props.retentionMode === 'COMPLIANCE'
            ? ObjectLockRetention.compliance(Duration.days(props.retentionDays))
            : ObjectLockRetention.governance(Duration.days(props.retentionDays)),
      }),
      // The cast is for exactOptionalPropertyTypes: CDK's `Bucket` differs from `IBucket` in one `undefined`.
      serverAccessLogsBucket: this.accessLogs as IBucket,
      serverAccessLogsPrefix: 'archive/',
      lifecycleRules: [
        { id: 'AbortIncompleteUploads', abortIncompleteMultipartUploadAfter: Duration.days(7) },
      ],
      ...props.bucketProps,
    });
    for (const statement of [
      this.writeOnce(),
      ...this.ownKeyOnly(props.key),
      this.keepVersions(props.breakGlassArns),
    ]) {
      this.bucket.addToResourcePolicy(statement);
    }
  }

  /**
   * Denies every PUT without `If-None-Match`, so that no principal can overwrite an object. The condition on
   * `s3:ObjectCreationOperation` exempts the parts of a multipart upload, which do not support the header; completing
   * the upload does (Amazon S3 user guide, "Enforce conditional writes").
   */
  private writeOnce(): PolicyStatement {
    return this.deny('WriteOnce', ['s3:PutObject'], this.archivePaths(), {
      Null: { 's3:if-none-match': 'true' },
      Bool: { 's3:ObjectCreationOperation': 'true' },
    });
  }

  /**
   * Denies a PUT that names another key or algorithm. A PUT that names none uses the default, which is this key. The
   * operator `StringNotEqualsIfExists` would also deny those: it matches if the header is absent (IAM user guide,
   * "…IfExists condition operators").
   */
  private ownKeyOnly(key: IKey): PolicyStatement[] {
    const header = 's3:x-amz-server-side-encryption';
    const keyHeader = 's3:x-amz-server-side-encryption-aws-kms-key-id';
    return [
      this.deny('OwnKeyOnly', ['s3:PutObject'], this.archivePaths(), {
        Null: { [keyHeader]: 'false' },
        StringNotEquals: { [keyHeader]: key.keyArn },
      }),
      this.deny('OwnAlgorithmOnly', ['s3:PutObject'], this.archivePaths(), {
        Null: { [header]: 'false' },
        StringNotEquals: { [header]: 'aws:kms' },
      }),
    ];
  }

  /** Exempts the CloudFormation role, which must be able to update the bucket. */
  private keepVersions(breakGlassArns: readonly string[]): PolicyStatement {
    return this.deny(
      'KeepVersions',
      [
        's3:BypassGovernanceRetention',
        's3:DeleteObjectVersion',
        's3:PutBucketObjectLockConfiguration',
        's3:PutBucketVersioning',
        's3:PutLifecycleConfiguration',
      ],
      [this.bucket.bucketArn, this.bucket.arnForObjects('*')],
      { ArnNotEquals: { 'aws:PrincipalArn': [cloudFormationRoleArn(this), ...breakGlassArns] } },
    );
  }

  private archivePaths(): string[] {
    return Object.values(archivePrefixes).map((prefix) => this.bucket.arnForObjects(`${prefix}*`));
  }

  private deny(
    sid: string,
    actions: string[],
    resources: string[],
    conditions: Record<string, Record<string, unknown>>,
  ): PolicyStatement {
    return new PolicyStatement({
      sid,
      effect: Effect.DENY,
      principals: [new AnyPrincipal()],
      actions,
      resources,
      conditions,
    });
  }
}

/** The role that `cdk bootstrap` creates for CloudFormation (CDK guide, "Bootstrapping"). */
function cloudFormationRoleArn(scope: Construct): string {
  const stack = Stack.of(scope);
  const qualifier = stack.node.tryGetContext('@aws-cdk/core:bootstrapQualifier') ?? 'hnb659fds';
  return stack.formatArn({
    service: 'iam',
    region: '',
    resource: 'role',
    resourceName: `cdk-${qualifier}-cfn-exec-role-${stack.account}-${stack.region}`,
    arnFormat: ArnFormat.SLASH_RESOURCE_NAME,
  });
}

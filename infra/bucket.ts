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
  /** Laid over the defaults of the archive bucket. @default none */
  bucketProps?: BucketProps;
}

/** Where the functions write, and the operator's audit its manifests. */
export const archivePrefixes = {
  documents: documentPrefix,
  receipts: receiptPrefix,
  manifests: manifestPrefix,
} as const;

/** Days that access logs are kept: longer than a year's audit. */
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
 * Where documents and receipts lie: written once, under a lock, and kept whatever happens to the stack. Beside it a
 * bucket for its access logs, which S3 delivers neither to a locked bucket nor to one encrypted with a key of ours.
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
          id: 'ForgetOldLogs',
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
      // Cannot be switched on later without care, and does nothing by itself while there is no retention.
      objectLockEnabled: true,
      ...(props.retentionDays !== 'none' && {
        objectLockDefaultRetention:
          props.retentionMode === 'COMPLIANCE'
            ? ObjectLockRetention.compliance(Duration.days(props.retentionDays))
            : ObjectLockRetention.governance(Duration.days(props.retentionDays)),
      }),
      // CDK is not written for exactOptionalPropertyTypes: its `Bucket` is an `IBucket` but for one `undefined`.
      serverAccessLogsBucket: this.accessLogs as IBucket,
      serverAccessLogsPrefix: 'archive/',
      lifecycleRules: [
        { id: 'DropUnfinishedUploads', abortIncompleteMultipartUploadAfter: Duration.days(7) },
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
   * No object is ever overwritten, by whomever. `s3:ObjectCreationOperation` exempts the parts of a multipart
   * upload, which take no such header; its completion does (Amazon S3 user guide, "Enforce conditional writes").
   */
  private writeOnce(): PolicyStatement {
    return this.deny('WriteOnce', ['s3:PutObject'], this.archived(), {
      Null: { 's3:if-none-match': 'true' },
      Bool: { 's3:ObjectCreationOperation': 'true' },
    });
  }

  /**
   * Whoever names a key or an algorithm must name ours; naming none means ours as well. `StringNotEqualsIfExists`
   * would not do: in a Deny it also holds where the header is absent (IAM user guide, "…IfExists condition
   * operators").
   */
  private ownKeyOnly(key: IKey): PolicyStatement[] {
    const header = 's3:x-amz-server-side-encryption';
    const keyHeader = 's3:x-amz-server-side-encryption-aws-kms-key-id';
    return [
      this.deny('OwnKeyOnly', ['s3:PutObject'], this.archived(), {
        Null: { [keyHeader]: 'false' },
        StringNotEquals: { [keyHeader]: key.keyArn },
      }),
      this.deny('OwnAlgorithmOnly', ['s3:PutObject'], this.archived(), {
        Null: { [header]: 'false' },
        StringNotEquals: { [header]: 'aws:kms' },
      }),
    ];
  }

  /** CloudFormation's own role must be able to manage what it has created, or the stack locks itself out. */
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

  private archived(): string[] {
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

import { Duration, RemovalPolicy } from 'aws-cdk-lib';
import { AnyPrincipal, Effect, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import {
  BlockedEncryptionType,
  BlockPublicAccess,
  Bucket,
  BucketEncryption,
  type BucketProps,
  type CfnBucket,
  type IBucket,
  ObjectLockRetention,
  ObjectOwnership,
} from 'aws-cdk-lib/aws-s3';
import { Construct } from 'constructs';
import {
  auditPrefix,
  contextPrefix,
  documentPrefix,
  holdPrefix,
  manifestPrefix,
  receiptPrefix,
} from '../functions/bucket/keys.ts';
import { cloudFormationRoleArn } from './cloudformation-role.ts';
import type { Stage } from './stage.ts';

export interface ArchiveBucketProps
  extends Pick<Stage, 'retentionDays' | 'retentionMode' | 'breakGlassArns'> {
  key: IKey;
  /** Overrides the defaults of the archive bucket. @default none */
  bucketProps?: BucketProps;
}

/** Key prefixes of all objects. The functions write all but hold records, and the commands manifests and hold records. */
export const archivePrefixes = {
  documents: documentPrefix,
  receipts: receiptPrefix,
  manifests: manifestPrefix,
  holds: holdPrefix,
  audits: auditPrefix,
  contexts: contextPrefix,
} as const;

/** What an erasure replaces with tombstones. */
const erasable = [archivePrefixes.documents, archivePrefixes.receipts, archivePrefixes.contexts] as const;
const neverReplaced = [archivePrefixes.manifests, archivePrefixes.holds, archivePrefixes.audits] as const;

/**
 * Actions that delete, hide, unlock, re-encrypt or relabel an object (Service Authorization Reference, "Actions, resources,
 * and condition keys for Amazon S3"). A delete marker would free the key for a new object. Whoever may lengthen a lock
 * may keep a document for ever.
 */
const objectActions = [
  's3:BypassGovernanceRetention',
  's3:DeleteObject',
  's3:DeleteObjectTagging',
  's3:DeleteObjectVersion',
  's3:DeleteObjectVersionTagging',
  's3:PutObjectAcl',
  's3:PutObjectLegalHold',
  's3:PutObjectRetention',
  's3:PutObjectTagging',
  's3:PutObjectVersionAcl',
  's3:PutObjectVersionTagging',
  's3:ReplicateDelete',
  's3:ReplicateObject',
  's3:ReplicateTags',
  's3:UpdateObjectEncryption',
] as const;

/** Actions on the bucket that end its protection, hide its contents or make objects unreadable. */
const bucketActions = [
  's3:DeleteBucket',
  's3:DeleteBucketPolicy',
  's3:PutBucketAcl',
  's3:PutBucketLogging',
  's3:PutBucketNotification',
  's3:PutBucketObjectLockConfiguration',
  's3:PutBucketOwnershipControls',
  's3:PutBucketPolicy',
  's3:PutBucketPublicAccessBlock',
  's3:PutBucketVersioning',
  's3:PutEncryptionConfiguration',
  's3:PutIntelligentTieringConfiguration',
  's3:PutLifecycleConfiguration',
  's3:PutReplicationConfiguration',
] as const;

/** Retention of access logs in days: longer than a year, so that a yearly review has all of them. */
const accessLogDays = 400;

/** What all buckets have. */
export const retained = {
  blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
  objectOwnership: ObjectOwnership.BUCKET_OWNER_ENFORCED,
  enforceSSL: true,
  minimumTLSVersion: 1.2,
  versioned: true,
  // Retained, except if its own creation fails: nothing is left behind by a failed first deployment.
  removalPolicy: RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
} satisfies BucketProps;

/**
 * The archive bucket: objects are written once and replaced only by an erasure, locked by Object Lock, and retained when the stack is deleted. A second
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
      blockedEncryptionTypes: [BlockedEncryptionType.SSE_C],
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
      // An object under a customer's own key could be read by nobody else.
      blockedEncryptionTypes: [BlockedEncryptionType.SSE_C],
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
    sendEvents(this.bucket);
    for (const statement of [
      ...this.writeOnce(props.breakGlassArns),
      this.holdsByBreakGlass(props.breakGlassArns),
      ...this.ownKeyOnly(props.key),
    ]) {
      this.bucket.addToResourcePolicy(statement);
    }
    for (const bucket of [this.bucket, this.accessLogs]) {
      bucket.addToResourcePolicy(keepObjects(bucket, props.breakGlassArns));
      bucket.addToResourcePolicy(keepConfiguration(bucket, props.breakGlassArns));
    }
  }

  /**
   * Denies every PUT without `If-None-Match`, so that no principal can overwrite an object. An erasure replaces documents,
   * receipts and false tombstones of contexts with `If-Match`, so break-glass roles may send that header instead. The condition on
   * `s3:ObjectCreationOperation` exempts the parts of a multipart upload, which do not support either header; completing
   * the upload does (Amazon S3 user guide, "Enforce conditional writes").
   */
  private writeOnce(breakGlassArns: readonly string[]): PolicyStatement[] {
    const denyPut = (
      sid: string,
      prefixes: readonly string[],
      missing: readonly string[],
      exempt: readonly string[],
    ) =>
      deny(sid, ['s3:PutObject'], this.paths(prefixes), {
        Null: Object.fromEntries(missing.map((header) => [header, 'true'])),
        Bool: { 's3:ObjectCreationOperation': 'true' },
        ...exceptBy(exempt),
      });
    return [
      denyPut('WriteOnce', neverReplaced, ['s3:if-none-match'], []),
      denyPut('WriteOnceUnlessErased', erasable, ['s3:if-none-match'], breakGlassArns),
      denyPut('ConditionalWrites', erasable, ['s3:if-none-match', 's3:if-match'], []),
    ];
  }

  /** A forged record of a release would allow an erasure, a forged hold would prevent one. */
  private holdsByBreakGlass(breakGlassArns: readonly string[]): PolicyStatement {
    const paths = this.paths([archivePrefixes.holds]);
    return deny('HoldsByBreakGlass', ['s3:PutObject'], paths, exceptBy(breakGlassArns));
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
      deny('OwnKeyOnly', ['s3:PutObject'], this.paths(Object.values(archivePrefixes)), {
        Null: { [keyHeader]: 'false' },
        StringNotEquals: { [keyHeader]: key.keyArn },
      }),
      deny('OwnAlgorithmOnly', ['s3:PutObject'], this.paths(Object.values(archivePrefixes)), {
        Null: { [header]: 'false' },
        StringNotEquals: { [header]: 'aws:kms' },
      }),
    ];
  }

  private paths(prefixes: readonly string[]): string[] {
    return prefixes.map((prefix) => this.bucket.arnForObjects(`${prefix}*`));
  }
}

/** Denies everybody but the break-glass roles to change objects. Without such roles nobody can, CloudFormation included. */
function keepObjects(bucket: Bucket, breakGlassArns: readonly string[]): PolicyStatement {
  return deny('KeepObjects', objectActions, [bucket.arnForObjects('*')], exceptBy(breakGlassArns));
}

/**
 * Exempts the CloudFormation role, which updates the bucket. The root user of the account can always replace a bucket
 * policy (Amazon S3 user guide, "Bucket policies").
 */
function keepConfiguration(bucket: Bucket, breakGlassArns: readonly string[]): PolicyStatement {
  const exempt = [cloudFormationRoleArn(bucket), ...breakGlassArns];
  return deny('KeepConfiguration', bucketActions, [bucket.bucketArn], exceptBy(exempt));
}

/** Condition of a statement that applies to everybody but these roles. */
function exceptBy(roleArns: readonly string[]): Record<string, Record<string, unknown>> {
  return roleArns.length === 0 ? {} : { ArnNotEquals: { 'aws:PrincipalArn': [...roleArns] } };
}

/**
 * Sends S3's own events to EventBridge. The construct's `eventBridgeEnabled` would deploy a custom resource with a
 * function for it.
 */
function sendEvents(bucket: Bucket): void {
  (bucket.node.defaultChild as CfnBucket).notificationConfiguration = {
    eventBridgeConfiguration: { eventBridgeEnabled: true },
  };
}

function deny(
  sid: string,
  actions: readonly string[],
  resources: string[],
  conditions: Record<string, Record<string, unknown>>,
): PolicyStatement {
  return new PolicyStatement({
    sid,
    effect: Effect.DENY,
    principals: [new AnyPrincipal()],
    actions: [...actions],
    resources,
    conditions,
  });
}

/**
 * Changes to the templates that remove a protection, each with the check that must fail for it. CloudFormation would
 * deploy all of them without an error.
 */
import type { CheckName } from './template-checks.ts';
import { at, atPath, type Json, list, object, ofType, type Properties, type View } from './view.ts';

export interface Mutation {
  /** In the imperative. */
  change: string;
  detectedBy: CheckName;
  mutate: (view: View) => void;
}

const archiveBucket = 'Archive/Bucket';
const catalogueBucket = 'Catalogue/Bucket';
const archivePolicy = 'Functions/Archive/Policy';
const discoverPolicy = 'Functions/Discover/Policy';
const auditPolicy = 'Functions/Audit/Policy';
const webhookPolicy = 'Functions/Webhook/Policy';
const archiveFunction = 'Functions/Archive/Function';
const webhookFunction = 'Functions/Webhook/Function';
const auditFunction = 'Functions/Audit/Function';
const documents = 'Queues/Documents/Queue';
const documentsDeadLetters = 'Queues/Documents/DeadLetters';
const documentsMapping = 'Functions/Archive/Documents';
const auditMapping = 'Functions/Audit/Audit';

const onlyBreakGlass = 'only break-glass roles can delete, hide, unlock, re-encrypt or relabel objects';
const batches =
  'event source mappings use batches of ten (the audit: of one), report partial failures and limit concurrency';
const auditRole =
  'the audit role can read the archive, add manifests and its own records, and rewrite the catalogue; only if the stage repairs, queue documents';
const discoverRole =
  'the discover role can list receipts, create contexts and send messages, but read no object';
const onlyErasures =
  'objects are written once; only break-glass roles can replace documents, receipts and contexts, with If-Match';
const onlyDeployment = 'only CloudFormation and break-glass roles can change the configuration of a bucket';

export const mutations: Mutation[] = [
  drop(
    'the archive bucket is versioned and has the Object Lock retention of the stage',
    archiveBucket,
    'ObjectLockEnabled',
  ),
  drop(
    'the archive bucket is versioned and has the Object Lock retention of the stage',
    archiveBucket,
    'ObjectLockConfiguration',
  ),
  set(
    'the archive bucket is versioned and has the Object Lock retention of the stage',
    archiveBucket,
    1,
    retention,
    'Days',
  ),
  set(
    'the archive bucket is versioned and has the Object Lock retention of the stage',
    archiveBucket,
    'COMPLIANCE',
    retention,
    'Mode',
  ),
  drop(
    'the archive bucket is versioned and has the Object Lock retention of the stage',
    archiveBucket,
    'VersioningConfiguration',
  ),

  ...[archiveBucket, 'Key', 'ApiKey/Secret', 'Functions/Archive/Log'].map((path) => ({
    change: `delete ${path} with its stack`,
    detectedBy: 'every resource that holds data is retained, unless its creation fails' as const,
    mutate: (view: View) => {
      atPath(view, path).deletionPolicy = 'Delete';
    },
  })),
  {
    change: 'leave the key behind when its creation fails',
    detectedBy: 'every resource that holds data is retained, unless its creation fails',
    mutate: (view) => {
      atPath(view, 'Key').deletionPolicy = 'Retain';
    },
  },
  {
    change: 'delete the bucket when it is replaced',
    detectedBy: 'every resource that holds data is retained, unless its creation fails',
    mutate: (view) => {
      atPath(view, archiveBucket).updateReplacePolicy = undefined;
    },
  },

  ...['VersioningConfiguration', 'ReplicationConfiguration'].map((property) =>
    set(
      'the catalogue keeps no earlier version of what an erasure removes',
      catalogueBucket,
      { Status: 'Enabled' },
      root,
      property,
    ),
  ),
  set(
    'the catalogue keeps no earlier version of what an erasure removes',
    catalogueBucket,
    true,
    root,
    'ObjectLockEnabled',
  ),
  dropStatement(
    'buckets accept only TLS 1.2 or later',
    'Catalogue/Bucket/Policy',
    (statement) => at(statement, 'Condition', 'Bool', 'aws:SecureTransport') === 'false',
    'the TLS statement',
  ),
  drop(
    'the buckets of documents and catalogue encrypt with the archive key by default',
    catalogueBucket,
    'BucketEncryption',
  ),

  set('no bucket can be made public', archiveBucket, false, blocked, 'BlockPublicPolicy'),
  drop('no bucket can be made public', 'Archive/AccessLogs', 'OwnershipControls'),

  dropStatement(
    'buckets accept only TLS 1.2 or later',
    'Archive/Bucket/Policy',
    (statement) => at(statement, 'Condition', 'Bool', 'aws:SecureTransport') === 'false',
    'the TLS statement',
  ),
  dropStatement(
    'buckets accept only TLS 1.2 or later',
    'Archive/AccessLogs/Policy',
    (statement) => at(statement, 'Condition', 'NumericLessThan') !== undefined,
    'the TLS version statement',
  ),

  ...['WriteOnce', 'WriteOnceUnlessErased', 'ConditionalWrites'].flatMap((sid) => [
    dropStatement(onlyErasures, 'Archive/Bucket/Policy', bySid(sid), `the statement ${sid}`),
    ...['first', 'last'].map((which) =>
      editStatement(
        onlyErasures,
        'Archive/Bucket/Policy',
        sid,
        (statement) => {
          const resources = list(statement.Resource);
          statement.Resource = which === 'first' ? resources.slice(0, 1) : resources.slice(1);
        },
        `apply only to the ${which} prefix`,
      ),
    ),
    editStatement(
      onlyErasures,
      'Archive/Bucket/Policy',
      sid,
      (statement) => {
        delete object(statement.Condition).Bool;
      },
      'also deny the parts of a multipart upload',
    ),
  ]),
  ...(
    [
      [onlyErasures, 'WriteOnce'],
      ['objects can be encrypted only with the archive key', 'OwnKeyOnly'],
      ['objects can be encrypted only with the archive key', 'OwnAlgorithmOnly'],
    ] as const
  ).map(([check, sid]) =>
    editStatement(
      check,
      'Archive/Bucket/Policy',
      sid,
      (statement) => {
        statement.Resource = list(statement.Resource).filter(
          (resource) => !JSON.stringify(resource).includes('/audits/'),
        );
      },
      'leave out the records of the audit',
    ),
  ),
  dropStatement(onlyErasures, 'Archive/Bucket/Policy', bySid('HoldsByBreakGlass'), 'the statement on holds'),
  editStatement(
    onlyErasures,
    'Archive/Bucket/Policy',
    'HoldsByBreakGlass',
    (statement) => {
      delete object(statement.Condition).ArnNotEquals;
    },
    'exempt no role',
  ),
  editStatement(
    onlyErasures,
    'Archive/Bucket/Policy',
    'WriteOnceUnlessErased',
    (statement) => {
      delete object(statement.Condition).ArnNotEquals;
    },
    'exempt no role',
  ),
  editStatement(
    onlyErasures,
    'Archive/Bucket/Policy',
    'WriteOnce',
    (statement) => {
      object(statement.Condition).ArnNotEquals = {
        'aws:PrincipalArn': 'arn:aws:iam::111122223333:role/break-glass',
      };
    },
    'exempt the break-glass role',
  ),
  editStatement(
    onlyErasures,
    'Archive/Bucket/Policy',
    'ConditionalWrites',
    (statement) => {
      delete object(at(statement, 'Condition', 'Null'))['s3:if-match'];
    },
    'also deny If-Match',
  ),
  editStatement(
    onlyErasures,
    'Archive/Bucket/Policy',
    'ConditionalWrites',
    (statement) => {
      delete object(at(statement, 'Condition', 'Null'))['s3:if-none-match'];
    },
    'also deny If-None-Match',
  ),

  dropStatement(
    'objects can be encrypted only with the archive key',
    'Archive/Bucket/Policy',
    bySid('OwnKeyOnly'),
    'the statement OwnKeyOnly',
  ),
  dropStatement(
    'objects can be encrypted only with the archive key',
    'Archive/Bucket/Policy',
    bySid('OwnAlgorithmOnly'),
    'the statement OwnAlgorithmOnly',
  ),
  editStatement(
    'objects can be encrypted only with the archive key',
    'Archive/Bucket/Policy',
    'OwnKeyOnly',
    (statement) => {
      const expected = object(at(statement, 'Condition', 'StringNotEquals'));
      statement.Condition = { StringNotEqualsIfExists: expected };
    },
    'use StringNotEqualsIfExists, which also denies a PUT that names no key,',
  ),

  ...(['Archive/Bucket/Policy', 'Archive/AccessLogs/Policy'] as const).flatMap((policy) => [
    dropStatement(onlyBreakGlass, policy, bySid('KeepObjects'), 'the statement KeepObjects'),
    dropStatement(onlyDeployment, policy, bySid('KeepConfiguration'), 'the statement KeepConfiguration'),
  ]),
  ...['s3:DeleteObject', 's3:DeleteObjectVersion', 's3:PutObjectRetention', 's3:UpdateObjectEncryption'].map(
    (allowed) =>
      editStatement(
        onlyBreakGlass,
        'Archive/Bucket/Policy',
        'KeepObjects',
        (statement) => {
          statement.Action = list(statement.Action).filter((action) => action !== allowed);
        },
        `allow ${allowed}`,
      ),
  ),
  ...['s3:PutEncryptionConfiguration', 's3:PutBucketPolicy', 's3:PutReplicationConfiguration'].map(
    (allowed) =>
      editStatement(
        onlyDeployment,
        'Archive/Bucket/Policy',
        'KeepConfiguration',
        (statement) => {
          statement.Action = list(statement.Action).filter((action) => action !== allowed);
        },
        `allow ${allowed}`,
      ),
  ),
  editStatement(
    onlyBreakGlass,
    'Archive/Bucket/Policy',
    'KeepObjects',
    (statement) => {
      statement.Condition = {
        ArnNotEquals: { 'aws:PrincipalArn': 'arn:aws:iam::1:role/admin' },
      };
    },
    'exempt another role',
  ),
  editStatement(
    onlyDeployment,
    'Archive/Bucket/Policy',
    'KeepConfiguration',
    (statement) => {
      statement.Condition = { ArnNotEquals: { 'aws:PrincipalArn': 'arn:aws:iam::1:role/else' } };
    },
    'deny the CloudFormation role',
  ),
  set(
    'no object can be stored under a key of its writer (SSE-C)',
    archiveBucket,
    ['NONE'],
    (properties) =>
      object(
        at(properties, 'BucketEncryption', 'ServerSideEncryptionConfiguration', 0, 'BlockedEncryptionTypes'),
      ),
    'EncryptionType',
  ),
  drop(
    'S3 reports each deletion in the archive to the rule that an alarm counts',
    archiveBucket,
    'NotificationConfiguration',
  ),
  set(
    'S3 reports each deletion in the archive to the rule that an alarm counts',
    'Alarms/DeletionRule',
    'DISABLED',
    root,
    'State',
  ),
  ...['holds/', 'audits/', 'contexts/'].map((prefix) => ({
    change: `watch no deletions in ${prefix}`,
    detectedBy: 'S3 reports each deletion in the archive to the rule that an alarm counts' as const,
    mutate: (view: View) => {
      const detail = at(atPath(view, 'Alarms/DeletionRule').properties, 'EventPattern', 'detail');
      const watched = object(object(detail).object);
      watched.key = list(watched.key).filter((pattern) => at(pattern, 'prefix') !== prefix);
    },
  })),

  {
    change: 'encrypt the archive bucket with SSE-S3',
    detectedBy: 'the buckets of documents and catalogue encrypt with the archive key by default',
    mutate: (view) => {
      atPath(view, archiveBucket).properties.BucketEncryption = {
        ServerSideEncryptionConfiguration: [{ ServerSideEncryptionByDefault: { SSEAlgorithm: 'AES256' } }],
      };
    },
  },
  {
    change: 'add a lifecycle rule that expires documents',
    detectedBy: 'no lifecycle rule deletes documents, and incomplete uploads are aborted',
    mutate: (view) => {
      const configuration = object(atPath(view, archiveBucket).properties.LifecycleConfiguration);
      configuration.Rules = [...list(configuration.Rules), { Id: 'Tidy', ExpirationInDays: 3_650 }];
    },
  },
  drop(
    'no lifecycle rule deletes documents, and incomplete uploads are aborted',
    archiveBucket,
    'LifecycleConfiguration',
  ),

  drop(
    'KMS keys rotate, and only break-glass roles can disable them, or CloudFormation delete them',
    'Key',
    'EnableKeyRotation',
  ),
  set(
    'KMS keys rotate, and only break-glass roles can disable them, or CloudFormation delete them',
    'Key',
    7,
    root,
    'PendingWindowInDays',
  ),
  dropStatement(
    'KMS keys rotate, and only break-glass roles can disable them, or CloudFormation delete them',
    'Key',
    bySid('KeepKey'),
    'the statement KeepKey',
    'KeyPolicy',
  ),
  dropStatement(
    'KMS keys rotate, and only break-glass roles can disable them, or CloudFormation delete them',
    'Key',
    bySid('KeepEnabled'),
    'the statement KeepEnabled',
    'KeyPolicy',
  ),
  editStatement(
    'KMS keys rotate, and only break-glass roles can disable them, or CloudFormation delete them',
    'OperationsKey',
    'KeepKey',
    (statement) => {
      const roles = list(at(statement, 'Condition', 'ArnNotEquals', 'aws:PrincipalArn'));
      statement.Condition = { ArnNotEquals: { 'aws:PrincipalArn': roles.slice(1) } };
    },
    'deny the CloudFormation role',
    'KeyPolicy',
  ),
  {
    change: 'let the CloudFormation role disable the key',
    detectedBy: 'KMS keys rotate, and only break-glass roles can disable them, or CloudFormation delete them',
    mutate: (view: View) => {
      const statements = list(at(atPath(view, 'Key').properties.KeyPolicy, 'Statement')).map(object);
      const [deletion, disabling] = ['KeepKey', 'KeepEnabled'].map((sid) => statements.find(bySid(sid)));
      if (disabling !== undefined) disabling.Condition = deletion?.Condition ?? null;
    },
  },
  editStatement(
    'KMS keys rotate, and only break-glass roles can disable them, or CloudFormation delete them',
    'Key',
    'EnableIamPolicies',
    (statement) => {
      statement.Principal = { AWS: '*' };
    },
    'allow every AWS account',
    'KeyPolicy',
  ),

  set(
    'the archive function can copy the largest accepted document within its timeout',
    archiveFunction,
    '570000001',
    variables,
    'MAX_DOCUMENT_BYTES',
  ),
  set(
    'the archive function can copy the largest accepted document within its timeout',
    archiveFunction,
    59,
    root,
    'Timeout',
  ),
  set(
    'the visibility timeout of a queue is at least six times its function timeout',
    documents,
    120,
    root,
    'VisibilityTimeout',
  ),
  set(
    'the visibility timeout of a queue is at least six times its function timeout',
    archiveFunction,
    900,
    root,
    'Timeout',
  ),
  drop(
    'every queue has a dead-letter queue that messages reach before SQS deletes them',
    documents,
    'RedrivePolicy',
  ),
  ...[
    ['Queues/Discovery/Queue', 1_000],
    ['Queues/Spans/Queue', 433],
    [documents, 5],
  ].map(([path, most]) =>
    set(
      'every queue has a dead-letter queue that messages reach before SQS deletes them',
      String(path),
      Number(most),
      (properties) => object(properties.RedrivePolicy),
      'maxReceiveCount',
    ),
  ),
  set(
    'dead-letter queues keep messages for longer than their source queues',
    documentsDeadLetters,
    864_000,
    root,
    'MessageRetentionPeriod',
  ),
  drop(
    'a dead-letter queue accepts messages only from its own source queue',
    documentsDeadLetters,
    'RedriveAllowPolicy',
  ),
  drop('queues are encrypted', documents, 'SqsManagedSseEnabled'),
  dropStatement(
    'queues require TLS and are not public',
    'Queues/Documents/Queue/Policy',
    () => true,
    'all statements',
  ),
  {
    change: 'allow every AWS account to send to a queue',
    detectedBy: 'queues require TLS and are not public',
    mutate: (view) => {
      const policy = object(atPath(view, 'Queues/Documents/Queue/Policy').properties.PolicyDocument);
      policy.Statement = [
        ...list(policy.Statement),
        { Effect: 'Allow', Principal: '*', Action: 'sqs:SendMessage', Resource: '*' },
      ];
    },
  },

  drop(batches, documentsMapping, 'FunctionResponseTypes'),
  drop(batches, documentsMapping, 'ScalingConfig'),
  set(batches, documentsMapping, false, root, 'Enabled'),
  set(batches, documentsMapping, 1, root, 'BatchSize'),
  set(batches, auditMapping, 10, root, 'BatchSize'),
  set(batches, auditMapping, 50, (properties) => object(properties.ScalingConfig), 'MaximumConcurrency'),
  set(
    'functions that read queues have no reserved concurrency',
    auditFunction,
    5,
    root,
    'ReservedConcurrentExecutions',
  ),
  set(
    'the audit function has the share of objects to read back and the choice to repair of the stage',
    auditFunction,
    '0',
    variables,
    'FIXITY_DAYS',
  ),
  set(
    'the audit function has the share of objects to read back and the choice to repair of the stage',
    auditFunction,
    'true',
    variables,
    'REPAIR',
  ),
  ...['Discover', 'Archive', 'Audit'].map((name) =>
    set(
      'low lanes know how many invocations share what live work leaves of the rate limit',
      `Functions/${name}/Function`,
      '6',
      variables,
      'LOW_LANE_INVOCATIONS',
    ),
  ),
  set(
    'functions that read queues have no reserved concurrency',
    archiveFunction,
    5,
    root,
    'ReservedConcurrentExecutions',
  ),
  drop(
    'the webhook function has the reserved concurrency of the stage and a timeout of 3 to 5 seconds',
    webhookFunction,
    'ReservedConcurrentExecutions',
  ),
  set(
    'the webhook function has the reserved concurrency of the stage and a timeout of 3 to 5 seconds',
    webhookFunction,
    30,
    root,
    'Timeout',
  ),
  set(
    'functions use a supported runtime, tracing, and JSON logs that are encrypted and kept for a year',
    archiveFunction,
    'nodejs20.x',
    root,
    'Runtime',
  ),
  drop(
    'functions use a supported runtime, tracing, and JSON logs that are encrypted and kept for a year',
    archiveFunction,
    'LoggingConfig',
  ),
  drop(
    'functions use a supported runtime, tracing, and JSON logs that are encrypted and kept for a year',
    'Functions/Archive/Log',
    'KmsKeyId',
  ),
  drop(
    'functions use a supported runtime, tracing, and JSON logs that are encrypted and kept for a year',
    archiveFunction,
    'TracingConfig',
  ),

  set(
    'functions get exactly the settings that they declare, and no secret',
    archiveFunction,
    'x',
    variables,
    'EXTRA',
  ),
  set(
    'functions get exactly the settings that they declare, and no secret',
    archiveFunction,
    'http://127.0.0.1',
    variables,
    'TRUSTED_DOWNLOAD_ORIGIN',
  ),
  {
    change: 'remove BUCKET_NAME of the archive function',
    detectedBy: 'functions get exactly the settings that they declare, and no secret',
    mutate: (view) => {
      delete variables(atPath(view, archiveFunction).properties).BUCKET_NAME;
    },
  },
  set(
    'functions get exactly the settings that they declare, and no secret',
    archiveFunction,
    'KEY0123456789ABCDEF0123456789ABCDEF',
    variables,
    'BUCKET_NAME',
  ),
  set(
    'functions get exactly the settings that they declare, and no secret',
    webhookFunction,
    Buffer.alloc(32).toString('base64'),
    variables,
    'TELNYX_PUBLIC_KEYS',
  ),

  grant('no policy has a wildcard except the known ones', archivePolicy, 's3:*', 'x'),
  grant('no policy has a wildcard except the known ones', discoverPolicy, 'sqs:SendMessage', '*'),
  grant('the webhook role can only send to two queues', webhookPolicy, 's3:GetObject', 'x'),
  grant('the webhook role can only send to two queues', webhookPolicy, 'secretsmanager:GetSecretValue', 'x'),
  grant(
    'the archive role can create and read objects but not delete them',
    archivePolicy,
    's3:DeleteObject',
    'x',
  ),
  grant(
    'the archive role can create and read objects but not delete them',
    archivePolicy,
    's3:PutObjectRetention',
    'x',
  ),
  editStatement(
    'the archive role can create and read objects but not delete them',
    archivePolicy,
    'DetectMissingKeys',
    (statement) => {
      delete statement.Condition;
    },
    'allow listing every prefix',
  ),
  editStatement(
    'the archive role can create and read objects but not delete them',
    archivePolicy,
    'UseKeyForBucket',
    (statement) => {
      delete statement.Condition;
    },
    'allow using the key for any resource',
  ),
  {
    change: 'attach an AWS managed policy to the archive role',
    detectedBy: 'the archive role can create and read objects but not delete them',
    mutate: (view) => {
      const { properties } = atPath(view, 'Functions/Archive/Role');
      properties.ManagedPolicyArns = [...list(properties.ManagedPolicyArns), 'AmazonS3FullAccess'];
    },
  },
  ...[
    ['s3:PutObject', 'documents/*'],
    ['s3:PutObject', '*'],
    ['s3:GetObject', 'contexts/*'],
    ['s3:DeleteObjectVersion', 'contexts/*'],
  ].map(([action = '', path = '']) =>
    grantOn(discoverRole, discoverPolicy, action, archiveBucket, `/${path}`),
  ),
  editStatement(
    discoverRole,
    discoverPolicy,
    'EncryptForBucket',
    (statement) => {
      delete statement.Condition;
    },
    'allow encrypting for any resource',
  ),
  editStatement(
    discoverRole,
    discoverPolicy,
    'CreateObjects',
    (statement) => {
      statement.Action = 's3:GetObject';
    },
    'let it read contexts instead of creating them',
  ),
  editStatement(
    discoverRole,
    discoverPolicy,
    'Send',
    (statement) => {
      statement.Resource = list(statement.Resource).filter(
        (resource) => !/QueuesSpansQueue/.test(JSON.stringify(resource)),
      );
    },
    'deny sending to the spans queue',
  ),
  ...[
    ['s3:DeleteObject', 'audits/*'],
    ['s3:PutObjectRetention', 'documents/*'],
    ['s3:GetObjectVersion', 'documents/*'],
    ['s3:GetObject', '*'],
    ['s3:PutObject', 'documents/*'],
    ['s3:PutObject', 'receipts/*'],
    ['s3:PutObject', 'holds/*'],
    ['s3:GetObjectLegalHold', 'holds/*'],
  ].map(([action = '', path = '']) => grantOn(auditRole, auditPolicy, action, archiveBucket, `/${path}`)),
  grantOn(auditRole, auditPolicy, 's3:DeleteObject', catalogueBucket, '/rows/*'),
  grantOn(auditRole, auditPolicy, 's3:PutObject', catalogueBucket, '/*'),
  grantOn(auditRole, auditPolicy, 'sqs:SendMessage', 'Queues/Backfill/Queue'),
  grantOn(auditRole, auditPolicy, 'sqs:SendMessage', 'Queues/Documents/Queue'),
  grantOn(auditRole, auditPolicy, 'sqs:ReceiveMessage', 'Queues/Audit/DeadLetters'),
  editStatement(
    auditRole,
    auditPolicy,
    'UseKeyForBucket',
    (statement) => {
      delete statement.Condition;
    },
    'allow using the key for any resource',
  ),
  editStatement(
    auditRole,
    auditPolicy,
    'ListEverything',
    (statement) => {
      statement.Condition = { StringLike: { 's3:prefix': 'documents/*' } };
    },
    'hide the keys that belong to no document',
  ),
  grant(
    'no role can delete queues or objects, change keys or assume another role',
    archivePolicy,
    'sqs:PurgeQueue',
    'x',
  ),
  grant(
    'no role can delete queues or objects, change keys or assume another role',
    archivePolicy,
    'kms:PutKeyPolicy',
    'x',
  ),
  {
    change: 'let the scheduler act for any account',
    detectedBy: 'AWS services can act only for this account',
    mutate: (view) => {
      const policy = atPath(view, 'Sweep/Role').properties.AssumeRolePolicyDocument;
      delete object(at(policy, 'Statement', 0)).Condition;
    },
  },
  {
    change: 'let any API invoke the webhook',
    detectedBy: 'AWS services can act only for this account',
    mutate: (view) => {
      for (const { properties } of ofType(view, 'AWS::Lambda::Permission')) delete properties.SourceArn;
    },
  },
  {
    change: 'let any principal invoke the webhook',
    detectedBy: 'only API Gateway has permission to invoke a function',
    mutate: (view) => {
      for (const { properties } of ofType(view, 'AWS::Lambda::Permission')) properties.Principal = '*';
    },
  },
  {
    change: 'add a route',
    detectedBy: 'the API has one throttled POST route and logs neither headers nor bodies',
    mutate: (view) => {
      const [route] = ofType(view, 'AWS::ApiGatewayV2::Route');
      if (route) view.resources.push({ ...route, id: 'Another', properties: { RouteKey: '$default' } });
    },
  },
  drop(
    'the API has one throttled POST route and logs neither headers nor bodies',
    'WebhookApi/Stage',
    'DefaultRouteSettings',
  ),
  {
    change: 'log a request header',
    detectedBy: 'the API has one throttled POST route and logs neither headers nor bodies',
    mutate: (view) => {
      object(atPath(view, 'WebhookApi/Stage').properties.AccessLogSettings).Format =
        '$context.requestId $request.header.telnyx-signature-ed25519';
    },
  },
  set(
    'the secret has no value in the template and is encrypted with the archive key',
    'ApiKey/Secret',
    'KEY',
    root,
    'SecretString',
  ),
  drop(
    'the secret has no value in the template and is encrypted with the archive key',
    'ApiKey/Secret',
    'KmsKeyId',
  ),
  {
    change: 'output the secret',
    detectedBy: 'outputs cover all next steps and contain no secret',
    mutate: (view) => {
      view.outputs.ApiKey = '{{resolve:secretsmanager:x}}';
    },
  },
  set(
    'the schedule sends a valid sweep message every minute',
    'Sweep/Schedule',
    'rate(5 minutes)',
    root,
    'ScheduleExpression',
  ),
  set(
    'the schedule sends a valid sweep message every minute',
    'Sweep/Schedule',
    '{"v":1,"kind":"recent"}',
    (properties) => object(properties.Target),
    'Input',
  ),
  ...(
    [
      ['cron(15 2 1 * ? *)', root, 'ScheduleExpression'],
      ['DISABLED', root, 'State'],
      ['arn', (properties: Properties) => object(properties.Target), 'Arn'],
      [
        '{"v":1,"kind":"audit-start","requestedAt":"2026-11-26T02:15:00Z"}',
        (properties: Properties) => object(properties.Target),
        'Input',
      ],
      [
        86_400,
        (properties: Properties) => object(at(properties, 'Target', 'RetryPolicy')),
        'MaximumEventAgeInSeconds',
      ],
    ] as const
  ).map(([value, within, property]) =>
    set('the schedule starts the audit every night', 'Audit/Schedule', value, within, property),
  ),
  {
    change: 'remove the dead-letter queue of the audit schedule',
    detectedBy: 'the schedule starts the audit every night',
    mutate: (view) => {
      delete object(atPath(view, 'Audit/Schedule').properties.Target).DeadLetterConfig;
    },
  },
  {
    change: 'add a schedule',
    detectedBy: 'there is no other schedule',
    mutate: (view) => {
      view.resources.push({ ...atPath(view, 'Sweep/Schedule'), id: 'Another', path: 'Another/Schedule' });
    },
  },
  set(
    'the schedule sends a valid sweep message every minute',
    'Sweep/Schedule',
    1_800,
    (properties) => object(at(properties, 'Target', 'RetryPolicy')),
    'MaximumEventAgeInSeconds',
  ),
  {
    change: 'remove the dead-letter queue of the schedule',
    detectedBy: 'the schedule sends a valid sweep message every minute',
    mutate: (view) => {
      delete object(atPath(view, 'Sweep/Schedule').properties.Target).DeadLetterConfig;
    },
  },

  ...[
    'DocumentsDeadLetters',
    'SpansDeadLetters',
    'AuditDeadLetters',
    'DeadLetterGrowthAudit',
    'AuditFindings',
    'AuditMissing',
    'AuditErrors',
    'AuditRecursionStopped',
    'BackfillTooOld',
    'SpansTooOld',
    'DeadLetterGrowthDocuments',
    'DocumentsOverdue',
    'WaitingTelnyxUnavailable',
    'WebhookServerErrors',
    'WebhooksRefused',
    'SweepMissing',
    'ChecksumMismatches',
    'ApiKeyUnusable',
    'BucketUnusable',
    'ArchiveErrors',
    'ArchiveThrottles',
    'ArchiveSlow',
    'ArchiveRecursionStopped',
    'ObjectsDeleted',
    'KeyDeletion/Rule',
  ].map((alarm) => ({
    change: `remove the alarm ${alarm}`,
    detectedBy: 'every kind of failure has an alarm that notifies the topic and explains its impact' as const,
    mutate: (view: View) => {
      view.resources = view.resources.filter(({ path }) => path !== `Alarms/${alarm}`);
    },
  })),
  set(
    'every kind of failure has an alarm that notifies the topic and explains its impact',
    'Alarms/SweepMissing',
    'notBreaching',
    root,
    'TreatMissingData',
  ),
  set(
    'every kind of failure has an alarm that notifies the topic and explains its impact',
    'Alarms/AuditMissing',
    'breaching',
    root,
    'TreatMissingData',
  ),
  set(
    'every kind of failure has an alarm that notifies the topic and explains its impact',
    'Alarms/SweepMissing',
    3,
    root,
    'DatapointsToAlarm',
  ),
  set(
    'every kind of failure has an alarm that notifies the topic and explains its impact',
    'Alarms/DeadLetterGrowthDocuments',
    1,
    root,
    'EvaluationPeriods',
  ),
  set(
    'every kind of failure has an alarm that notifies the topic and explains its impact',
    'Alarms/DocumentsDeadLetters',
    ['arn'],
    root,
    'OKActions',
  ),
  drop(
    'every kind of failure has an alarm that notifies the topic and explains its impact',
    'Alarms/SweepMissing',
    'OKActions',
  ),
  drop(
    'every kind of failure has an alarm that notifies the topic and explains its impact',
    'Alarms/ArchiveErrors',
    'AlarmActions',
  ),
  drop(
    'every kind of failure has an alarm that notifies the topic and explains its impact',
    'Alarms/ArchiveErrors',
    'AlarmDescription',
  ),
  {
    change: 'turn off termination protection',
    detectedBy: 'the storage stack has termination protection',
    mutate: (view) => {
      view.terminationProtection.storage = false;
    },
  },
  {
    change: 'add a custom resource that empties the bucket',
    detectedBy: 'no custom resource runs at deployment',
    mutate: (view) => {
      const [first] = view.resources;
      if (first)
        view.resources.push({ ...first, id: 'Empty', path: 'Empty', type: 'Custom::S3AutoDeleteObjects' });
    },
  },
  ...[archiveBucket, catalogueBucket].map((path) =>
    drop(
      'the buckets of documents and catalogue have server access logs in another bucket',
      path,
      'LoggingConfiguration',
    ),
  ),
  set(
    'the templates are not tied to a partition or Region',
    archiveFunction,
    'arn:aws:lambda:us-east-1:1:layer:x',
    variables,
    'LAYER',
  ),
  {
    change: 'remove the export that names the Telnyx account',
    detectedBy:
      'CloudFormation refuses a second archive of the same Telnyx account unless the stage accepts it',
    mutate: (view) => {
      for (const name of Object.keys(view.exports)) {
        if (name.startsWith('telnyx-archive-of:')) delete view.exports[name];
      }
    },
  },
  set('Lambda recursive loop detection is on', archiveFunction, 'Allow', root, 'RecursiveLoop'),
  drop(
    'only CloudWatch alarms of this account can publish to the alarm topic, over TLS and encrypted',
    'AlarmTopic/Topic',
    'KmsMasterKeyId',
  ),
  dropStatement(
    'only CloudWatch alarms of this account can publish to the alarm topic, over TLS and encrypted',
    'OperationsKey',
    bySid('AlarmsPublish'),
    'the statement AlarmsPublish',
    'KeyPolicy',
  ),
];

function drop(detectedBy: CheckName, path: string, property: string): Mutation {
  return {
    change: `remove ${property} of ${path}`,
    detectedBy,
    mutate: (view) => {
      delete atPath(view, path).properties[property];
    },
  };
}

function set(
  detectedBy: CheckName,
  path: string,
  value: Json,
  within: (properties: Properties) => Properties,
  property: string,
): Mutation {
  return {
    change: `set ${property} of ${path} to ${JSON.stringify(value)}`,
    detectedBy,
    mutate: (view) => {
      within(atPath(view, path).properties)[property] = value;
    },
  };
}

function root(properties: Properties): Properties {
  return properties;
}

function retention(properties: Properties): Properties {
  return object(at(properties, 'ObjectLockConfiguration', 'Rule', 'DefaultRetention'));
}

function blocked(properties: Properties): Properties {
  return object(properties.PublicAccessBlockConfiguration);
}

function variables(properties: Properties): Properties {
  return object(at(properties, 'Environment', 'Variables'));
}

type Predicate = (statement: Json) => boolean;

function bySid(sid: string): Predicate {
  return (statement) => at(statement, 'Sid') === sid;
}

function dropStatement(
  detectedBy: CheckName,
  path: string,
  dropped: Predicate,
  what: string,
  document = 'PolicyDocument',
): Mutation {
  return {
    change: `remove ${what} from ${path}`,
    detectedBy,
    mutate: (view) => {
      const policy = object(atPath(view, path).properties[document]);
      policy.Statement = list(policy.Statement).filter((statement) => !dropped(statement));
    },
  };
}

function editStatement(
  detectedBy: CheckName,
  path: string,
  sid: string,
  edit: (statement: Properties) => void,
  change: string,
  document = 'PolicyDocument',
): Mutation {
  return {
    change: `${change} in the statement ${sid} of ${path}`,
    detectedBy,
    mutate: (view) => {
      const policy = object(atPath(view, path).properties[document]);
      for (const statement of list(policy.Statement)) if (bySid(sid)(statement)) edit(object(statement));
    },
  };
}

function grant(detectedBy: CheckName, path: string, action: string, resource: string): Mutation {
  return {
    change: `grant ${action} on ${resource} in ${path}`,
    detectedBy,
    mutate: (view) => {
      const policy = object(atPath(view, path).properties.PolicyDocument);
      policy.Statement = [
        ...list(policy.Statement),
        { Sid: 'More', Effect: 'Allow', Action: action, Resource: resource },
      ];
    },
  };
}

/** As `grant`, for a resource of the templates. */
function grantOn(detectedBy: CheckName, path: string, action: string, target: string, suffix = ''): Mutation {
  return {
    change: `grant ${action} on ${target}${suffix} in ${path}`,
    detectedBy,
    mutate: (view) =>
      grant(detectedBy, path, action, `\${${atPath(view, target).id}.Arn}${suffix}`).mutate(view),
  };
}

/**
 * Guards that might be lost by a slip: what is done to the templates, and the check that must notice. Each is a
 * change that CloudFormation would deploy without a word.
 */
import type { CheckName } from './template-checks.ts';
import { at, atPath, type Json, list, object, ofType, type Properties, type View } from './view.ts';

export interface Mutation {
  what: string;
  noticedBy: CheckName;
  mutate: (view: View) => void;
}

const archiveBucket = 'Archive/Bucket';
const archivePolicy = 'Functions/Archive/Policy';
const discoverPolicy = 'Functions/Discover/Policy';
const webhookPolicy = 'Functions/Webhook/Policy';
const archiveFunction = 'Functions/Archive/Function';
const webhookFunction = 'Functions/Webhook/Function';
const documents = 'Queues/Documents/Queue';
const documentsDeadLetters = 'Queues/Documents/DeadLetters';
const documentsMapping = 'Functions/Archive/Documents';

export const mutations: Mutation[] = [
  drop('C03 documents are locked as the stage says, and versioned', archiveBucket, 'ObjectLockEnabled'),
  drop('C03 documents are locked as the stage says, and versioned', archiveBucket, 'ObjectLockConfiguration'),
  set('C03 documents are locked as the stage says, and versioned', archiveBucket, 1, retention, 'Days'),
  set(
    'C03 documents are locked as the stage says, and versioned',
    archiveBucket,
    'COMPLIANCE',
    retention,
    'Mode',
  ),
  drop('C03 documents are locked as the stage says, and versioned', archiveBucket, 'VersioningConfiguration'),

  ...[archiveBucket, 'Key', 'ApiKey/Secret', 'Functions/Archive/Log'].map((path) => ({
    what: `delete ${path} with its stack`,
    noticedBy: 'C04 whatever holds data outlives its stack' as const,
    mutate: (view: View) => {
      atPath(view, path).deletionPolicy = 'Delete';
    },
  })),
  {
    what: 'delete the bucket when it is replaced',
    noticedBy: 'C04 whatever holds data outlives its stack',
    mutate: (view) => {
      atPath(view, archiveBucket).updateReplacePolicy = undefined;
    },
  },

  set('C05 no bucket can be made public', archiveBucket, false, blocked, 'BlockPublicPolicy'),
  drop('C05 no bucket can be made public', 'Archive/AccessLogs', 'OwnershipControls'),

  dropStatement(
    'C06 buckets are reached over TLS 1.2 or later only',
    'Archive/Bucket/Policy',
    (statement) => at(statement, 'Condition', 'Bool', 'aws:SecureTransport') === 'false',
    'the TLS deny of the archive',
  ),
  dropStatement(
    'C06 buckets are reached over TLS 1.2 or later only',
    'Archive/AccessLogs/Policy',
    (statement) => at(statement, 'Condition', 'NumericLessThan') !== undefined,
    'the TLS version deny of the access logs',
  ),

  dropStatement('C07 no object is ever overwritten', 'Archive/Bucket/Policy', bySid('WriteOnce')),
  editStatement('C07 no object is ever overwritten', 'Archive/Bucket/Policy', 'WriteOnce', (statement) => {
    statement.Resource = list(statement.Resource).slice(0, 1);
  }),
  editStatement('C07 no object is ever overwritten', 'Archive/Bucket/Policy', 'WriteOnce', (statement) => {
    statement.Resource = list(statement.Resource).slice(0, 2);
  }),
  editStatement('C07 no object is ever overwritten', 'Archive/Bucket/Policy', 'WriteOnce', (statement) => {
    statement.Condition = { Null: { 's3:if-none-match': 'true' } };
  }),

  dropStatement(
    'C08 objects are encrypted with our key and no other',
    'Archive/Bucket/Policy',
    bySid('OwnKeyOnly'),
  ),
  dropStatement(
    'C08 objects are encrypted with our key and no other',
    'Archive/Bucket/Policy',
    bySid('OwnAlgorithmOnly'),
  ),
  editStatement(
    'C08 objects are encrypted with our key and no other',
    'Archive/Bucket/Policy',
    'OwnKeyOnly',
    (statement) => {
      const expected = object(at(statement, 'Condition', 'StringNotEquals'));
      statement.Condition = { StringNotEqualsIfExists: expected };
    },
    'use StringNotEqualsIfExists, which also refuses what names no key,',
  ),

  dropStatement(
    'C09 nobody deletes versions, shortens locks or changes what protects them',
    'Archive/Bucket/Policy',
    bySid('KeepVersions'),
  ),
  editStatement(
    'C09 nobody deletes versions, shortens locks or changes what protects them',
    'Archive/Bucket/Policy',
    'KeepVersions',
    (statement) => {
      statement.Action = list(statement.Action).filter((action) => action !== 's3:DeleteObjectVersion');
    },
    'allow the deletion of versions',
  ),
  editStatement(
    'C09 nobody deletes versions, shortens locks or changes what protects them',
    'Archive/Bucket/Policy',
    'KeepVersions',
    (statement) => {
      statement.Condition = { ArnNotEquals: { 'aws:PrincipalArn': 'arn:aws:iam::1:role/else' } };
    },
    'lock CloudFormation out',
  ),

  {
    what: "encrypt the archive with S3's own key",
    noticedBy: 'C10 the bucket encrypts with a key of ours by default',
    mutate: (view) => {
      atPath(view, archiveBucket).properties.BucketEncryption = {
        ServerSideEncryptionConfiguration: [{ ServerSideEncryptionByDefault: { SSEAlgorithm: 'AES256' } }],
      };
    },
  },
  {
    what: 'let documents expire',
    noticedBy: 'C11 no lifecycle rule deletes documents, and unfinished uploads do not pile up',
    mutate: (view) => {
      const configuration = object(atPath(view, archiveBucket).properties.LifecycleConfiguration);
      configuration.Rules = [...list(configuration.Rules), { Id: 'Tidy', ExpirationInDays: 3_650 }];
    },
  },
  drop(
    'C11 no lifecycle rule deletes documents, and unfinished uploads do not pile up',
    archiveBucket,
    'LifecycleConfiguration',
  ),

  drop('C12 keys rotate, and cannot be deleted or disabled in passing', 'Key', 'EnableKeyRotation'),
  set('C12 keys rotate, and cannot be deleted or disabled in passing', 'Key', 7, root, 'PendingWindowInDays'),
  dropStatement(
    'C12 keys rotate, and cannot be deleted or disabled in passing',
    'Key',
    bySid('KeepKey'),
    undefined,
    'KeyPolicy',
  ),
  editStatement(
    'C12 keys rotate, and cannot be deleted or disabled in passing',
    'Key',
    'AccountDecides',
    (statement) => {
      statement.Principal = { AWS: '*' };
    },
    'let anybody use',
    'KeyPolicy',
  ),

  set(
    'C13 a message stays invisible for six times as long as its function may take',
    documents,
    120,
    root,
    'VisibilityTimeout',
  ),
  set(
    'C13 a message stays invisible for six times as long as its function may take',
    archiveFunction,
    900,
    root,
    'Timeout',
  ),
  drop('C14 every queue has dead letters behind it', documents, 'RedrivePolicy'),
  ...[
    ['Queues/Discovery/Queue', 1_000],
    ['Queues/Spans/Queue', 433],
    [documents, 5],
  ].map(([path, most]) =>
    set(
      'C14 every queue has dead letters behind it',
      String(path),
      Number(most),
      (properties) => object(properties.RedrivePolicy),
      'maxReceiveCount',
    ),
  ),
  set(
    'C15 dead letters are kept for longer than messages',
    documentsDeadLetters,
    864_000,
    root,
    'MessageRetentionPeriod',
  ),
  drop(
    'C16 dead letters take only what their own queue gives up',
    documentsDeadLetters,
    'RedriveAllowPolicy',
  ),
  drop('C17 queues are encrypted', documents, 'SqsManagedSseEnabled'),
  dropStatement(
    'C18 queues are reached over TLS only, and open to nobody',
    'Queues/Documents/Queue/Policy',
    () => true,
    'the TLS deny of a queue',
  ),
  {
    what: 'open a queue to anybody',
    noticedBy: 'C18 queues are reached over TLS only, and open to nobody',
    mutate: (view) => {
      const policy = object(atPath(view, 'Queues/Documents/Queue/Policy').properties.PolicyDocument);
      policy.Statement = [
        ...list(policy.Statement),
        { Effect: 'Allow', Principal: '*', Action: 'sqs:SendMessage', Resource: '*' },
      ];
    },
  },

  drop(
    'C19 batches are of ten, report single failures and run in bounded numbers',
    documentsMapping,
    'FunctionResponseTypes',
  ),
  drop(
    'C19 batches are of ten, report single failures and run in bounded numbers',
    documentsMapping,
    'ScalingConfig',
  ),
  set(
    'C19 batches are of ten, report single failures and run in bounded numbers',
    documentsMapping,
    false,
    root,
    'Enabled',
  ),
  set(
    'C20 no reservation throttles what a queue feeds',
    archiveFunction,
    5,
    root,
    'ReservedConcurrentExecutions',
  ),
  drop(
    'C21 a flood of requests costs little, and Telnyx is not kept waiting',
    webhookFunction,
    'ReservedConcurrentExecutions',
  ),
  set(
    'C21 a flood of requests costs little, and Telnyx is not kept waiting',
    webhookFunction,
    30,
    root,
    'Timeout',
  ),
  set(
    'C22 functions run on a supported runtime, log JSON into kept and encrypted groups, and are traced',
    archiveFunction,
    'nodejs20.x',
    root,
    'Runtime',
  ),
  drop(
    'C22 functions run on a supported runtime, log JSON into kept and encrypted groups, and are traced',
    archiveFunction,
    'LoggingConfig',
  ),
  drop(
    'C22 functions run on a supported runtime, log JSON into kept and encrypted groups, and are traced',
    'Functions/Archive/Log',
    'KmsKeyId',
  ),
  drop(
    'C22 functions run on a supported runtime, log JSON into kept and encrypted groups, and are traced',
    archiveFunction,
    'TracingConfig',
  ),

  set('C23 functions are told what they declare, and no secret', archiveFunction, 'x', variables, 'EXTRA'),
  set(
    'C23 functions are told what they declare, and no secret',
    archiveFunction,
    'http://127.0.0.1',
    variables,
    'TRUSTED_DOWNLOAD_ORIGIN',
  ),
  {
    what: 'forget to tell archive its bucket',
    noticedBy: 'C23 functions are told what they declare, and no secret',
    mutate: (view) => {
      delete variables(atPath(view, archiveFunction).properties).BUCKET_NAME;
    },
  },
  set(
    'C23 functions are told what they declare, and no secret',
    archiveFunction,
    'KEY0123456789ABCDEF0123456789ABCDEF',
    variables,
    'BUCKET_NAME',
  ),
  set(
    'C23 functions are told what they declare, and no secret',
    webhookFunction,
    Buffer.alloc(32).toString('base64'),
    variables,
    'TELNYX_PUBLIC_KEYS',
  ),

  grant('C24 no policy has a wildcard but the few that are known', archivePolicy, 's3:*', 'x'),
  grant('C24 no policy has a wildcard but the few that are known', discoverPolicy, 'sqs:SendMessage', '*'),
  grant('C25 the webhook may fill two queues and nothing else', webhookPolicy, 's3:GetObject', 'x'),
  grant(
    'C25 the webhook may fill two queues and nothing else',
    webhookPolicy,
    'secretsmanager:GetSecretValue',
    'x',
  ),
  grant(
    'C26 archive may create and read objects, and may delete nothing',
    archivePolicy,
    's3:DeleteObject',
    'x',
  ),
  grant(
    'C26 archive may create and read objects, and may delete nothing',
    archivePolicy,
    's3:PutObjectRetention',
    'x',
  ),
  editStatement(
    'C26 archive may create and read objects, and may delete nothing',
    archivePolicy,
    'TellMissingKeys',
    (statement) => {
      delete statement.Condition;
    },
    'list every prefix',
  ),
  editStatement(
    'C26 archive may create and read objects, and may delete nothing',
    archivePolicy,
    'UseKeyForBucket',
    (statement) => {
      delete statement.Condition;
    },
    'use the key for anything',
  ),
  {
    what: "attach AWS's own policy to archive",
    noticedBy: 'C26 archive may create and read objects, and may delete nothing',
    mutate: (view) => {
      const { properties } = atPath(view, 'Functions/Archive/Role');
      properties.ManagedPolicyArns = [...list(properties.ManagedPolicyArns), 'AmazonS3FullAccess'];
    },
  },
  grant(
    'C27 discover may list and queue, and may neither read nor write an object',
    discoverPolicy,
    's3:PutObject',
    'x',
  ),
  editStatement(
    'C27 discover may list and queue, and may neither read nor write an object',
    discoverPolicy,
    'Send',
    (statement) => {
      statement.Resource = list(statement.Resource).filter(
        (resource) => !/QueuesSpansQueue/.test(JSON.stringify(resource)),
      );
    },
    'refuse the spans queue',
  ),
  grant(
    'C28 no role may destroy queues, change keys or become somebody else',
    archivePolicy,
    'sqs:PurgeQueue',
    'x',
  ),
  grant(
    'C28 no role may destroy queues, change keys or become somebody else',
    archivePolicy,
    'kms:PutKeyPolicy',
    'x',
  ),
  {
    what: 'let the scheduler act for any account',
    noticedBy: 'C29 AWS services act for this account only',
    mutate: (view) => {
      const policy = atPath(view, 'Sweep/Role').properties.AssumeRolePolicyDocument;
      delete object(at(policy, 'Statement', 0)).Condition;
    },
  },
  {
    what: 'let any API invoke the webhook',
    noticedBy: 'C29 AWS services act for this account only',
    mutate: (view) => {
      for (const { properties } of ofType(view, 'AWS::Lambda::Permission')) delete properties.SourceArn;
    },
  },
  {
    what: 'let anybody invoke the webhook',
    noticedBy: 'C30 nobody may invoke a function directly',
    mutate: (view) => {
      for (const { properties } of ofType(view, 'AWS::Lambda::Permission')) properties.Principal = '*';
    },
  },
  {
    what: 'add a route',
    noticedBy: 'C31 the front door is one throttled POST route that logs neither headers nor bodies',
    mutate: (view) => {
      const [route] = ofType(view, 'AWS::ApiGatewayV2::Route');
      if (route) view.resources.push({ ...route, id: 'Another', properties: { RouteKey: '$default' } });
    },
  },
  drop(
    'C31 the front door is one throttled POST route that logs neither headers nor bodies',
    'WebhookApi/Stage',
    'DefaultRouteSettings',
  ),
  {
    what: 'log what callers send',
    noticedBy: 'C31 the front door is one throttled POST route that logs neither headers nor bodies',
    mutate: (view) => {
      object(atPath(view, 'WebhookApi/Stage').properties.AccessLogSettings).Format =
        '$context.requestId $request.header.telnyx-signature-ed25519';
    },
  },
  set(
    'C32 the API key is stored by hand, encrypted with the documents’ key',
    'ApiKey/Secret',
    'KEY',
    root,
    'SecretString',
  ),
  drop('C32 the API key is stored by hand, encrypted with the documents’ key', 'ApiKey/Secret', 'KmsKeyId'),
  {
    what: 'print the secret',
    noticedBy: 'C33 outputs say what to do next, and no secret',
    mutate: (view) => {
      view.outputs.ApiKey = '{{resolve:secretsmanager:x}}';
    },
  },
  set(
    'C34 a sweep is asked for every minute, in words that discover reads',
    'Sweep/Schedule',
    'rate(5 minutes)',
    root,
    'ScheduleExpression',
  ),
  set(
    'C34 a sweep is asked for every minute, in words that discover reads',
    'Sweep/Schedule',
    '{"v":1,"kind":"recent"}',
    (properties) => object(properties.Target),
    'Input',
  ),
  set(
    'C34 a sweep is asked for every minute, in words that discover reads',
    'Sweep/Schedule',
    1_800,
    (properties) => object(at(properties, 'Target', 'RetryPolicy')),
    'MaximumEventAgeInSeconds',
  ),
  {
    what: 'drop the dead letters of the schedule',
    noticedBy: 'C34 a sweep is asked for every minute, in words that discover reads',
    mutate: (view) => {
      delete object(atPath(view, 'Sweep/Schedule').properties.Target).DeadLetterConfig;
    },
  },

  ...[
    'DocumentsDeadLetters',
    'SpansDeadLetters',
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
    'KeyDeletion/Rule',
  ].map((alarm) => ({
    what: `remove the alarm ${alarm}`,
    noticedBy: 'C35 every kind of failure calls a person, who reads what it means' as const,
    mutate: (view: View) => {
      view.resources = view.resources.filter(({ path }) => path !== `Alarms/${alarm}`);
    },
  })),
  set(
    'C35 every kind of failure calls a person, who reads what it means',
    'Alarms/SweepMissing',
    'notBreaching',
    root,
    'TreatMissingData',
  ),
  set(
    'C35 every kind of failure calls a person, who reads what it means',
    'Alarms/SweepMissing',
    3,
    root,
    'DatapointsToAlarm',
  ),
  set(
    'C35 every kind of failure calls a person, who reads what it means',
    'Alarms/DeadLetterGrowthDocuments',
    1,
    root,
    'EvaluationPeriods',
  ),
  set(
    'C35 every kind of failure calls a person, who reads what it means',
    'Alarms/DocumentsDeadLetters',
    ['arn'],
    root,
    'OKActions',
  ),
  drop(
    'C35 every kind of failure calls a person, who reads what it means',
    'Alarms/SweepMissing',
    'OKActions',
  ),
  drop(
    'C35 every kind of failure calls a person, who reads what it means',
    'Alarms/ArchiveErrors',
    'AlarmActions',
  ),
  drop(
    'C35 every kind of failure calls a person, who reads what it means',
    'Alarms/ArchiveErrors',
    'AlarmDescription',
  ),
  {
    what: 'switch termination protection off',
    noticedBy: 'C36 the stack that holds the documents is protected against deletion',
    mutate: (view) => {
      view.terminationProtection.storage = false;
    },
  },
  {
    what: 'empty the bucket by a custom resource',
    noticedBy: 'C37 nothing runs at deployment but CloudFormation itself',
    mutate: (view) => {
      const [first] = view.resources;
      if (first)
        view.resources.push({ ...first, id: 'Empty', path: 'Empty', type: 'Custom::S3AutoDeleteObjects' });
    },
  },
  drop(
    'C38 reads and writes of documents are logged in another bucket',
    archiveBucket,
    'LoggingConfiguration',
  ),
  set(
    'C41 nothing ties the templates to one partition or region',
    archiveFunction,
    'arn:aws:lambda:us-east-1:1:layer:x',
    variables,
    'LAYER',
  ),
  set('C42 Lambda stops endless loops', archiveFunction, 'Allow', root, 'RecursiveLoop'),
  drop(
    'Alarms can be published, encrypted and over TLS, by alarms of this account alone',
    'AlarmTopic/Topic',
    'KmsMasterKeyId',
  ),
  dropStatement(
    'Alarms can be published, encrypted and over TLS, by alarms of this account alone',
    'OperationsKey',
    bySid('AlarmsPublish'),
    undefined,
    'KeyPolicy',
  ),
];

function drop(noticedBy: CheckName, path: string, property: string): Mutation {
  return {
    what: `drop ${property} of ${path}`,
    noticedBy,
    mutate: (view) => {
      delete atPath(view, path).properties[property];
    },
  };
}

function set(
  noticedBy: CheckName,
  path: string,
  value: Json,
  within: (properties: Properties) => Properties,
  property: string,
): Mutation {
  return {
    what: `set ${property} of ${path} to ${JSON.stringify(value)}`,
    noticedBy,
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
  noticedBy: CheckName,
  path: string,
  dropped: Predicate,
  what?: string,
  document = 'PolicyDocument',
): Mutation {
  return {
    what: `drop ${what ?? `the statement that ${noticedBy.slice(0, 3)} is about`} from ${path}`,
    noticedBy,
    mutate: (view) => {
      const policy = object(atPath(view, path).properties[document]);
      policy.Statement = list(policy.Statement).filter((statement) => !dropped(statement));
    },
  };
}

function editStatement(
  noticedBy: CheckName,
  path: string,
  sid: string,
  edit: (statement: Properties) => void,
  what = 'weaken',
  document = 'PolicyDocument',
): Mutation {
  return {
    what: `${what} in ${sid} of ${path}`,
    noticedBy,
    mutate: (view) => {
      const policy = object(atPath(view, path).properties[document]);
      for (const statement of list(policy.Statement)) if (bySid(sid)(statement)) edit(object(statement));
    },
  };
}

function grant(noticedBy: CheckName, path: string, action: string, resource: string): Mutation {
  return {
    what: `grant ${action} on ${resource} in ${path}`,
    noticedBy,
    mutate: (view) => {
      const policy = object(atPath(view, path).properties.PolicyDocument);
      policy.Statement = [
        ...list(policy.Statement),
        { Sid: 'More', Effect: 'Allow', Action: action, Resource: resource },
      ];
    },
  };
}

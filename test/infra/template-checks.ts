/** Checks that every deployed template must pass. Each returns the problems that it finds in the templates. */
import { archiveSettings } from '../../functions/archive/settings.ts';
import { auditSettings } from '../../functions/audit/settings.ts';
import { discoverSettings } from '../../functions/discover/settings.ts';
import { type ErrorCode, errorCodes, retryPolicies } from '../../functions/errors.ts';
import { parseAuditMessage, parseDiscoveryMessage } from '../../functions/queue/messages.ts';
import type { Settings } from '../../functions/settings.ts';
import { webhookSettings } from '../../functions/webhook/settings.ts';
import { readPublicKeys } from '../../functions/webhook/verify.ts';
import type { Stage } from '../../infra/stage.ts';
import { denies, type Statement, statementsOf } from './policies.ts';
import { at, atPath, list, object, ofType, type Resource, text, type View } from './view.ts';

export type Check = (view: View, stage: Stage) => string[];

const bucket = (view: View) => atPath(view, 'Archive/Bucket');
const accessLogs = (view: View) => atPath(view, 'Archive/AccessLogs');
const catalogue = (view: View) => atPath(view, 'Catalogue/Bucket');
const secret = (view: View) => atPath(view, 'ApiKey/Secret');
const lambda = (view: View, name: FunctionName) => atPath(view, `Functions/${name}/Function`);
const queue = (view: View, lane: Lane) => atPath(view, `Queues/${lane}/Queue`);
const deadLetters = (view: View, lane: Lane) => atPath(view, `Queues/${lane}/DeadLetters`);
const stageOfApi = (view: View) => atPath(view, 'WebhookApi/Stage');

const functionNames = ['Webhook', 'Discover', 'Archive', 'Audit'] as const;
type FunctionName = (typeof functionNames)[number];
const lanes = ['Documents', 'Backfill', 'Discovery', 'Spans', 'Audit'] as const;
type Lane = (typeof lanes)[number];
/** The function that reads the queue of each lane. */
const readers = {
  Documents: 'Archive',
  Backfill: 'Archive',
  Discovery: 'Discover',
  Spans: 'Discover',
  Audit: 'Audit',
} as const;
/** Each prefix of the keys in the archive, and a key with it. */
const archiveKeys = {
  'documents/': 'documents/x',
  'receipts/': 'receipts/x.json',
  'manifests/': 'manifests/x/manifest-sha256.txt',
  'holds/': 'holds/x/y.json',
  'audits/': 'audits/20261126T021500Z/plan.json',
  'contexts/': 'contexts/x/y.json',
};

export const checks = {
  'the archive bucket is versioned and has the Object Lock retention of the stage': (view, stage) => {
    const { properties } = bucket(view);
    const retention = at(properties, 'ObjectLockConfiguration', 'Rule', 'DefaultRetention');
    const expected =
      stage.retentionDays === 'none' ? undefined : { Mode: stage.retentionMode, Days: stage.retentionDays };
    return [
      ...unless(properties.ObjectLockEnabled === true, 'Object Lock is not enabled'),
      ...unless(at(properties, 'VersioningConfiguration', 'Status') === 'Enabled', 'versioning is off'),
      ...unless(same(retention, expected), `default retention is ${text(retention)}`),
    ];
  },

  'every resource that holds data is retained, unless its creation fails': (view) =>
    [
      ...ofType(view, 'AWS::S3::Bucket'),
      ...ofType(view, 'AWS::KMS::Key'),
      ...ofType(view, 'AWS::SecretsManager::Secret'),
      ...ofType(view, 'AWS::Logs::LogGroup'),
    ]
      .filter(
        ({ deletionPolicy, updateReplacePolicy }) =>
          deletionPolicy !== 'RetainExceptOnCreate' || updateReplacePolicy !== 'Retain',
      )
      .map(({ path }) => `${path} is not retained, or is left behind by a failed creation`),

  'no bucket can be made public': (view) =>
    ofType(view, 'AWS::S3::Bucket').flatMap(({ path, properties }) => [
      ...['BlockPublicAcls', 'BlockPublicPolicy', 'IgnorePublicAcls', 'RestrictPublicBuckets']
        .filter((flag) => at(properties, 'PublicAccessBlockConfiguration', flag) !== true)
        .map((flag) => `${path}: ${flag} is off`),
      ...unless(
        at(properties, 'OwnershipControls', 'Rules', 0, 'ObjectOwnership') === 'BucketOwnerEnforced',
        `${path}: ACLs are enabled`,
      ),
      ...unless(properties.AccessControl === undefined, `${path} has an ACL`),
    ]),

  'buckets accept only TLS 1.2 or later': (view) =>
    [bucket(view), accessLogs(view), catalogue(view)].flatMap((target) => {
      const statements = bucketPolicy(view, target);
      const arn = arnOf(target);
      return [
        ['s3:ListBucket', arn],
        ['s3:GetObject', `${arn}/documents/x`],
        ['s3:PutObject', `${arn}/documents/x`],
      ].flatMap(([action = '', resource = '']) => {
        const denied = (context: Record<string, string>) => denies(statements, { action, resource, context });
        return [
          ...unless(
            denied({ 'aws:SecureTransport': 'false' }),
            `${target.path} accepts ${action} without TLS`,
          ),
          ...unless(
            denied({ 'aws:SecureTransport': 'true', 's3:TlsVersion': '1.1' }),
            `${target.path} accepts ${action} over TLS 1.1`,
          ),
        ];
      });
    }),

  'objects are written once; only break-glass roles can replace documents, receipts and contexts, with If-Match':
    (view, stage) => {
      const statements = bucketPolicy(view, bucket(view));
      const principals = [
        'arn:aws:iam::1:role/archive',
        cloudFormationRole(statements),
        ...stage.breakGlassArns,
      ];
      return principals.flatMap((principal) =>
        Object.values(archiveKeys).flatMap((key) => {
          // Hold records are written by break-glass roles only.
          const isWritable = !key.startsWith('holds/') || stage.breakGlassArns.includes(principal);
          const isErasable =
            stage.breakGlassArns.includes(principal) && /^(documents|receipts|contexts)\//.test(key);
          const check = (what: string, isAllowed: boolean, context: Record<string, string>) => {
            const denied = denies(statements, {
              action: 's3:PutObject',
              resource: `${arnOf(bucket(view))}/${key}`,
              context: {
                ...tls,
                'aws:PrincipalArn': principal,
                's3:ObjectCreationOperation': 'true',
                ...context,
              },
            });
            return unless(
              denied !== isAllowed,
              `${what} of ${key} by ${principal} is ${denied ? 'denied' : 'allowed'}`,
            );
          };
          return [
            ...check('a PUT without a condition', false, {}),
            ...check('a PUT with If-None-Match', isWritable, { 's3:if-none-match': '*' }),
            ...check('a PUT with If-Match', isErasable, { 's3:if-match': '"etag"' }),
            ...check('a part of a multipart upload', isWritable, { 's3:ObjectCreationOperation': 'false' }),
          ];
        }),
      );
    },

  'objects can be encrypted only with the archive key': (view, stage) => {
    const statements = bucketPolicy(view, bucket(view));
    const header = 's3:x-amz-server-side-encryption';
    const keyHeader = `${header}-aws-kms-key-id`;
    const key = text(at(encryption(bucket(view)), 'KMSMasterKeyID'));
    // A break-glass role, if there is one: nobody else can put a hold record.
    const [principal = 'arn:aws:iam::1:role/archive'] = stage.breakGlassArns;
    return Object.values(archiveKeys).flatMap((path) => {
      const denied = (context: Record<string, string>) =>
        denies(statements, {
          action: 's3:PutObject',
          resource: `${arnOf(bucket(view))}/${path}`,
          context: {
            ...tls,
            'aws:PrincipalArn': principal,
            's3:ObjectCreationOperation': 'true',
            's3:if-none-match': '*',
            ...context,
          },
        });
      const isWritable = !path.startsWith('holds/') || stage.breakGlassArns.length > 0;
      return [
        ...unless(
          denied({ [header]: 'aws:kms', [keyHeader]: 'another' }),
          `${path}: another key is accepted`,
        ),
        ...unless(denied({ [header]: 'AES256' }), `${path}: SSE-S3 is accepted`),
        ...unless(
          denied({ [header]: 'aws:kms', [keyHeader]: key }) !== isWritable,
          `${path}: the archive key is denied`,
        ),
        ...unless(
          denied({}) !== isWritable,
          `${path}: a PUT without encryption headers, as the functions send it, is denied`,
        ),
      ];
    });
  },

  'only break-glass roles can delete, hide, unlock, re-encrypt or relabel objects': (view, stage) =>
    [bucket(view), accessLogs(view)].flatMap((target) =>
      guardedObjectActions.flatMap((action) =>
        exemptionProblems(view, target, action, `${arnOf(target)}/documents/x`, stage.breakGlassArns),
      ),
    ),

  'only CloudFormation and break-glass roles can change the configuration of a bucket': (view, stage) =>
    [bucket(view), accessLogs(view)].flatMap((target) =>
      guardedBucketActions.flatMap((action) =>
        exemptionProblems(view, target, action, arnOf(target), [
          ...stage.breakGlassArns,
          cloudFormationRole(bucketPolicy(view, target)),
        ]),
      ),
    ),

  'no object can be stored under a key of its writer (SSE-C)': (view) =>
    [bucket(view), accessLogs(view), catalogue(view)].flatMap(({ path, properties }) =>
      unless(
        same(
          at(
            properties,
            'BucketEncryption',
            'ServerSideEncryptionConfiguration',
            0,
            'BlockedEncryptionTypes',
            'EncryptionType',
          ),
          ['SSE-C'],
        ),
        `${path} accepts SSE-C`,
      ),
    ),

  'S3 reports each deletion in the archive to the rule that an alarm counts': (view) => {
    const rule = atPath(view, 'Alarms/DeletionRule');
    const pattern = rule.properties.EventPattern;
    const alarm = atPath(view, 'Alarms/ObjectsDeleted');
    return [
      ...unless(
        at(
          bucket(view).properties,
          'NotificationConfiguration',
          'EventBridgeConfiguration',
          'EventBridgeEnabled',
        ) === true,
        'the bucket sends no events to EventBridge',
      ),
      ...unless(rule.properties.State === 'ENABLED', 'the rule is disabled'),
      ...unless(
        same(pattern, {
          source: ['aws.s3'],
          'detail-type': ['Object Deleted'],
          detail: {
            bucket: { name: [`\${${bucket(view).id}}`] },
            object: {
              key: Object.keys(archiveKeys).map((prefix) => ({ prefix })),
            },
          },
        }),
        `the rule matches ${JSON.stringify(pattern)}`,
      ),
      ...unless(
        same(alarm.properties.Dimensions, [{ Name: 'RuleName', Value: `\${${rule.id}}` }]),
        'the alarm counts another rule',
      ),
    ];
  },

  'the buckets of documents and catalogue encrypt with the archive key by default': (view, stage) =>
    [bucket(view), catalogue(view)].flatMap((target) => {
      const rule = at(target.properties, 'BucketEncryption', 'ServerSideEncryptionConfiguration', 0);
      const expected = stage.existingKeyArn ?? arnOf(atPath(view, 'Key'));
      return [
        ...unless(at(encryption(target), 'SSEAlgorithm') === 'aws:kms', `${target.path}: no KMS`),
        ...unless(at(encryption(target), 'KMSMasterKeyID') === expected, `${target.path}: another key`),
        ...unless(
          at(rule, 'BucketKeyEnabled') === true,
          `${target.path}: no S3 Bucket Key: every request calls KMS`,
        ),
      ];
    }),

  'the catalogue keeps no earlier version of what an erasure removes': (view) => {
    const { properties } = catalogue(view);
    return [
      ...unless(properties.VersioningConfiguration === undefined, 'the catalogue has versions'),
      ...unless(properties.ObjectLockEnabled === undefined, 'the catalogue has Object Lock'),
      ...unless(properties.ReplicationConfiguration === undefined, 'the catalogue is replicated'),
    ];
  },

  'no lifecycle rule deletes documents, and incomplete uploads are aborted': (view) => {
    const rules = list(at(bucket(view).properties, 'LifecycleConfiguration', 'Rules'));
    const days = rules.map((rule) =>
      Number(at(rule, 'AbortIncompleteMultipartUpload', 'DaysAfterInitiation')),
    );
    return [
      ...unless(
        days.some((day) => day <= 7),
        'incomplete uploads are kept',
      ),
      ...rules
        .filter((rule) => /Expiration/.test(Object.keys(object(rule)).join()))
        .map((rule) => `rule ${text(at(rule, 'Id'))} deletes documents`),
    ];
  },

  'KMS keys rotate, and only break-glass roles can disable them, or CloudFormation delete them': (
    view,
    stage,
  ) =>
    ofType(view, 'AWS::KMS::Key').flatMap(({ path, properties }) => {
      const statements = statementsOf(properties.KeyPolicy);
      const denied = (action: string, principal: string) =>
        denies(statements, { action, resource: '*', context: { 'aws:PrincipalArn': principal } });
      return [
        ...unless(properties.EnableKeyRotation === true, `${path} does not rotate`),
        ...unless(properties.PendingWindowInDays === 30, `${path} has a waiting period of less than 30 days`),
        ...statements
          .filter(
            ({ effect, principals, conditions }) =>
              effect === 'Allow' && isPublic(principals) && empty(conditions),
          )
          .map(({ sid }) => `${path}: ${sid} allows every AWS account`),
        ...['kms:ScheduleKeyDeletion', 'kms:DisableKey'].flatMap((action) => [
          ...unless(denied(action, 'arn:aws:iam::1:role/admin'), `${path}: any principal can ${action}`),
          ...stage.breakGlassArns
            .filter((arn) => denied(action, arn))
            .map((arn) => `${path}: ${arn} cannot ${action}`),
        ]),
        // Otherwise the rollback of a failed creation would fail, too, and leave the key.
        ...unless(
          !denied('kms:ScheduleKeyDeletion', cloudFormationRole(statements)),
          `${path}: CloudFormation cannot undo its creation`,
        ),
        ...unless(
          denied('kms:DisableKey', cloudFormationRole(statements)),
          `${path}: CloudFormation can disable it`,
        ),
      ];
    }),

  'the archive function can copy the largest accepted document within its timeout': (view) => {
    const { properties } = lambda(view, 'Archive');
    const bytes = Number(environmentOf(lambda(view, 'Archive')).MAX_DOCUMENT_BYTES);
    // Twice if nobody states its length, at 20 MB/s; 3 s are reserved for the end of the invocation.
    const seconds = 3 + (2 * bytes) / 20_000_000;
    return unless(
      seconds <= Number(properties.Timeout),
      `a document of ${bytes} bytes takes ${seconds} s, the timeout is ${text(properties.Timeout ?? null)} s`,
    );
  },

  'the visibility timeout of a queue is at least six times its function timeout': (view) =>
    lanes.flatMap((lane) => {
      const timeout = Number(lambda(view, readers[lane]).properties.Timeout);
      return [
        ...unless(
          Number(queue(view, lane).properties.VisibilityTimeout) >= 6 * timeout,
          `${lane}: visibility timeout is less than 6 × ${timeout} s`,
        ),
        ...unless(
          readers[lane] !== 'Archive' || timeout <= 120,
          `a document that crashes the function returns after more than ${6 * timeout} s`,
        ),
      ];
    }),

  'every queue has a dead-letter queue that messages reach before SQS deletes them': (view) =>
    lanes.flatMap((lane) => {
      const {
        RedrivePolicy: policy,
        VisibilityTimeout,
        MessageRetentionPeriod,
      } = queue(view, lane).properties;
      const maxReceives = Number(at(policy, 'maxReceiveCount'));
      /** Seconds until a message that crashes its function on every receive reaches the dead-letter queue. */
      const untilDeadLetter = maxReceives * Number(VisibilityTimeout);
      return [
        ...unless(
          at(policy, 'deadLetterTargetArn') === arnOf(deadLetters(view, lane)),
          `${lane} has no dead-letter queue`,
        ),
        ...unless(maxReceives >= 400 && maxReceives <= 1_000, `${lane} has maxReceiveCount ${maxReceives}`),
        ...unless(
          untilDeadLetter <= 777_600 && untilDeadLetter < Number(MessageRetentionPeriod),
          `${lane}: a message that crashes the function becomes a dead letter only after ${untilDeadLetter} s`,
        ),
      ];
    }),

  'dead-letter queues keep messages for longer than their source queues': (view) =>
    lanes.flatMap((lane) => {
      const kept = Number(deadLetters(view, lane).properties.MessageRetentionPeriod);
      return [
        ...unless(kept === 1_209_600, `${lane}: dead letters are not kept for 14 days`),
        ...unless(
          kept > Number(queue(view, lane).properties.MessageRetentionPeriod),
          `${lane}: dead letters expire with the messages of the source queue`,
        ),
      ];
    }),

  'a dead-letter queue accepts messages only from its own source queue': (view) =>
    lanes.flatMap((lane) => {
      const allowed = deadLetters(view, lane).properties.RedriveAllowPolicy;
      const sources = list(at(allowed, 'sourceQueueArns')).map(text);
      const name = text(queue(view, lane).properties.QueueName);
      return unless(
        at(allowed, 'redrivePermission') === 'byQueue' &&
          sources.length === 1 &&
          sources[0]?.split(':').at(-1) === name,
        `${lane}: the redrive allow policy is ${text(allowed ?? null)}`,
      );
    }),

  'queues are encrypted': (view) =>
    ofType(view, 'AWS::SQS::Queue')
      .filter(({ properties }) => properties.SqsManagedSseEnabled !== true && !properties.KmsMasterKeyId)
      .map(({ path }) => `${path} is not encrypted`),

  'queues require TLS and are not public': (view) =>
    ofType(view, 'AWS::SQS::Queue').flatMap((target) => {
      const statements = ofType(view, 'AWS::SQS::QueuePolicy')
        .filter(({ properties }) => list(properties.Queues).includes(`\${${target.id}}`))
        .flatMap(({ properties }) => statementsOf(properties.PolicyDocument));
      const request = {
        action: 'sqs:SendMessage',
        resource: arnOf(target),
        context: { 'aws:SecureTransport': 'false' },
      };
      return [
        ...unless(denies(statements, request), `${target.path} accepts requests without TLS`),
        ...statements
          .filter(({ effect, principals }) => effect === 'Allow' && isPublic(principals))
          .map(() => `${target.path} is public`),
      ];
    }),

  'event source mappings use batches of ten (the audit: of one), report partial failures and limit concurrency':
    (view, stage) =>
      lanes.flatMap((lane) => {
        const found = ofType(view, 'AWS::Lambda::EventSourceMapping').filter(
          ({ properties }) => properties.EventSourceArn === arnOf(queue(view, lane)),
        );
        const [mapping] = found;
        if (mapping === undefined || found.length > 1)
          return [`${lane} has ${found.length} event source mappings`];
        const { properties } = mapping;
        const maxConcurrency = Number(at(properties, 'ScalingConfig', 'MaximumConcurrency'));
        const expected: Partial<Record<Lane, number>> = {
          Documents: stage.documentsConcurrency,
          Backfill: stage.backfillConcurrency,
          Audit: 20,
        };
        const batchSize = lane === 'Audit' ? 1 : 10;
        return [
          ...unless(
            properties.FunctionName === `\${${lambda(view, readers[lane]).id}}`,
            `${lane} is read by ${text(properties.FunctionName ?? null)}`,
          ),
          ...unless(
            same(properties.FunctionResponseTypes, ['ReportBatchItemFailures']),
            `${lane}: one failure fails the whole batch`,
          ),
          ...unless(properties.BatchSize === batchSize, `${lane}: batch size is not ${batchSize}`),
          ...unless(
            maxConcurrency >= 2 && maxConcurrency <= 50,
            `${lane}: maximum concurrency is ${maxConcurrency}`,
          ),
          ...unless(
            maxConcurrency === (expected[lane] ?? maxConcurrency),
            `${lane}: not the concurrency of the stage`,
          ),
          ...unless(!properties.MaximumBatchingWindowInSeconds, `${lane}: has a batching window`),
          ...unless(properties.Enabled === true, `${lane}: event source mapping is disabled`),
        ];
      }),

  'functions that read queues have no reserved concurrency': (view) =>
    (['Archive', 'Discover', 'Audit'] as const)
      .filter((name) => lambda(view, name).properties.ReservedConcurrentExecutions !== undefined)
      .map((name) => `${name} has reserved concurrency`),

  'the webhook function has the reserved concurrency of the stage and a timeout of 3 to 5 seconds': (
    view,
    stage,
  ) => {
    const { properties } = lambda(view, 'Webhook');
    const reserved = properties.ReservedConcurrentExecutions;
    return [
      ...unless(
        stage.webhookConcurrency === 'unreserved'
          ? reserved === undefined
          : reserved === stage.webhookConcurrency,
        `reserved concurrency is ${text(reserved ?? null)}`,
      ),
      ...unless(
        Number(properties.Timeout) >= 3 && Number(properties.Timeout) <= 5,
        'timeout is not 3 to 5 s',
      ),
    ];
  },

  'functions use a supported runtime, tracing, and JSON logs that are encrypted and kept for a year': (
    view,
  ) =>
    ofType(view, 'AWS::Lambda::Function').flatMap(({ path, properties }) => {
      const group = ofType(view, 'AWS::Logs::LogGroup').find(
        ({ id }) => at(properties, 'LoggingConfig', 'LogGroup') === `\${${id}}`,
      );
      return [
        ...unless(
          properties.Runtime === 'nodejs24.x',
          `${path}: runtime ${text(properties.Runtime ?? null)}`,
        ),
        ...unless(same(properties.Architectures, ['arm64']), `${path}: not arm64`),
        ...unless(at(properties, 'LoggingConfig', 'LogFormat') === 'JSON', `${path} does not log JSON`),
        ...unless(
          Number(group?.properties.RetentionInDays) >= 365,
          `${path}: log is kept for less than a year`,
        ),
        ...unless(
          group?.properties.KmsKeyId === arnOf(atPath(view, 'OperationsKey')),
          `${path}: log not encrypted`,
        ),
        ...unless(at(properties, 'TracingConfig', 'Mode') === 'Active', `${path} is not traced`),
        ...unless(Number(properties.MemorySize) >= 512, `${path}: less than 512 MB of memory`),
      ];
    }),

  'functions get exactly the settings that they declare, and no secret': (view) => {
    const declared: Record<FunctionName, Settings> = {
      Webhook: webhookSettings,
      Discover: discoverSettings,
      Archive: archiveSettings,
      Audit: auditSettings,
    };
    return functionNames.flatMap((name) => {
      const environment = environmentOf(lambda(view, name));
      const settings = Object.values(declared[name]);
      const keys = environment.TELNYX_PUBLIC_KEYS;
      return [
        ...settings
          .filter((setting) => !('fallback' in setting) && !environment[setting.variable])
          .map(({ variable }) => `${name} does not get ${variable}`),
        ...Object.keys(environment)
          .filter((variable) => !settings.some((setting) => setting.variable === variable))
          .map((variable) => `${name} gets ${variable}, which it does not declare`),
        ...Object.entries(environment)
          .filter(
            ([variable, value]) =>
              (/SECRET|TOKEN|PASSWORD|API_KEY/.test(variable) && !variable.endsWith('_SECRET_ARN')) ||
              /\bKEY[0-9A-Za-z]{16,}|\b(AKIA|ASIA)[0-9A-Z]{12,}|-----BEGIN/.test(value),
          )
          .map(([variable]) => `${name}: ${variable} looks like a secret`),
        ...unless(environment.TRUSTED_DOWNLOAD_ORIGIN === undefined, `${name} trusts a download origin`),
        ...unless(name !== 'Webhook' || usable(keys), 'the webhook has no valid public key'),
      ];
    });
  },

  'no policy has a wildcard except the known ones': (view) =>
    identityPolicies(view).flatMap(({ path, statements }) =>
      statements.flatMap(({ sid, actions, resources }) => [
        ...actions
          .filter((action) => action.includes('*'))
          .map((action) => `${path}: ${sid} allows ${action}`),
        ...resources
          .filter((resource) => resource.includes('*'))
          .filter(
            (resource) =>
              !(sid === 'Trace' && actions.every((action) => action.startsWith('xray:Put'))) &&
              ![...objectsWith(view, Object.keys(archiveKeys)), catalogueRows(view)].includes(resource),
          )
          .map((resource) => `${path}: ${sid} applies to ${resource}`),
      ]),
    ),

  'the webhook role can only send to two queues': (view) =>
    differences(grantsOf(view, 'Webhook'), {
      'sqs:SendMessage': [arnOf(queue(view, 'Documents')), arnOf(queue(view, 'Discovery'))],
    }),

  'the archive role can create and read objects but not delete them': (view, stage) => {
    const objects = objectsWith(view, ['documents/', 'receipts/']);
    const key = stage.existingKeyArn ?? arnOf(atPath(view, 'Key'));
    const read = [arnOf(queue(view, 'Documents')), arnOf(queue(view, 'Backfill'))];
    return [
      ...differences(grantsOf(view, 'Archive'), {
        's3:GetObject': objects,
        's3:PutObject': objects,
        's3:ListBucket': [arnOf(bucket(view))],
        'kms:Decrypt': [key],
        'kms:GenerateDataKey': [key],
        'secretsmanager:GetSecretValue': [`\${${secret(view).id}}`],
        'sqs:SendMessage': [arnOf(deadLetters(view, 'Documents')), arnOf(deadLetters(view, 'Backfill'))],
        ...receiving(read),
      }),
      ...conditionProblems(view, 'Archive', ['documents/*', 'receipts/*']),
    ];
  },

  'the discover role can list receipts, create contexts and send messages, but read no object': (
    view,
    stage,
  ) => {
    const key = stage.existingKeyArn ?? arnOf(atPath(view, 'Key'));
    return [
      ...differences(grantsOf(view, 'Discover'), {
        's3:ListBucket': [arnOf(bucket(view))],
        's3:PutObject': objectsWith(view, ['contexts/']),
        'kms:Decrypt': [key],
        'kms:GenerateDataKey': [key],
        'secretsmanager:GetSecretValue': [`\${${secret(view).id}}`],
        'sqs:SendMessage': [
          arnOf(queue(view, 'Documents')),
          arnOf(queue(view, 'Backfill')),
          arnOf(queue(view, 'Spans')),
          arnOf(deadLetters(view, 'Discovery')),
          arnOf(deadLetters(view, 'Spans')),
        ],
        ...receiving([arnOf(queue(view, 'Discovery')), arnOf(queue(view, 'Spans'))]),
      }),
      ...conditionProblems(view, 'Discover', ['receipts/*', 'contexts/*']),
    ];
  },

  'the audit role can read the archive, add manifests and its own records, and rewrite the catalogue; only if the stage repairs, queue documents':
    (view, stage) => {
      const key = stage.existingKeyArn ?? arnOf(atPath(view, 'Key'));
      const locked = objectsWith(view, ['documents/', 'receipts/']);
      return [
        ...differences(grantsOf(view, 'Audit'), {
          's3:ListBucket': [arnOf(bucket(view)), arnOf(catalogue(view))],
          's3:ListBucketVersions': [arnOf(bucket(view))],
          's3:GetObject': [...objectsWith(view, Object.keys(archiveKeys)), catalogueRows(view)],
          's3:GetObjectLegalHold': locked,
          's3:GetObjectRetention': locked,
          's3:PutObject': [...objectsWith(view, ['audits/', 'manifests/']), catalogueRows(view)],
          'kms:Decrypt': [key],
          'kms:GenerateDataKey': [key],
          'secretsmanager:GetSecretValue': [`\${${secret(view).id}}`],
          'sqs:SendMessage': [
            arnOf(queue(view, 'Audit')),
            arnOf(deadLetters(view, 'Audit')),
            ...(stage.repair ? [arnOf(queue(view, 'Backfill'))] : []),
          ],
          ...receiving([arnOf(queue(view, 'Audit'))]),
        }),
        // It lists the whole bucket: objects that belong to no document can have any key.
        ...conditionProblems(view, 'Audit', [], [bucket(view), catalogue(view)]),
      ];
    },

  'the audit function has the share of objects to read back and the choice to repair of the stage': (
    view,
    stage,
  ) => {
    const { FIXITY_DAYS, REPAIR } = environmentOf(lambda(view, 'Audit'));
    const days = stage.fixityDays === 'never' ? 0 : stage.fixityDays;
    return [
      ...unless(FIXITY_DAYS === String(days), `FIXITY_DAYS is ${FIXITY_DAYS}`),
      ...unless(REPAIR === String(stage.repair), `REPAIR is ${REPAIR}`),
    ];
  },

  'low lanes know how many invocations share what live work leaves of the rate limit': (view, stage) =>
    (['Discover', 'Archive', 'Audit'] as const).flatMap((name) => {
      const stated = Number(environmentOf(lambda(view, name)).LOW_LANE_INVOCATIONS);
      // Backfilled documents, two time spans, twenty parts of the audit.
      return unless(stated === stage.backfillConcurrency + 2 + 20, `${name} knows of ${stated}`);
    }),

  'no role can delete queues or objects, change keys or assume another role': (view) =>
    identityPolicies(view).flatMap(({ path, statements }) =>
      statements
        .flatMap(({ actions }) => actions)
        .filter((action) =>
          /^(sqs:(PurgeQueue|DeleteQueue|SetQueueAttributes|AddPermission)|kms:(Put|Schedule|Disable|CreateGrant)|iam:|sts:|s3:(Delete|PutBucket|BypassGov|PutObject.))/i.test(
            action,
          ),
        )
        .map((action) => `${path} allows ${action}`),
    ),

  'AWS services can act only for this account': (view) => [
    ...resourcePolicies(view).flatMap(({ path, statements }) =>
      statements
        .filter(({ effect, principals }) => effect === 'Allow' && principals.Service !== undefined)
        // Lambda assumes a role only for functions of the same account; trust policies that AWS creates are the same.
        .filter(({ principals }) => !same(principals.Service, ['lambda.amazonaws.com']))
        .filter(
          ({ conditions }) =>
            !Object.values(conditions)
              .flatMap((keys) => Object.keys(keys))
              .some((key) =>
                /^(aws:SourceArn|aws:SourceAccount|kms:EncryptionContext:aws:logs:arn)$/.test(key),
              ),
        )
        .map(({ principals }) => `${path} trusts ${text(principals.Service ?? null)} for any account`),
    ),
    ...ofType(view, 'AWS::Lambda::Permission')
      .filter(({ properties }) => !properties.SourceArn && !properties.SourceAccount)
      .map(({ path }) => `${path} applies to any account`),
  ],

  'only API Gateway has permission to invoke a function': (view) => [
    ...ofType(view, 'AWS::Lambda::Permission')
      .filter(({ properties }) => properties.Principal !== 'apigateway.amazonaws.com')
      .map(({ path, properties }) => `${path} allows ${text(properties.Principal ?? null)}`),
    ...ofType(view, 'AWS::Lambda::Url').map(({ path }) => `${path} is a function URL`),
  ],

  'the API has one throttled POST route and logs neither headers nor bodies': (view, stage) => {
    const routes = ofType(view, 'AWS::ApiGatewayV2::Route').map(({ properties }) => properties.RouteKey);
    const { properties } = stageOfApi(view);
    const format = text(at(properties, 'AccessLogSettings', 'Format'));
    const domains = ofType(view, 'AWS::ApiGatewayV2::DomainName');
    return [
      ...unless(same(routes, ['POST /webhook']), `routes are ${text(routes)}`),
      ...unless(Number(at(properties, 'DefaultRouteSettings', 'ThrottlingRateLimit')) > 0, 'no rate limit'),
      ...unless(Number(at(properties, 'DefaultRouteSettings', 'ThrottlingBurstLimit')) > 0, 'no burst limit'),
      ...unless(format.includes('$context.requestId'), 'no access log'),
      ...unless(
        !/header|body|query|authorizer|\$request/i.test(format),
        'the access log contains data of the request',
      ),
      ...unless(domains.length === (stage.domain ? 1 : 0), 'the API does not have the domain of the stage'),
      // Metrics of each route cost extra, and the API has only one.
      ...unless(
        at(properties, 'DefaultRouteSettings', 'DetailedMetricsEnabled') !== true,
        'the API publishes metrics of its route, which nothing reads',
      ),
      ...domains.flatMap((domain) =>
        unless(
          at(domain.properties, 'DomainNameConfigurations', 0, 'SecurityPolicy') === 'TLS_1_2',
          'the domain accepts TLS before 1.2',
        ),
      ),
      ...unless(
        (atPath(view, 'WebhookApi/Api').properties.DisableExecuteApiEndpoint === true) ===
          (stage.domain !== undefined),
        'the API has no endpoint, or one in addition to the domain',
      ),
    ];
  },

  'the secret has no value in the template and is encrypted with the archive key': (view, stage) => {
    const { properties } = secret(view);
    return [
      ...unless(
        properties.KmsKeyId === (stage.existingKeyArn ?? arnOf(atPath(view, 'Key'))),
        'the secret is not encrypted with the key',
      ),
      ...['SecretString', 'GenerateSecretString']
        .filter((property) => properties[property] !== undefined)
        .map((property) => `the template sets ${property}`),
    ];
  },

  'outputs cover all next steps and contain no secret': (view) => [
    ...[
      'ArchiveBucketName',
      'CatalogueBucketName',
      'StoreApiKey',
      'WebhookUrl',
      'DashboardUrl',
      'AlarmTopicArn',
    ]
      .filter((name) => view.outputs[name] === undefined)
      .map((name) => `no output ${name}`),
    ...Object.entries(view.outputs)
      .filter(([, value]) =>
        /resolve:secretsmanager|SecretString\b|:\*|\bKEY[0-9A-Za-z]{16,}/.test(text(value)),
      )
      .map(([name]) => `output ${name} contains a secret or a wildcard`),
  ],

  'the schedule sends a valid sweep message every minute': (view) =>
    scheduleProblems(view, {
      path: 'Sweep',
      expression: 'cron(0/1 * * * ? *)',
      lane: 'Discovery',
      kindOf: (message) => parseDiscoveryMessage(message).kind,
      kind: 'recent',
      // For exactly as long as discover accepts the first sweep of an hour.
      maximumAge: 3_600,
    }),

  'the schedule starts the audit every night': (view) =>
    scheduleProblems(view, {
      path: 'Audit',
      expression: 'cron(15 2 * * ? *)',
      lane: 'Audit',
      kindOf: (message) => parseAuditMessage(message).kind,
      kind: 'audit-start',
      // A later start would leave its run less than twelve hours until the next one, which closes it.
      maximumAge: 43_200,
    }),

  'there is no other schedule': (view) => {
    const paths = ofType(view, 'AWS::Scheduler::Schedule').map(({ path }) => path);
    return unless(
      same(paths.toSorted(), ['Audit/Schedule', 'Sweep/Schedule']),
      `the schedules are ${text(paths)}`,
    );
  },

  'every kind of failure has an alarm that notifies the topic and explains its impact': (view, stage) => {
    const alarms = ofType(view, 'AWS::CloudWatch::Alarm');
    const topic = `\${${atPath(view, 'AlarmTopic/Topic').id}}`;
    const named = (name: string) =>
      alarms.find(({ properties }) => properties.AlarmName === `${stage.name}-${name}`);
    return [
      ...Object.entries(expectedAlarms).flatMap(([name, expected]) => {
        const alarm = named(name);
        if (alarm === undefined) return [`no alarm ${name}`];
        const { properties } = alarm;
        const { metric, threshold, below = false, datapoints: [toAlarm, outOf] = [1, 1] } = expected;
        const missing = expected.missingIsBreaching ? 'breaching' : 'notBreaching';
        const value =
          typeof threshold === 'number'
            ? threshold
            : 800 * Number(lambda(view, threshold).properties.Timeout);
        const comparison = below ? 'LessThanThreshold' : 'GreaterThanOrEqualToThreshold';
        return [
          ...unless(JSON.stringify(properties).includes(`"${metric}"`), `${name} does not watch ${metric}`),
          ...unless(
            properties.ComparisonOperator === comparison && properties.Threshold === value,
            `${name} is in alarm at ${text(properties.ComparisonOperator ?? null)} ${text(properties.Threshold ?? null)}`,
          ),
          ...unless(
            properties.DatapointsToAlarm === toAlarm && properties.EvaluationPeriods === outOf,
            `${name} needs ${text(properties.DatapointsToAlarm ?? null)} of ${text(properties.EvaluationPeriods ?? null)}`,
          ),
          ...unless(
            properties.TreatMissingData === missing,
            `${name} treats missing data as ${text(properties.TreatMissingData ?? null)}`,
          ),
          ...unless(
            same(properties.OKActions, expected.notifiesOk ? [topic] : undefined),
            `${name} has the OK actions ${text(properties.OKActions ?? null)}`,
          ),
        ];
      }),
      ...alarms
        .filter(
          ({ properties }) => !same(properties.AlarmActions, [topic]) || properties.ActionsEnabled === false,
        )
        .map(({ path }) => `${path} does not notify the topic`),
      ...alarms
        .filter(({ properties }) => !explainsImpact(text(properties.AlarmDescription), stage.runbookUrl))
        .map(({ path }) => `${path} does not explain its impact`),
      ...alarms
        .filter(
          ({ properties }) => !(text(properties.AlarmName).slice(stage.name.length + 1) in expectedAlarms),
        )
        .map(({ path }) => `${path} is not an expected alarm`),
      ...errorCodes
        .filter((code) => retryPolicies[code] === 'wait' && !alarms.some((alarm) => countsCode(alarm, code)))
        .map((code) => `no alarm for messages that wait with ${code}`),
      ...keyDeletionProblems(view, stage, topic),
    ];
  },

  'CloudFormation refuses a second archive of the same Telnyx account unless the stage accepts it': (
    view,
    stage,
  ) => {
    const claims = Object.keys(view.exports).filter((name) => name.startsWith('telnyx-archive-of:'));
    const expected = stage.acceptSecondArchive ? 0 : stage.telnyxPublicKeys.length;
    return unless(claims.length === expected, `${claims.length} exports name the Telnyx account`);
  },

  'the storage stack has termination protection': (view) =>
    unless(view.terminationProtection.storage, 'termination protection is off'),

  'no custom resource runs at deployment': (view) =>
    view.resources
      .filter(({ type }) => type.startsWith('Custom::') || type === 'AWS::CloudFormation::CustomResource')
      .map(({ path }) => `${path} is a custom resource`),

  'the buckets of documents and catalogue have server access logs in another bucket': (view) => {
    const rules = list(at(accessLogs(view).properties, 'LifecycleConfiguration', 'Rules'));
    return [
      ...[bucket(view), catalogue(view)]
        .filter(
          ({ properties }) =>
            at(properties, 'LoggingConfiguration', 'DestinationBucketName') !== `\${${accessLogs(view).id}}`,
        )
        .map(({ path }) => `${path} has no access logs`),
      ...unless(
        rules.length > 0 && rules.every((rule) => Number(at(rule, 'ExpirationInDays')) >= 365),
        'access logs are kept for less than a year, or without limit',
      ),
    ];
  },

  'the templates are not tied to a partition or Region': (view, stage) => {
    const all = JSON.stringify([view.resources.map(({ properties }) => properties), view.outputs]);
    const given = JSON.stringify(stage);
    const literals = all.match(/arn:aws[a-z-]*:[^"\\ ]*/g) ?? [];
    const partition = partitionOf(stage.region);
    return [
      ...literals
        .filter((arn) => partition === undefined || !arn.startsWith(`arn:${partition}:`))
        .filter((arn) => !given.includes(arn))
        .map((arn) => `literal ${arn}`),
      ...(all.match(/\b(?:us|eu|ap|ca|sa|cn)-(?:gov-)?(?:north|south|east|west|central)[a-z]*-\d\b/g) ?? [])
        .filter((region) => region !== stage.region)
        .map((region) => `literal region ${region}`),
    ];
  },

  'Lambda recursive loop detection is on': (view) =>
    ofType(view, 'AWS::Lambda::Function')
      .filter(({ properties }) => properties.RecursiveLoop === 'Allow')
      .map(({ path }) => `${path} allows recursive loops`),

  'only CloudWatch alarms of this account can publish to the alarm topic, over TLS and encrypted': (view) => {
    const topic = atPath(view, 'AlarmTopic/Topic');
    const statements = statementsOf(atPath(view, 'AlarmTopic/Topic/Policy').properties.PolicyDocument);
    const key = statementsOf(atPath(view, 'OperationsKey').properties.KeyPolicy);
    const alarms = (allowed: Statement) =>
      allowed.effect === 'Allow' && same(allowed.principals.Service, ['cloudwatch.amazonaws.com']);
    return [
      ...unless(
        topic.properties.KmsMasterKeyId === arnOf(atPath(view, 'OperationsKey')),
        'the topic is not encrypted',
      ),
      ...unless(
        denies(statements, {
          action: 'sns:Publish',
          resource: `\${${topic.id}}`,
          context: { 'aws:SecureTransport': 'false' },
        }),
        'the topic accepts requests without TLS',
      ),
      ...unless(
        statements.some((statement) => alarms(statement) && statement.actions.includes('sns:Publish')),
        'alarms cannot publish',
      ),
      ...unless(
        key.some((statement) => alarms(statement) && statement.actions.includes('kms:Decrypt')),
        'alarms cannot use the key',
      ),
      ...statements
        .filter(
          ({ effect, principals }) =>
            effect === 'Allow' && !same(principals.Service, ['cloudwatch.amazonaws.com']),
        )
        .map(({ sid }) => `${sid} allows others to publish`),
    ];
  },
} satisfies Record<string, Check>;

export type CheckName = keyof typeof checks;

interface ExpectedAlarm {
  metric: string;
  /** In alarm at this value or above. The name of a function means 80 % of its timeout. */
  threshold: number | FunctionName;
  /** In alarm below the threshold. @default false */
  below?: boolean;
  /** @default false */
  missingIsBreaching?: boolean;
  /** M out of N. @default 1 of 1 */
  datapoints?: [toAlarm: number, outOf: number];
  /** Whether the topic is also notified of OK. @default false */
  notifiesOk?: boolean;
}

/** Stays in alarm for 40 minutes after the last failed receive. */
const whileWaiting = { threshold: 1, datapoints: [1, 8], notifiesOk: true } satisfies Partial<ExpectedAlarm>;

const expectedAlarms: Record<string, ExpectedAlarm> = {
  ...Object.fromEntries(
    lanes.flatMap((lane) => [
      [`${lane}DeadLetters`, { metric: 'DeadLetters', threshold: 1 }],
      [
        `DeadLetterGrowth${lane}`,
        { metric: 'ApproximateNumberOfMessagesVisible', threshold: 1, datapoints: [1, 20] },
      ],
    ]),
  ),
  ...Object.fromEntries(
    ['Backfill', 'Spans'].map((lane) => [
      `${lane}TooOld`,
      { metric: 'ApproximateAgeOfOldestMessage', threshold: 691_200, datapoints: [1, 12] },
    ]),
  ),
  DocumentsOverdue: { metric: 'DocumentsOverdue', threshold: 1, datapoints: [1, 2] },
  ChecksumMismatches: { metric: 'ChecksumMismatch', threshold: 1 },
  ApiKeyUnusable: { metric: 'ApiKeyRejected', ...whileWaiting },
  BucketUnusable: { metric: 'BucketMisconfigured', ...whileWaiting },
  DownloadHostRefused: { metric: 'LinkNotAllowed', ...whileWaiting },
  WaitingRateLimited: { metric: 'RateLimited', ...whileWaiting },
  WaitingTelnyxUnavailable: { metric: 'TelnyxUnavailable', ...whileWaiting },
  WaitingDownloadFailed: { metric: 'DownloadFailed', ...whileWaiting },
  WaitingBucketConflict: { metric: 'BucketConflict', ...whileWaiting },
  WaitingBucketUnavailable: { metric: 'BucketUnavailable', ...whileWaiting },
  WaitingQueueUnavailable: { metric: 'QueueUnavailable', ...whileWaiting },
  WaitingOutOfTime: { metric: 'OutOfTime', ...whileWaiting },
  WebhookServerErrors: { metric: '5xx', threshold: 1 },
  WebhooksRefused: { metric: 'WebhooksRefused', threshold: 3 },
  SweepMissing: {
    metric: 'SweepsCompleted',
    threshold: 1,
    below: true,
    missingIsBreaching: true,
    datapoints: [2, 3],
    notifiesOk: true,
  },
  AuditFindings: { metric: 'AuditFindings', threshold: 1 },
  AuditMissing: {
    metric: 'AuditCompleted',
    threshold: 1,
    below: true,
    datapoints: [55, 55],
    notifiesOk: true,
  },
  ...Object.fromEntries(
    functionNames.flatMap((name) => [
      [`${name}Errors`, { metric: 'Errors', threshold: 1 }],
      [`${name}Throttles`, { metric: 'Throttles', threshold: 1 }],
      [`${name}Slow`, { metric: 'p99', threshold: name }],
    ]),
  ),
  ...Object.fromEntries(
    functionNames
      .filter((name) => name !== 'Webhook')
      .map((name) => [`${name}RecursionStopped`, { metric: 'RecursiveInvocationsDropped', threshold: 1 }]),
  ),
  ObjectsDeleted: { metric: 'TriggeredRules', threshold: 1 },
};

const guardedObjectActions = [
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

const guardedBucketActions = [
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

function cloudFormationRole(statements: readonly Statement[]): string {
  const policy = JSON.stringify(statements);
  return /arn:[^"]*:role\/cdk-hnb659fds-cfn-exec-role-[^"]*/.exec(policy)?.[0] ?? 'no CloudFormation role';
}

/** Problems of a bucket policy that must deny an action to every principal but the exempt ones. */
function exemptionProblems(
  view: View,
  target: Resource,
  action: string,
  resource: string,
  exempt: readonly string[],
): string[] {
  const statements = bucketPolicy(view, target);
  const denied = (principal: string) =>
    denies(statements, { action, resource, context: { ...tls, 'aws:PrincipalArn': principal } });
  const others = ['arn:aws:iam::1:role/admin', cloudFormationRole(bucketPolicy(view, target))].filter(
    (principal) => !exempt.includes(principal),
  );
  return [
    ...others.filter((other) => !denied(other)).map((other) => `${target.path}: ${other} can ${action}`),
    ...exempt.filter(denied).map((principal) => `${target.path}: ${principal} cannot ${action}`),
  ];
}

const tls = { 'aws:SecureTransport': 'true', 's3:TlsVersion': '1.3' };

function unless(holds: boolean, problem: string): string[] {
  return holds ? [] : [problem];
}

function same(actual: unknown, expected: unknown): boolean {
  return JSON.stringify(sorted(actual)) === JSON.stringify(sorted(expected));
}

function sorted(value: unknown): unknown {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1)));
}

function arnOf({ id }: Resource): string {
  return `\${${id}.Arn}`;
}

function isPublic(principals: Record<string, string[]>): boolean {
  return (principals.AWS ?? []).includes('*');
}

function empty(record: object): boolean {
  return Object.keys(record).length === 0;
}

function bucketPolicy(view: View, target: Resource): Statement[] {
  return ofType(view, 'AWS::S3::BucketPolicy')
    .filter(({ properties }) => properties.Bucket === `\${${target.id}}`)
    .flatMap(({ properties }) => statementsOf(properties.PolicyDocument));
}

function catalogueRows(view: View): string {
  return `${arnOf(catalogue(view))}/rows/*`;
}

/** ARNs of all objects with the prefixes. */
function objectsWith(view: View, prefixes: readonly string[]): string[] {
  return prefixes.map((prefix) => `${arnOf(bucket(view))}/${prefix}*`);
}

function encryption(target: Resource): unknown {
  return at(
    target.properties,
    'BucketEncryption',
    'ServerSideEncryptionConfiguration',
    0,
    'ServerSideEncryptionByDefault',
  );
}

function environmentOf({ properties }: Resource): Record<string, string> {
  return Object.fromEntries(
    Object.entries(object(at(properties, 'Environment', 'Variables'))).map(([name, value]) => [
      name,
      text(value),
    ]),
  );
}

function usable(publicKeys: string | undefined): boolean {
  try {
    return readPublicKeys((publicKeys ?? '').split(',')).length > 0;
  } catch {
    // The check reports it.
    return false;
  }
}

interface Policy {
  path: string;
  statements: Statement[];
}

/** All policies of roles: managed, attached and inline. */
function identityPolicies(view: View): Policy[] {
  return [
    ...[...ofType(view, 'AWS::IAM::ManagedPolicy'), ...ofType(view, 'AWS::IAM::Policy')].map(
      ({ path, properties }) => ({ path, statements: statementsOf(properties.PolicyDocument) }),
    ),
    ...ofType(view, 'AWS::IAM::Role').flatMap(({ path, properties }) =>
      list(properties.Policies).map((policy) => ({
        path,
        statements: statementsOf(at(policy, 'PolicyDocument')),
      })),
    ),
  ];
}

function resourcePolicies(view: View): Policy[] {
  const documents: Record<string, string> = {
    'AWS::IAM::Role': 'AssumeRolePolicyDocument',
    'AWS::KMS::Key': 'KeyPolicy',
    'AWS::S3::BucketPolicy': 'PolicyDocument',
    'AWS::SQS::QueuePolicy': 'PolicyDocument',
    'AWS::SNS::TopicPolicy': 'PolicyDocument',
  };
  return view.resources.flatMap(({ type, path, properties }) => {
    const document = documents[type];
    return document === undefined ? [] : [{ path, statements: statementsOf(properties[document]) }];
  });
}

type Grants = Record<string, string[]>;

/** Permissions of a function without its log and traces: action → resources. */
function grantsOf(view: View, name: FunctionName): Grants {
  return grantsOfRole(view, `Functions/${name}/Role`);
}

function grantsOfRole(view: View, path: string): Grants {
  const grants: Grants = {};
  for (const { sid, actions, resources } of statementsOfRole(view, path)) {
    if (sid === 'Log' || sid === 'Trace') continue;
    for (const action of actions) grants[action] = [...(grants[action] ?? []), ...resources];
  }
  return grants;
}

function statementsOfRole(view: View, path: string): Statement[] {
  const role = atPath(view, path);
  const attached = list(role.properties.ManagedPolicyArns).map(text);
  const known = ofType(view, 'AWS::IAM::ManagedPolicy').filter(({ id }) => attached.includes(`\${${id}}`));
  const external = attached.filter((arn) => !known.some(({ id }) => arn === `\${${id}}`));
  return [
    ...known.flatMap(({ properties }) => statementsOf(properties.PolicyDocument)),
    ...ofType(view, 'AWS::IAM::Policy')
      .filter(({ properties }) => list(properties.Roles).includes(`\${${role.id}}`))
      .flatMap(({ properties }) => statementsOf(properties.PolicyDocument)),
    ...list(role.properties.Policies).flatMap((policy) => statementsOf(at(policy, 'PolicyDocument'))),
    // A policy that is not in the template can allow anything.
    ...external.map((arn) => ({
      sid: 'External',
      effect: 'Allow' as const,
      actions: [arn],
      resources: ['*'],
      principals: {},
      conditions: {},
    })),
  ];
}

function differences(actual: Grants, expected: Grants): string[] {
  const actions = new Set([...Object.keys(actual), ...Object.keys(expected)]);
  return [...actions].flatMap((action) => {
    const allowed = [...new Set(actual[action] ?? [])].sort();
    const wanted = [...(expected[action] ?? [])].sort();
    return unless(
      same(allowed, wanted),
      `${action} is allowed on ${text(allowed)}, expected ${text(wanted)}`,
    );
  });
}

function receiving(queues: string[]): Grants {
  return Object.fromEntries(
    ['ChangeMessageVisibility', 'DeleteMessage', 'GetQueueAttributes', 'ReceiveMessage'].map((action) => [
      `sqs:${action}`,
      queues,
    ]),
  );
}

/** Problems where listing is not limited to the prefixes, or the use of the key not to the encryption contexts of the buckets. */
function conditionProblems(
  view: View,
  name: FunctionName,
  prefixes: string[],
  buckets = [bucket(view)],
): string[] {
  return statementsOfRole(view, `Functions/${name}/Role`).flatMap(({ sid, actions, conditions }) => {
    if (actions.includes('s3:ListBucket')) {
      const listed = Object.values(conditions).flatMap((keys) => keys['s3:prefix'] ?? []);
      return unless(same(listed, prefixes), `${name} can list ${text(listed)}`);
    }
    if (!actions.some((action) => action.startsWith('kms:'))) return [];
    const context = Object.entries(conditions.StringEquals ?? {}).flatMap(([key, values]) =>
      key.startsWith('kms:EncryptionContext:') ? values : [],
    );
    return unless(
      same(context, buckets.map(arnOf)) || same(context, [`\${${secret(view).id}}`]),
      `${name}: ${sid} allows the key for ${text(context)}`,
    );
  });
}

interface ExpectedSchedule {
  /** Path of its construct. */
  path: string;
  expression: string;
  lane: Lane;
  /** Throws for a message that the lane's function does not accept. */
  kindOf: (message: string) => string;
  kind: string;
  /** For how long the scheduler tries to deliver a message, in seconds. */
  maximumAge: number;
}

function scheduleProblems(view: View, expected: ExpectedSchedule): string[] {
  const { path, expression, lane, maximumAge } = expected;
  const { properties } = atPath(view, `${path}/Schedule`);
  const target = object(properties.Target);
  const input = text(target.Input);
  const kind = kindOrUndefined(
    expected,
    input.replace('<aws.scheduler.scheduled-time>', '2022-03-22T18:59:43Z'),
  );
  return [
    ...unless(
      properties.ScheduleExpression === expression,
      `the schedule expression is ${text(properties.ScheduleExpression ?? null)}`,
    ),
    ...unless(properties.State === 'ENABLED', 'the schedule is disabled'),
    ...unless(target.Arn === arnOf(queue(view, lane)), 'the target is not the queue of the lane'),
    ...unless(input.includes('<aws.scheduler.scheduled-time>'), 'the message does not state its time'),
    ...unless(kind === expected.kind, `the message is ${input}`),
    ...unless(Number(at(target, 'RetryPolicy', 'MaximumRetryAttempts')) > 0, 'no retries'),
    ...unless(
      at(target, 'RetryPolicy', 'MaximumEventAgeInSeconds') === maximumAge,
      `messages are not retried for ${maximumAge} s`,
    ),
    ...unless(
      at(target, 'DeadLetterConfig', 'Arn') === arnOf(deadLetters(view, lane)),
      'the schedule has no dead-letter queue',
    ),
    ...differences(grantsOfRole(view, `${path}/Role`), {
      'sqs:SendMessage': [arnOf(queue(view, lane)), arnOf(deadLetters(view, lane))],
    }),
  ];
}

function kindOrUndefined({ kindOf }: ExpectedSchedule, message: string): string | undefined {
  try {
    return kindOf(message);
  } catch {
    // The check reports it.
    return undefined;
  }
}

function countsCode({ properties }: Resource, code: ErrorCode): boolean {
  return JSON.stringify(properties).includes(`"Value":"${code}"`);
}

function keyDeletionProblems(view: View, stage: Stage, topic: string): string[] {
  const rule = ofType(view, 'AWS::Events::Rule').find(({ path }) => path === 'Alarms/KeyDeletion/Rule');
  if (rule === undefined) return ['no rule for the deletion of the key'];
  const key = stage.existingKeyArn ?? arnOf(atPath(view, 'Key'));
  const detail = at(rule.properties, 'EventPattern', 'detail');
  return [
    ...unless(rule.properties.State === 'ENABLED', 'the rule for key deletion is disabled'),
    ...unless(
      list(at(detail, 'eventName')).includes('ScheduleKeyDeletion'),
      'the rule does not match ScheduleKeyDeletion',
    ),
    ...unless(list(at(detail, 'eventName')).includes('DisableKey'), 'the rule does not match DisableKey'),
    ...unless(same(at(detail, 'resources', 'ARN'), [key]), 'the rule is for another key'),
    ...unless(at(rule.properties, 'Targets', 0, 'Arn') === topic, 'the rule does not notify the topic'),
    ...differences(grantsOfRole(view, 'Alarms/KeyDeletion/Role'), {
      'sns:Publish': [topic],
      'kms:Decrypt': [arnOf(atPath(view, 'OperationsKey'))],
      'kms:GenerateDataKey': [arnOf(atPath(view, 'OperationsKey'))],
    }),
  ];
}

function partitionOf(region: string | undefined): string | undefined {
  if (region === undefined) return undefined;
  if (region.startsWith('cn-')) return 'aws-cn';
  return region.startsWith('us-gov-') ? 'aws-us-gov' : 'aws';
}

function explainsImpact(description: string, runbook = 'docs/runbook.md'): boolean {
  const [impact = '', link = ''] = description.split(' Runbook: ');
  return (
    impact.length >= 30 && link.startsWith(`${runbook}#`) && /^\w+$/.test(link.slice(runbook.length + 1))
  );
}

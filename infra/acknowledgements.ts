/** Acknowledged cdk-nag findings, each with its reason. A test fails for an acknowledgement that matches no finding. */
import { Stack } from 'aws-cdk-lib';
import type { Bucket } from 'aws-cdk-lib/aws-s3';
import type { IConstruct } from 'constructs';
import { catalogueFolder } from '../functions/bucket/keys.ts';
import { archivePrefixes } from './bucket.ts';
import type { ArchivePipeline } from './pipeline.ts';
import type { Stage } from './stage.ts';
import type { ArchiveStorage } from './storage.ts';

export interface Acknowledgement {
  /** Rule IDs as cdk-nag reports them, starting with the pack. */
  rules: readonly string[];
  /** Applies to these constructs and their children. */
  on: readonly IConstruct[];
  reason: string;
}

export function acknowledgements(
  stage: Pick<Stage, 'webhookConcurrency' | 'alarmEmail'>,
  storage: ArchiveStorage,
  pipeline: ArchivePipeline,
): Acknowledgement[] {
  const { archive, catalogue, apiKey } = storage;
  const { queues, functions, webhookApi, alarmTopic, alarms } = pipeline;
  const lambdas = [functions.webhook, functions.discover, functions.archive, functions.audit];
  const readers = [functions.discover, functions.archive, functions.audit];
  const lanes = [queues.documents, queues.backfill, queues.discovery, queues.spans, queues.audit];
  return [
    {
      rules: inPacks(['NIST.800.53.R5', 'HIPAA.Security', 'PCI.DSS.321'], 'S3BucketReplicationEnabled'),
      on: [archive.accessLogs, archive.bucket],
      reason:
        'Replication stores identity documents in a second Region and adds cost. The operator decides on it.',
    },
    {
      rules: inPacks(
        ['NIST.800.53.R5', 'HIPAA.Security', 'PCI.DSS.321'],
        'S3BucketReplicationEnabled',
        'S3BucketVersioningEnabled',
      ),
      on: [catalogue],
      reason:
        'A cache that the audit makes again every night. Versions would keep what an erasure must remove.',
    },
    {
      rules: inPacks(['NIST.800.53.R5', 'HIPAA.Security', 'PCI.DSS.321'], 'S3DefaultEncryptionKMS'),
      on: [archive.accessLogs],
      reason: 'S3 delivers server access logs only to buckets that are encrypted with SSE-S3.',
    },
    {
      rules: [
        'AwsSolutions-SMG4',
        ...inPacks(['NIST.800.53.R5', 'HIPAA.Security'], 'SecretsManagerRotationEnabled'),
      ],
      on: [apiKey],
      reason:
        'Telnyx API keys are created by hand in the Telnyx portal. The functions use a new key within five minutes.',
    },
    {
      rules: ['AwsSolutions-APIG4'],
      on: [webhookApi],
      reason:
        'The function verifies the Ed25519 signature of each event. API Gateway has no authorizer for that.',
    },
    {
      rules: ['AwsSolutions-IAM5[Resource::*]'],
      on: lambdas,
      reason:
        'PutTraceSegments and PutTelemetryRecords have no resource types. No other action is granted on *.',
    },
    {
      rules: [bucketWildcard(archive.bucket, archivePrefixes.receipts)],
      on: [functions.archive, functions.audit],
      reason:
        'Each document has its own receipt, and document IDs are not known in advance. The prefix is exact.',
    },
    {
      rules: [bucketWildcard(archive.bucket, archivePrefixes.documents)],
      on: [functions.archive, functions.audit],
      reason:
        'Each document has its own object, and document IDs are not known in advance. The prefix is exact.',
    },
    {
      rules: [bucketWildcard(archive.bucket, archivePrefixes.contexts)],
      on: [functions.discover, functions.audit],
      reason: 'A context has its document ID and its SHA-256 in its key. The prefix is exact.',
    },
    {
      rules: [archivePrefixes.manifests, archivePrefixes.holds, archivePrefixes.audits].map((prefix) =>
        bucketWildcard(archive.bucket, prefix),
      ),
      on: [functions.audit],
      reason: 'Names of manifests, hold records and audit records have their time. The prefix is exact.',
    },
    {
      rules: [bucketWildcard(catalogue.bucket, catalogueFolder)],
      on: [functions.audit],
      reason:
        'The catalogue has up to 4,096 shards, and the audit writes each when its documents change. The prefix is exact.',
    },
    {
      rules: inPacks(['NIST.800.53.R5', 'HIPAA.Security'], 'LambdaConcurrency'),
      on: readers,
      reason:
        'The event source mappings limit concurrency. A lower reservation would throttle receives and delay messages.',
    },
    {
      rules: inPacks(['NIST.800.53.R5', 'HIPAA.Security'], 'LambdaConcurrency'),
      on: stage.webhookConcurrency === 'unreserved' ? [functions.webhook] : [],
      reason:
        "API Gateway throttles requests. Lambda rejects a reservation if the account's quota is low, as in new accounts.",
    },
    {
      rules: inPacks(['NIST.800.53.R5', 'HIPAA.Security', 'Serverless'], 'LambdaDLQ'),
      on: lambdas,
      reason:
        'Only for asynchronous invocations, which are not used: each queue has a dead-letter queue, and Telnyx retries.',
    },
    {
      rules: inPacks(['NIST.800.53.R5', 'HIPAA.Security', 'PCI.DSS.321'], 'LambdaInsideVPC'),
      on: lambdas,
      reason:
        'The functions call public endpoints only. A VPC would add a NAT gateway, with its cost and its outages.',
    },
    {
      rules: ['Serverless-LambdaEventSourceMappingDestination'],
      on: readers,
      reason:
        'SQS event sources do not support failure destinations. Each queue has a redrive policy instead.',
    },
    {
      rules: ['Serverless-SQSRedrivePolicy'],
      on: lanes.map((lane) => lane.deadLetters),
      reason: 'These are the dead-letter queues. An alarm notifies the operator of each new message.',
    },
    {
      rules: ['Serverless-SNSRedrivePolicy'],
      on: stage.alarmEmail === undefined ? [] : [alarmTopic],
      reason:
        'SNS retries email, and the dashboard shows the alarm state. A queue of missed emails would go unread.',
    },
    {
      rules: ['Serverless-EventBusDLQ'],
      on: [alarms],
      reason:
        'EventBridge retries the notification for 24 hours. A queue of missed notifications would go unread.',
    },
  ];
}

function inPacks(packs: readonly string[], ...rules: readonly string[]): string[] {
  return packs.flatMap((pack) => rules.map((rule) => `${pack}-${rule}`));
}

/** cdk-nag identifies a resource of another stack by the name of its export. */
function bucketWildcard(bucket: Bucket, prefix: string): string {
  const stack = Stack.of(bucket);
  const reference: unknown = stack.resolve(stack.exportValue(bucket.bucketArn));
  const name = (reference as { 'Fn::ImportValue': string })['Fn::ImportValue'];
  return `AwsSolutions-IAM5[Resource::${name}/${prefix}*]`;
}

/**
 * Every finding of cdk-nag that stands, and why. A test sees to it that each of these still has its finding: one
 * that no longer applies must go.
 */
import { Stack } from 'aws-cdk-lib';
import type { IConstruct } from 'constructs';
import { archivePrefixes } from './bucket.ts';
import type { PipelineStack } from './pipeline-stack.ts';
import type { Stage } from './stage.ts';
import type { StorageStack } from './storage-stack.ts';

export interface Acknowledgement {
  /** Ids as cdk-nag reports them, pack first. */
  rules: readonly string[];
  /** Where: the constructs themselves, and what they are made of. */
  on: readonly IConstruct[];
  reason: string;
}

export function acknowledgements(
  stage: Pick<Stage, 'webhookConcurrency' | 'alarmEmail'>,
  storage: StorageStack,
  pipeline: PipelineStack,
): Acknowledgement[] {
  const { archive, apiKey } = storage;
  const { queues, functions, webhookApi, alarmTopic, alarms } = pipeline;
  const lambdas = [functions.webhook, functions.discover, functions.archive];
  const lanes = [queues.documents, queues.backfill, queues.discovery, queues.spans];
  return [
    {
      rules: inPacks(['NIST.800.53.R5', 'HIPAA.Security', 'PCI.DSS.321'], 'S3BucketReplicationEnabled'),
      on: [archive.accessLogs, archive.bucket],
      reason:
        'A second region is a decision on where identity papers may lie, and on cost: left to whoever deploys.',
    },
    {
      rules: inPacks(['NIST.800.53.R5', 'HIPAA.Security', 'PCI.DSS.321'], 'S3DefaultEncryptionKMS'),
      on: [archive.accessLogs],
      reason: 'S3 delivers access logs only to a bucket that is encrypted with keys of S3 itself (SSE-S3).',
    },
    {
      rules: [
        'AwsSolutions-SMG4',
        ...inPacks(['NIST.800.53.R5', 'HIPAA.Security'], 'SecretsManagerRotationEnabled'),
      ],
      on: [apiKey],
      reason:
        "Telnyx API keys are made in Telnyx's portal by a person; a new one is used within five minutes of being stored.",
    },
    {
      rules: ['AwsSolutions-APIG4'],
      on: [webhookApi],
      reason:
        'Telnyx signs each event with Ed25519, which the function verifies; API Gateway has no authorizer for that.',
    },
    {
      rules: ['AwsSolutions-IAM5[Resource::*]'],
      on: lambdas,
      reason:
        'X-Ray has no resource types for PutTraceSegments and PutTelemetryRecords; nothing else is granted on *.',
    },
    {
      rules: [bucketWildcard(storage, archivePrefixes.receipts)],
      on: [functions.archive],
      reason: 'One receipt for each document, whose id is not known beforehand; the prefix is exact.',
    },
    {
      rules: [bucketWildcard(storage, archivePrefixes.documents)],
      on: [functions.archive],
      reason: 'One object for each document, whose id is not known beforehand; the prefix is exact.',
    },
    {
      rules: inPacks(['NIST.800.53.R5', 'HIPAA.Security'], 'LambdaConcurrency'),
      on: [functions.discover, functions.archive],
      reason:
        'Bounded by the event source mappings instead: with a reservation below them, throttled messages come back late.',
    },
    {
      rules: inPacks(['NIST.800.53.R5', 'HIPAA.Security'], 'LambdaConcurrency'),
      on: stage.webhookConcurrency === 'unreserved' ? [functions.webhook] : [],
      reason:
        "The stage says so: the account's quota leaves nothing to reserve. API Gateway's throttle remains.",
    },
    {
      rules: inPacks(['NIST.800.53.R5', 'HIPAA.Security', 'Serverless'], 'LambdaDLQ'),
      on: lambdas,
      reason:
        'For asynchronous invocations, of which there are none: queues have dead letters of their own, Telnyx tries again.',
    },
    {
      rules: inPacks(['NIST.800.53.R5', 'HIPAA.Security', 'PCI.DSS.321'], 'LambdaInsideVPC'),
      on: lambdas,
      reason:
        'There is nothing private to reach: a VPC would add a NAT gateway, its cost and its outages to reach public addresses.',
    },
    {
      rules: ['Serverless-LambdaEventSourceMappingDestination'],
      on: [functions.discover, functions.archive],
      reason: 'SQS event sources take no failure destination; each queue has a redrive policy instead.',
    },
    {
      rules: ['Serverless-SQSRedrivePolicy'],
      on: lanes.map((lane) => lane.deadLetters),
      reason: 'These are the dead-letter queues; an alarm calls a person for each message that lands there.',
    },
    {
      rules: ['Serverless-SNSRedrivePolicy'],
      on: stage.alarmEmail === undefined ? [] : [alarmTopic],
      reason:
        'SNS has no dead letters for e-mail: it tries again, and the alarm itself stays on the dashboard.',
    },
    {
      rules: ['Serverless-EventBusDLQ'],
      on: [alarms],
      reason:
        'A notification for people, which EventBridge tries for 24 hours; nobody would read it in a queue.',
    },
  ];
}

function inPacks(packs: readonly string[], rule: string): string[] {
  return packs.map((pack) => `${pack}-${rule}`);
}

/** cdk-nag names a resource of another stack by its export. */
function bucketWildcard(storage: StorageStack, prefix: string): string {
  const reference: unknown = Stack.of(storage).resolve(storage.exportValue(storage.archive.bucket.bucketArn));
  const name = (reference as { 'Fn::ImportValue': string })['Fn::ImportValue'];
  return `AwsSolutions-IAM5[Resource::${name}/${prefix}*]`;
}

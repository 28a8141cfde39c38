/** The four functions, each with its environment and its permissions. */
import { Stack } from 'aws-cdk-lib';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import type { Bucket } from 'aws-cdk-lib/aws-s3';
import { Construct } from 'constructs';
import { archiveSettings } from '../functions/archive/settings.ts';
import { auditSettings } from '../functions/audit/settings.ts';
import { discoverSettings } from '../functions/discover/settings.ts';
import { concurrency, timeouts } from '../functions/limits.ts';
import { webhookSettings } from '../functions/webhook/settings.ts';
import packageJson from '../package.json' with { type: 'json' };
import { ArchiverFunction } from './archiver-function.ts';
import { archivePrefixes } from './bucket.ts';
import { environmentFor } from './environment.ts';
import {
  createObjects,
  detectMissingKeys,
  encryptForBucket,
  listEverything,
  listKeys,
  readLocks,
  readObjects,
  readSecret,
  receiveFrom,
  rewriteCatalogue,
  sendTo,
  useKeyForBuckets,
} from './permissions.ts';
import type { Queues } from './queues.ts';
import type { Stage } from './stage.ts';

export interface FunctionsProps {
  stage: Stage;
  queues: Queues;
  bucket: Bucket;
  /** Bucket of the catalogue. */
  catalogue: Bucket;
  /** Encrypts the objects of both buckets and the secret. */
  dataKey: IKey;
  apiKeySecretArn: string;
  /** Encrypts the log groups. */
  logKey: IKey;
}

export class Functions extends Construct {
  readonly webhook: ArchiverFunction;
  readonly discover: ArchiverFunction;
  readonly archive: ArchiverFunction;
  readonly audit: ArchiverFunction;

  constructor(scope: Construct, id: string, props: FunctionsProps) {
    super(scope, id);
    this.webhook = webhook(this, props);
    this.discover = discover(this, props);
    this.archive = archive(this, props);
    this.audit = audit(this, props);
  }
}

/** Verifies Telnyx events and queues what they name. Has no access to secrets; can only send to two queues. */
function webhook(scope: Construct, { stage, queues, logKey }: FunctionsProps): ArchiverFunction {
  return new ArchiverFunction(scope, 'Webhook', {
    folder: 'webhook',
    description: 'Verifies Telnyx events and queues the documents and orders that they name',
    timeoutMs: timeouts.webhookMs,
    // CPU is allocated in proportion to memory; Telnyx waits 2 s, including a cold start.
    memoryMiB: 1_024,
    logKey,
    environment: environmentFor(webhookSettings, stage, {
      archiverName: stage.name,
      documentsQueueUrl: queues.documents.queue.queueUrl,
      discoveryQueueUrl: queues.discovery.queue.queueUrl,
      publicKeys: stage.telnyxPublicKeys.join(','),
    }),
    permissions: [sendTo(queues.documents.queue, queues.discovery.queue)],
    ...(stage.webhookConcurrency !== 'unreserved' && {
      reservedConcurrency: stage.webhookConcurrency,
    }),
  });
}

/** Lists documents at Telnyx, queues those that have no receipt, and writes contexts. */
function discover(scope: Construct, props: FunctionsProps): ArchiverFunction {
  const { stage, queues, bucket, dataKey, apiKeySecretArn, logKey } = props;
  const { discovery, spans, documents, backfill } = queues;
  const built = new ArchiverFunction(scope, 'Discover', {
    folder: 'discover',
    description: 'Finds documents at Telnyx that have no receipt and queues them, and records whose they are',
    timeoutMs: timeouts.discoverMs,
    memoryMiB: 512,
    logKey,
    environment: environmentFor(
      discoverSettings,
      stage,
      {
        bucketName: bucket.bucketName,
        bucketOwner: Stack.of(scope).account,
        documentsQueueUrl: documents.queue.queueUrl,
        backfillQueueUrl: backfill.queue.queueUrl,
        discoveryQueueUrl: discovery.queue.queueUrl,
        discoveryDeadLetterQueueUrl: discovery.deadLetters.queueUrl,
        spansQueueUrl: spans.queue.queueUrl,
        spansDeadLetterQueueUrl: spans.deadLetters.queueUrl,
        apiKeySecretArn,
        archiverName: stage.name,
        lowLaneInvocations: lowLaneInvocations(stage),
        version: packageJson.version,
      },
      ['telnyxUrl'],
    ),
    permissions: [
      receiveFrom(discovery.queue, spans.queue),
      // Includes spans: a span in the discovery queue is forwarded to its own queue.
      sendTo(documents.queue, backfill.queue, spans.queue, discovery.deadLetters, spans.deadLetters),
      // The existence of a key is enough; the function never reads an object.
      listKeys(bucket, archivePrefixes.receipts, archivePrefixes.contexts),
      createObjects(bucket, archivePrefixes.contexts),
      encryptForBucket(dataKey, bucket),
      ...readSecret(apiKeySecretArn, dataKey),
    ],
  });
  built.consume('Discovery', discovery.queue, concurrency.discovery);
  built.consume('Spans', spans.queue, concurrency.spans);
  return built;
}

/** Copies documents to the bucket and writes a receipt for each. */
function archive(scope: Construct, props: FunctionsProps): ArchiverFunction {
  const { stage, queues, bucket, dataKey, apiKeySecretArn, logKey } = props;
  const prefixes = [archivePrefixes.documents, archivePrefixes.receipts];
  const { documents, backfill } = queues;
  const built = new ArchiverFunction(scope, 'Archive', {
    folder: 'archive',
    description: 'Copies documents from Telnyx to the bucket and verifies each copy',
    timeoutMs: timeouts.archiveMs,
    // For CPU and network bandwidth; memory use does not grow with the size of documents.
    memoryMiB: 1_024,
    logKey,
    environment: environmentFor(
      archiveSettings,
      stage,
      {
        bucketName: bucket.bucketName,
        bucketOwner: Stack.of(scope).account,
        documentsQueueUrl: documents.queue.queueUrl,
        documentsDeadLetterQueueUrl: documents.deadLetters.queueUrl,
        backfillQueueUrl: backfill.queue.queueUrl,
        backfillDeadLetterQueueUrl: backfill.deadLetters.queueUrl,
        apiKeySecretArn,
        archiverName: stage.name,
        lowLaneInvocations: lowLaneInvocations(stage),
        version: packageJson.version,
      },
      // For the local stack only. With `trustedDownloadOrigin` the function would download from any address.
      ['telnyxUrl', 'trustedDownloadOrigin'],
    ),
    permissions: [
      receiveFrom(documents.queue, backfill.queue),
      sendTo(documents.deadLetters, backfill.deadLetters),
      detectMissingKeys(bucket, ...prefixes),
      readObjects(bucket, ...prefixes),
      createObjects(bucket, ...prefixes),
      useKeyForBuckets(dataKey, bucket),
      ...readSecret(apiKeySecretArn, dataKey),
    ],
  });
  built.consume('Documents', documents.queue, stage.documentsConcurrency);
  built.consume('Backfill', backfill.queue, stage.backfillConcurrency);
  return built;
}

/** Compares the whole archive every night, in parts, records what it finds, and updates the catalogue. */
function audit(scope: Construct, props: FunctionsProps): ArchiverFunction {
  const { stage, queues, bucket, catalogue, dataKey, apiKeySecretArn, logKey } = props;
  const { documents, receipts, manifests, audits } = archivePrefixes;
  const built = new ArchiverFunction(scope, 'Audit', {
    folder: 'audit',
    description: 'Compares the archive with Telnyx and its manifests every night, and reads part of it back',
    timeoutMs: timeouts.auditMs,
    // For CPU and network bandwidth: it hashes what it reads back. A part holds no object in memory.
    memoryMiB: 1_024,
    logKey,
    environment: environmentFor(
      auditSettings,
      { ...stage, fixityDays: stage.fixityDays === 'never' ? 0 : stage.fixityDays },
      {
        bucketName: bucket.bucketName,
        catalogueBucketName: catalogue.bucketName,
        bucketOwner: Stack.of(scope).account,
        auditQueueUrl: queues.audit.queue.queueUrl,
        auditDeadLetterQueueUrl: queues.audit.deadLetters.queueUrl,
        backfillQueueUrl: queues.backfill.queue.queueUrl,
        apiKeySecretArn,
        archiverName: stage.name,
        lowLaneInvocations: lowLaneInvocations(stage),
        version: packageJson.version,
      },
      ['telnyxUrl'],
    ),
    permissions: [
      receiveFrom(queues.audit.queue),
      // Its own queue, because the start of a run queues the parts.
      sendTo(queues.audit.queue, queues.audit.deadLetters, ...(stage.repair ? [queues.backfill.queue] : [])),
      listEverything(bucket),
      readObjects(bucket, ...Object.values(archivePrefixes)),
      readLocks(bucket, documents, receipts),
      createObjects(bucket, audits, manifests),
      ...rewriteCatalogue(catalogue),
      useKeyForBuckets(dataKey, bucket, catalogue),
      ...readSecret(apiKeySecretArn, dataKey),
    ],
  });
  // One part per invocation, because a part may take most of its time.
  built.consume('Audit', queues.audit.queue, concurrency.audit, 1);
  return built;
}

/** Invocations of all functions in low lanes, which share the part of Telnyx's rate limit that live work leaves. */
function lowLaneInvocations({ backfillConcurrency }: Stage): string {
  return String(backfillConcurrency + concurrency.spans + concurrency.audit);
}

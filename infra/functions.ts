/** The three functions: what each is told, and all that each may do. */
import { Stack } from 'aws-cdk-lib';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import type { Bucket } from 'aws-cdk-lib/aws-s3';
import { Construct } from 'constructs';
import { archiveSettings } from '../functions/archive/settings.ts';
import { discoverSettings } from '../functions/discover/settings.ts';
import { concurrency, timeouts } from '../functions/limits.ts';
import { webhookSettings } from '../functions/webhook/settings.ts';
import packageJson from '../package.json' with { type: 'json' };
import { ArchiverFunction } from './archiver-function.ts';
import { archivePrefixes } from './bucket.ts';
import { environmentFor } from './environment.ts';
import {
  createObjects,
  listKeys,
  readObjects,
  readSecret,
  receiveFrom,
  sendTo,
  tellMissingKeys,
  useKeyForBucket,
} from './permissions.ts';
import type { Queues } from './queues.ts';
import type { Stage } from './stage.ts';

export interface FunctionsProps {
  stage: Stage;
  queues: Queues;
  bucket: Bucket;
  /** Encrypts the bucket's objects and the secret. */
  dataKey: IKey;
  apiKeySecretArn: string;
  /** Encrypts the log groups. */
  logKey: IKey;
}

export class Functions extends Construct {
  readonly webhook: ArchiverFunction;
  readonly discover: ArchiverFunction;
  readonly archive: ArchiverFunction;

  constructor(scope: Construct, id: string, props: FunctionsProps) {
    super(scope, id);
    this.webhook = webhook(this, props);
    this.discover = discover(this, props);
    this.archive = archive(this, props);
  }
}

/** Verifies Telnyx's events and queues what they name. Holds no secret, and may do nothing but fill two queues. */
function webhook(scope: Construct, { stage, queues, logKey }: FunctionsProps): ArchiverFunction {
  return new ArchiverFunction(scope, 'Webhook', {
    folder: 'webhook',
    description: 'Verifies events of Telnyx and queues the documents and orders that they name',
    timeoutMs: timeouts.webhookMs,
    // CPU time comes with memory: Telnyx waits 2 s, a cold start included.
    memoryMiB: 1_024,
    logKey,
    environment: environmentFor(webhookSettings, stage, {
      archiverName: stage.name,
      documentsQueueUrl: queues.documents.queue.queueUrl,
      discoveryQueueUrl: queues.discovery.queue.queueUrl,
      publicKeys: stage.telnyxPublicKeys.join(','),
    }),
    mayDo: [sendTo(queues.documents.queue, queues.discovery.queue)],
    ...(stage.webhookConcurrency !== 'unreserved' && {
      functionProps: { reservedConcurrentExecutions: stage.webhookConcurrency },
    }),
  });
}

/** Asks Telnyx which documents there are, and queues those that have no receipt. */
function discover(scope: Construct, props: FunctionsProps): ArchiverFunction {
  const { stage, queues, bucket, dataKey, apiKeySecretArn, logKey } = props;
  const { discovery, spans, documents, backfill } = queues;
  const built = new ArchiverFunction(scope, 'Discover', {
    folder: 'discover',
    description: 'Finds documents at Telnyx that have no receipt, and queues them',
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
    mayDo: [
      receiveFrom(discovery.queue, spans.queue),
      // Spans, too: one that is found in the discovery queue is sent on.
      sendTo(documents.queue, backfill.queue, spans.queue, discovery.deadLetters, spans.deadLetters),
      // That a key is there says that a receipt is; it is never read.
      listKeys(bucket, archivePrefixes.receipts),
      ...readSecret(apiKeySecretArn, dataKey),
    ],
  });
  built.consume('Discovery', discovery.queue, concurrency.discovery);
  built.consume('Spans', spans.queue, concurrency.spans);
  return built;
}

/** Copies one document after the other into the bucket, and writes its receipt. */
function archive(scope: Construct, props: FunctionsProps): ArchiverFunction {
  const { stage, queues, bucket, dataKey, apiKeySecretArn, logKey } = props;
  const prefixes = [archivePrefixes.documents, archivePrefixes.receipts];
  const { documents, backfill } = queues;
  const built = new ArchiverFunction(scope, 'Archive', {
    folder: 'archive',
    description: 'Copies documents from Telnyx into the bucket and proves each copy exact',
    timeoutMs: timeouts.archiveMs,
    // Memory does not grow with the documents; network and CPU time come with it.
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
      // The second would take downloads from anywhere: it is for the local stack alone.
      ['telnyxUrl', 'trustedDownloadOrigin'],
    ),
    mayDo: [
      receiveFrom(documents.queue, backfill.queue),
      sendTo(documents.deadLetters, backfill.deadLetters),
      tellMissingKeys(bucket, ...prefixes),
      readObjects(bucket, ...prefixes),
      createObjects(bucket, ...prefixes),
      useKeyForBucket(dataKey, bucket),
      ...readSecret(apiKeySecretArn, dataKey),
    ],
  });
  built.consume('Documents', documents.queue, stage.documentsConcurrency);
  built.consume('Backfill', backfill.queue, stage.backfillConcurrency);
  return built;
}

/** Of both functions together: each leaves Telnyx's rate limit to live work with all of them in mind. */
function lowLaneInvocations({ backfillConcurrency }: Stage): string {
  return String(backfillConcurrency + concurrency.spans);
}

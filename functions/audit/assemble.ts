/** Builds the audit function from its settings and the services it talks to. Lambda, the local stack and tests use it. */
import type { S3Client } from '@aws-sdk/client-s3';
import type { SQSClient } from '@aws-sdk/client-sqs';
import { type CatalogueStore, createCatalogueBucket } from '../bucket/catalogue.ts';
import { ownedBy } from '../bucket/owned-by.ts';
import { createBucket } from '../bucket/store.ts';
import { createVersions } from '../bucket/versions.ts';
import type { HttpGet } from '../http.ts';
import { type RetryTimings, retryTimings } from '../limits.ts';
import { createLog } from '../log.ts';
import { createSender } from '../queue/send.ts';
import { createApiKey } from '../telnyx/api-key.ts';
import { createLaneClients } from '../telnyx/lane-clients.ts';
import type { Random, Time } from '../time.ts';
import { createAuditHandler } from './handler.ts';
import type { AuditSettings } from './settings.ts';

interface AuditServices {
  /** Resolves with the text of the API key's secret. */
  readSecret: () => Promise<string | undefined>;
  /** All requests leave half of Telnyx's rate limit to live work. */
  telnyxGet: HttpGet;
  s3: Pick<S3Client, 'send'>;
  sqs: Pick<SQSClient, 'send'>;
  /** Where the catalogue is stored. @default the bucket in the settings, if it is set */
  catalogue?: CatalogueStore;
  /** Receives one log line without its line break. */
  writeLog: (line: string) => void;
  time: Time;
  random: Random;
  /** @default `retryTimings` */
  timings?: RetryTimings;
}

export function assembleAudit(settings: AuditSettings, services: AuditServices) {
  const { readSecret, telnyxGet, sqs, writeLog, time, random } = services;
  const s3 = ownedBy(settings.bucketOwner, services.s3);
  const { lowLaneTelnyx: telnyx } = createLaneClients({
    baseUrl: settings.telnyxUrl,
    apiKey: createApiKey(readSecret, time),
    httpGet: telnyxGet,
    invocations: settings.lowLaneInvocations,
    time,
    random,
  });
  const { catalogueBucketName } = settings;
  const catalogueBucket =
    catalogueBucketName === undefined
      ? undefined
      : createCatalogueBucket({ s3, name: catalogueBucketName, time });
  const bucketOptions = { s3, name: settings.bucketName, time };
  return createAuditHandler({
    telnyx,
    s3,
    bucketName: settings.bucketName,
    bucket: createBucket(bucketOptions),
    versions: createVersions(bucketOptions),
    catalogue: services.catalogue ?? catalogueBucket,
    send: createSender(sqs),
    auditQueueUrl: settings.auditQueueUrl,
    backfillQueueUrl: settings.repair ? settings.backfillQueueUrl : undefined,
    fixityDays: settings.fixityDays,
    version: settings.version,
    lanes: [
      {
        name: 'audit',
        live: false,
        queueUrl: settings.auditQueueUrl,
        deadLetterQueueUrl: settings.auditDeadLetterQueueUrl,
      },
    ],
    sqs,
    timings: services.timings ?? retryTimings,
    log: createLog({ name: settings.archiverName, write: writeLog, now: time.now }),
    time,
    random,
  });
}

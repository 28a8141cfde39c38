/**
 * Builds the discover function from its settings and the services it talks to. Lambda, the local stack, tests and
 * benches all use it.
 */
import type { S3Client } from '@aws-sdk/client-s3';
import type { SQSClient } from '@aws-sdk/client-sqs';
import { ownedBy } from '../bucket/owned-by.ts';
import { createBucket } from '../bucket/store.ts';
import type { HttpGet } from '../http.ts';
import { type RetryTimings, retryTimings } from '../limits.ts';
import { createLog } from '../log.ts';
import { createSender } from '../queue/send.ts';
import { createApiKey } from '../telnyx/api-key.ts';
import { createLaneClients } from '../telnyx/lane-clients.ts';
import type { Random, Time } from '../time.ts';
import { createDiscoverHandler } from './handler.ts';
import type { DiscoverSettings } from './settings.ts';

interface DiscoverServices {
  /** Resolves with the text of the API key's secret. */
  readSecret: () => Promise<string | undefined>;
  telnyxGet: HttpGet;
  /** Telnyx requests for the spans lane. @default `telnyxGet` */
  lowLaneTelnyxGet?: HttpGet;
  s3: Pick<S3Client, 'send'>;
  sqs: Pick<SQSClient, 'send'>;
  /** Receives one log line without its line break. */
  writeLog: (line: string) => void;
  time: Time;
  random: Random;
  /** @default `retryTimings` */
  timings?: RetryTimings;
}

export function assembleDiscover(settings: DiscoverSettings, services: DiscoverServices) {
  const { readSecret, telnyxGet, lowLaneTelnyxGet, s3, sqs, writeLog, time, random } = services;
  return createDiscoverHandler({
    ...createLaneClients({
      baseUrl: settings.telnyxUrl,
      apiKey: createApiKey(readSecret, time),
      httpGet: telnyxGet,
      lowLaneHttpGet: lowLaneTelnyxGet,
      invocations: settings.lowLaneInvocations,
      time,
      random,
    }),
    bucket: createBucket({ s3: ownedBy(settings.bucketOwner, s3), name: settings.bucketName, time }),
    send: createSender(sqs),
    documentsQueueUrl: settings.documentsQueueUrl,
    backfillQueueUrl: settings.backfillQueueUrl,
    spansQueueUrl: settings.spansQueueUrl,
    version: settings.version,
    archiveInfected: settings.archiveInfected,
    maxDocumentBytes: settings.maxDocumentBytes,
    lanes: [
      {
        name: 'discovery',
        live: true,
        queueUrl: settings.discoveryQueueUrl,
        deadLetterQueueUrl: settings.discoveryDeadLetterQueueUrl,
      },
      {
        name: 'spans',
        live: false,
        queueUrl: settings.spansQueueUrl,
        deadLetterQueueUrl: settings.spansDeadLetterQueueUrl,
      },
    ],
    sqs,
    timings: services.timings ?? retryTimings,
    log: createLog({ name: settings.archiverName, write: writeLog, now: time.now }),
    time,
    random,
  });
}

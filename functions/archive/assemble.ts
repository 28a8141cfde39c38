/**
 * Builds the archive function from its settings and the services it talks to. Lambda, the local stack, tests and
 * benches all use it.
 */
import type { S3Client } from '@aws-sdk/client-s3';
import type { SQSClient } from '@aws-sdk/client-sqs';
import { ownedBy } from '../bucket/owned-by.ts';
import { createReceipts } from '../bucket/receipts.ts';
import { createBucket } from '../bucket/store.ts';
import type { HttpGet } from '../http.ts';
import { type RetryTimings, retryTimings } from '../limits.ts';
import { createLog } from '../log.ts';
import { createApiKey } from '../telnyx/api-key.ts';
import { createLaneClients } from '../telnyx/lane-clients.ts';
import type { Random, Time } from '../time.ts';
import { createDownload, createGuardedHttpGet } from './download.ts';
import { type ArchiveHandlerDependencies, createArchiveHandler } from './handler.ts';
import type { ArchiveSettings } from './settings.ts';

interface ArchiveServices {
  /** Resolves with the text of the API key's secret. */
  readSecret: () => Promise<string | undefined>;
  telnyxGet: HttpGet;
  /** Telnyx requests for the backfill lane. @default `telnyxGet` */
  lowLaneTelnyxGet?: HttpGet;
  /** Opens download links. @default the guarded client, which refuses private addresses */
  storageGet?: HttpGet;
  s3: Pick<S3Client, 'send'>;
  sqs: Pick<SQSClient, 'send'>;
  /** Receives one log line without its line break. */
  writeLog: (line: string) => void;
  time: Time;
  random: Random;
  /** @default `retryTimings` */
  timings?: RetryTimings;
}

export function assembleArchive(settings: ArchiveSettings, services: ArchiveServices) {
  return createArchiveHandler(createArchiveDependencies(settings, services));
}

/** What the handler and `archiveDocument` work with, for a caller that replaces or measures parts of it. */
export function createArchiveDependencies(
  settings: ArchiveSettings,
  services: ArchiveServices,
): ArchiveHandlerDependencies {
  const { readSecret, telnyxGet, lowLaneTelnyxGet, s3, sqs, writeLog, time, random } = services;
  const bucket = createBucket({ s3: ownedBy(settings.bucketOwner, s3), name: settings.bucketName, time });
  const policy = { hosts: settings.downloadHosts, trustedOrigin: settings.trustedDownloadOrigin?.origin };
  const storageGet = services.storageGet ?? createGuardedHttpGet(policy, settings.version, time.monotonic);
  return {
    ...createLaneClients({
      baseUrl: settings.telnyxUrl,
      apiKey: createApiKey(readSecret, time),
      httpGet: telnyxGet,
      lowLaneHttpGet: lowLaneTelnyxGet,
      invocations: settings.lowLaneInvocations,
      time,
      random,
    }),
    download: createDownload({ policy, httpGet: storageGet, time }),
    bucket,
    receipts: createReceipts(bucket),
    lanes: [
      {
        name: 'documents',
        live: true,
        queueUrl: settings.documentsQueueUrl,
        deadLetterQueueUrl: settings.documentsDeadLetterQueueUrl,
      },
      {
        name: 'backfill',
        live: false,
        queueUrl: settings.backfillQueueUrl,
        deadLetterQueueUrl: settings.backfillDeadLetterQueueUrl,
      },
    ],
    sqs,
    timings: services.timings ?? retryTimings,
    log: createLog({ name: settings.archiverName, write: writeLog, now: time.now }),
    time,
    random,
    archiveInfected: settings.archiveInfected,
    maxDocumentBytes: settings.maxDocumentBytes,
    version: settings.version,
  };
}

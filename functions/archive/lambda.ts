/** What Lambda starts: settings from the environment, clients built once per container, and the handler. */
import { createReceipts } from '../bucket/receipts.ts';
import { createS3Client } from '../bucket/s3-client.ts';
import { createBucket } from '../bucket/store.ts';
import { createAgents } from '../connections.ts';
import { createHttpGet } from '../http.ts';
import { retryTimings } from '../limits.ts';
import { createLog, standardOutput } from '../log.ts';
import { createSqsClient } from '../queue/sqs-client.ts';
import { createApiKey } from '../telnyx/api-key.ts';
import { createLaneClients } from '../telnyx/lane-clients.ts';
import { createSecretsClient, readSecretOf } from '../telnyx/secret.ts';
import { systemTime as time } from '../time.ts';
import { createDownload, createGuardedHttpGet } from './download.ts';
import { createArchiveHandler } from './handler.ts';
import { readArchiveSettings } from './settings.ts';
import { keepYoungGenerationSmall } from './young-generation.ts';

keepYoungGenerationSmall();
const settings = readArchiveSettings(process.env);
const bucket = createBucket({
  s3: createS3Client(),
  name: settings.bucketName,
  owner: settings.bucketOwner,
  time,
});
const policy = { hosts: settings.downloadHosts, trustedOrigin: settings.trustedDownloadOrigin?.origin };

export const handler = createArchiveHandler({
  ...createLaneClients({
    baseUrl: settings.telnyxUrl,
    apiKey: createApiKey(readSecretOf(createSecretsClient(), settings.apiKeySecretArn), time),
    httpGet: createHttpGet(createAgents(), settings.version),
    invocations: settings.lowLaneInvocations,
    time,
    random: Math.random,
  }),
  download: createDownload({ policy, httpGet: createGuardedHttpGet(policy, settings.version), time }),
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
  sqs: createSqsClient(),
  timings: retryTimings,
  log: createLog({ name: settings.archiverName, write: standardOutput, now: time.now }),
  time,
  random: Math.random,
  archiveInfected: settings.archiveInfected,
  maxDocumentBytes: settings.maxDocumentBytes,
  version: settings.version,
});

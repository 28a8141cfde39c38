/** What Lambda starts: settings from the environment, clients built once per container, and the handler. */
import { createS3Client } from '../bucket/s3-client.ts';
import { createBucket } from '../bucket/store.ts';
import { createAgents } from '../connections.ts';
import { createHttpGet } from '../http.ts';
import { retryTimings } from '../limits.ts';
import { createLog, standardOutput } from '../log.ts';
import { createSender } from '../queue/send.ts';
import { createSqsClient } from '../queue/sqs-client.ts';
import { createApiKey } from '../telnyx/api-key.ts';
import { createLaneClients } from '../telnyx/lane-clients.ts';
import { createSecretsClient, readSecretOf } from '../telnyx/secret.ts';
import { systemTime as time } from '../time.ts';
import { createDiscoverHandler } from './handler.ts';
import { readDiscoverSettings } from './settings.ts';

const settings = readDiscoverSettings(process.env);
const sqs = createSqsClient();

export const handler = createDiscoverHandler({
  ...createLaneClients({
    baseUrl: settings.telnyxUrl,
    apiKey: createApiKey(readSecretOf(createSecretsClient(), settings.apiKeySecretArn), time),
    httpGet: createHttpGet(createAgents(), settings.version),
    invocations: settings.lowLaneInvocations,
    time,
    random: Math.random,
  }),
  bucket: createBucket({
    s3: createS3Client(),
    name: settings.bucketName,
    owner: settings.bucketOwner,
    time,
  }),
  send: createSender(sqs),
  documentsQueueUrl: settings.documentsQueueUrl,
  backfillQueueUrl: settings.backfillQueueUrl,
  spansQueueUrl: settings.spansQueueUrl,
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
  timings: retryTimings,
  log: createLog({ name: settings.archiverName, write: standardOutput, now: time.now }),
  time,
  random: Math.random,
});

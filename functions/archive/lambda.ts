/** Entry point on Lambda: reads the settings from the environment and creates the clients once per container. */
import { createS3Client } from '../bucket/s3-client.ts';
import { createAgents } from '../connections.ts';
import { createHttpGet } from '../http.ts';
import { standardOutput } from '../log.ts';
import { createSqsClient } from '../queue/sqs-client.ts';
import { createSecretsClient, readSecretOf } from '../telnyx/secret.ts';
import { systemTime as time } from '../time.ts';
import { assembleArchive } from './assemble.ts';
import { readArchiveSettings } from './settings.ts';
import { keepYoungGenerationSmall } from './young-generation.ts';

keepYoungGenerationSmall();
const settings = readArchiveSettings(process.env);

export const handler = assembleArchive(settings, {
  readSecret: readSecretOf(createSecretsClient(), settings.apiKeySecretArn),
  telnyxGet: createHttpGet(createAgents(), settings.version),
  s3: createS3Client(),
  sqs: createSqsClient(),
  writeLog: standardOutput,
  time,
  random: Math.random,
});

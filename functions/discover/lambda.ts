/** Lambda's entry point: reads the settings from the environment, creates each client once per container, exports `handler`. */
import { createS3Client } from '../bucket/s3-client.ts';
import { createAgents } from '../connections.ts';
import { createHttpGet } from '../http.ts';
import { standardOutput } from '../log.ts';
import { createSqsClient } from '../queue/sqs-client.ts';
import { createSecretsClient, readSecretOf } from '../telnyx/secret.ts';
import { systemTime as time } from '../time.ts';
import { assembleDiscover } from './assemble.ts';
import { readDiscoverSettings } from './settings.ts';

const settings = readDiscoverSettings(process.env);

export const handler = assembleDiscover(settings, {
  readSecret: readSecretOf(createSecretsClient(), settings.apiKeySecretArn),
  telnyxGet: createHttpGet(createAgents(), settings.version),
  s3: createS3Client(),
  sqs: createSqsClient(),
  writeLog: standardOutput,
  time,
  random: Math.random,
});

/** Lambda's entry point: reads the settings from the environment, creates each client once per container, exports `handler`. */
import { createS3Client } from '../bucket/s3-client.ts';
import { createAgents } from '../connections.ts';
import { createHttpGet } from '../http.ts';
import { standardOutput } from '../log.ts';
import { createSqsClient } from '../queue/sqs-client.ts';
import { createSecretsClient, readSecretOf } from '../telnyx/secret.ts';
import { systemTime as time } from '../time.ts';
import { assembleAudit } from './assemble.ts';
import { readAuditSettings } from './settings.ts';

const settings = readAuditSettings(process.env);

export const handler = assembleAudit(settings, {
  readSecret: readSecretOf(createSecretsClient(), settings.apiKeySecretArn),
  telnyxGet: createHttpGet(createAgents(), settings.version),
  s3: createS3Client(),
  sqs: createSqsClient(),
  writeLog: standardOutput,
  time,
  random: Math.random,
});

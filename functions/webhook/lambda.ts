/** What Lambda loads: settings from the environment, the SQS client built once per container, and the handler. */
import { standardOutput } from '../log.ts';
import { createSqsClient } from '../queue/sqs-client.ts';
import { systemTime as time } from '../time.ts';
import { assembleWebhook } from './assemble.ts';
import { readWebhookSettings } from './settings.ts';

export const handler = assembleWebhook(readWebhookSettings(process.env), {
  sqs: createSqsClient(),
  writeLog: standardOutput,
  time,
});

/** The entry point for Lambda: reads the settings from the environment and creates one SQS client per container. */
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

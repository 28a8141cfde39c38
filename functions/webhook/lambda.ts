/** What Lambda starts: settings from the environment, the SQS client built once per container, and the handler. */
import { createLog, standardOutput } from '../log.ts';
import { createSender } from '../queue/send.ts';
import { createSqsClient } from '../queue/sqs-client.ts';
import { systemTime as time } from '../time.ts';
import { createWebhookHandler } from './handler.ts';
import { readWebhookSettings } from './settings.ts';

const settings = readWebhookSettings(process.env);

export const handler = createWebhookHandler({
  ...settings,
  send: createSender(createSqsClient()),
  log: createLog({ name: settings.archiverName, write: standardOutput, now: time.now }),
  time,
});

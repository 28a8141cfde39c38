/**
 * Builds the webhook function from its settings and the services it talks to. Lambda, the local stack, tests and benches
 * all use it.
 */
import type { SQSClient } from '@aws-sdk/client-sqs';
import { createLog } from '../log.ts';
import { createSender } from '../queue/send.ts';
import type { Time } from '../time.ts';
import { createWebhookHandler } from './handler.ts';
import type { WebhookSettings } from './settings.ts';

interface WebhookServices {
  sqs: Pick<SQSClient, 'send'>;
  /** Receives one log line without its line break. */
  writeLog: (line: string) => void;
  time: Time;
}

export function assembleWebhook(settings: WebhookSettings, { sqs, writeLog, time }: WebhookServices) {
  return createWebhookHandler({
    publicKeys: settings.publicKeys,
    documentsQueueUrl: settings.documentsQueueUrl,
    discoveryQueueUrl: settings.discoveryQueueUrl,
    send: createSender(sqs),
    log: createLog({ name: settings.archiverName, write: writeLog, now: time.now }),
    time,
  });
}

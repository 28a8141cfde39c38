/** Assembles the webhook function from its settings and the services that it uses, for Lambda, `local/` and tests. */
import type { SQSClient } from '@aws-sdk/client-sqs';
import { createLog } from '../log.ts';
import { createSender } from '../queue/send.ts';
import type { Time } from '../time.ts';
import { createWebhookHandler } from './handler.ts';
import type { WebhookSettings } from './settings.ts';

interface WebhookNeighbours {
  sqs: Pick<SQSClient, 'send'>;
  /** Writes one log line, given without its line break. */
  writeLog: (line: string) => void;
  time: Time;
}

export function assembleWebhook(settings: WebhookSettings, { sqs, writeLog, time }: WebhookNeighbours) {
  return createWebhookHandler({
    publicKeys: settings.publicKeys,
    documentsQueueUrl: settings.documentsQueueUrl,
    discoveryQueueUrl: settings.discoveryQueueUrl,
    send: createSender(sqs),
    log: createLog({ name: settings.archiverName, write: writeLog, now: time.now }),
    time,
  });
}

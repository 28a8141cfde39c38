import { type Environment, list, queueUrl, readSettings, text } from '../settings.ts';
import { readPublicKeys } from './verify.ts';

/** Settings of the webhook function. `infra/` passes exactly these variables. None of them is secret. */
export const webhookSettings = {
  /** The archiver's name: its metrics are in the namespace `TelnyxArchiver/<name>`. */
  archiverName: { variable: 'ARCHIVER_NAME', read: text },
  documentsQueueUrl: { variable: 'DOCUMENTS_QUEUE_URL', read: queueUrl },
  discoveryQueueUrl: { variable: 'DISCOVERY_QUEUE_URL', read: queueUrl },
  /** Telnyx's public keys, comma-separated. Without any, every request gets 503: verification is never skipped. */
  publicKeys: {
    variable: 'TELNYX_PUBLIC_KEYS',
    read: (value: string) => readPublicKeys(list(value)),
    fallback: [],
  },
};

export type WebhookSettings = ReturnType<typeof readWebhookSettings>;

export function readWebhookSettings(environment: Environment) {
  return readSettings(webhookSettings, environment);
}

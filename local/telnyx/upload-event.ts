/** Event that the stand-in sends for an upload. Telnyx does not document such an event, but may send one. */
import { randomUUID } from 'node:crypto';
import type { Time } from '../../functions/time.ts';
import { type Document, recordOf } from './documents.ts';
import { type SigningKey, signedHeaders } from './signing.ts';

export function uploadEvent(document: Document, now: number): Buffer {
  const event = {
    record_type: 'event',
    event_type: 'document.uploaded',
    id: randomUUID(),
    occurred_at: new Date(now).toISOString(),
    payload: recordOf(document),
  };
  return Buffer.from(JSON.stringify({ data: event, meta: { attempt: 1 } }));
}

/** Delivers an event once; sweeps find documents of failed deliveries. @throws Error if the response is not 200 */
export async function postEvent(
  body: Buffer,
  webhookUrl: string,
  key: SigningKey,
  time: Time,
): Promise<void> {
  const headers = signedHeaders(body, time.now() / 1_000, key);
  const response = await fetch(webhookUrl, { method: 'POST', headers, body: new Uint8Array(body) });
  await response.arrayBuffer();
  if (response.status !== 200) throw new Error(`the webhook returned ${response.status}`);
}

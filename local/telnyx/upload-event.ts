/** The event with which the stand-in announces an upload. Telnyx documents none today; it may come to send one. */
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

/** One delivery; the sweep finds what it does not bring. @throws Error where it is not answered with 200 */
export async function postEvent(
  body: Buffer,
  webhookUrl: string,
  key: SigningKey,
  time: Time,
): Promise<void> {
  const headers = signedHeaders(body, time.now() / 1_000, key);
  const answer = await fetch(webhookUrl, { method: 'POST', headers, body: new Uint8Array(body) });
  await answer.arrayBuffer();
  if (answer.status !== 200) throw new Error(`the webhook answered ${answer.status}`);
}

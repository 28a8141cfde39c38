/**
 * A steady load of genuine events on the local webhook port: `node bench/webhook-load.ts [events per second] [seconds]`.
 * Each names a document of its own, so afterwards it is known whether every 200 stands in the queue.
 * Sender, webhook and SQS share this one process.
 */
import { randomUUID } from 'node:crypto';
import { Agent, request } from 'node:http';
import { DeleteMessageBatchCommand, ReceiveMessageCommand, type SQSClient } from '@aws-sdk/client-sqs';
import { timeouts } from '../functions/limits.ts';
import { createLog } from '../functions/log.ts';
import { parseDocumentMessage } from '../functions/queue/messages.ts';
import { createSender } from '../functions/queue/send.ts';
import { sleep, systemTime as time } from '../functions/time.ts';
import { createWebhookHandler } from '../functions/webhook/handler.ts';
import { readPublicKeys } from '../functions/webhook/verify.ts';
import { startQueues } from '../local/queues.ts';
import { createSigningKey, signedHeaders } from '../local/signing.ts';
import { openWebhookPort } from '../local/webhook-port.ts';

const perSecond = Number(process.argv[2] ?? 300);
const seconds = Number(process.argv[3] ?? 30);

const queues = await startQueues();
const client = queues.createClient();
const key = createSigningKey();
const { documents, discovery } = queues.lanes;
const port = await openWebhookPort({
  handler: createWebhookHandler({
    publicKeys: readPublicKeys([key.publicKey]),
    documentsQueueUrl: documents.queueUrl,
    discoveryQueueUrl: discovery.queueUrl,
    send: createSender(client),
    log: createLog({ write: () => undefined, now: time.now }),
    time,
  }),
  timeoutMs: timeouts.webhookMs,
  time,
});
const agent = new Agent({ keepAlive: true });
try {
  const answers: Promise<{ documentId: string; status: number; ms: number }>[] = [];
  const began = time.monotonic();
  // What is due by the clock is sent, however slowly the answers come.
  for (const total = perSecond * seconds; answers.length < total; await sleep(time, 5)) {
    const due = Math.min(total, Math.floor(((time.monotonic() - began) / 1_000) * perSecond));
    while (answers.length < due) answers.push(post(randomUUID()));
  }
  const settled = await Promise.all(answers);
  const tookMs = time.monotonic() - began;

  const queued = await drain(client, documents.queueUrl);
  const accepted = settled.filter(({ status }) => status === 200);
  const missing = accepted.filter(({ documentId }) => !queued.has(documentId));
  const ms = settled.map((answer) => answer.ms).toSorted((a, b) => a - b);
  const at = (share: number) => ms[Math.min(ms.length - 1, Math.floor(share * ms.length))]?.toFixed(1);
  const byStatus = Map.groupBy(settled, ({ status }) => status);
  console.log(
    `${settled.length} events in ${(tookMs / 1_000).toFixed(1)} s: ${[...byStatus].map(([status, same]) => `${same.length} × ${status}`).join(', ')}`,
  );
  console.log(`Answered after: median ${at(0.5)} ms, p99 ${at(0.99)} ms, slowest ${at(1)} ms`);
  console.log(
    `In the queue: ${queued.size} documents. Accepted, but missing from the queue: ${missing.length}`,
  );
  process.exitCode = missing.length === 0 && accepted.length === settled.length ? 0 : 1;
} finally {
  agent.destroy();
  client.destroy();
  await port.close();
  await queues.close();
}

/** Status 0 where no answer came. */
function post(documentId: string): Promise<{ documentId: string; status: number; ms: number }> {
  const occurred_at = new Date(time.now()).toISOString();
  const body = Buffer.from(
    JSON.stringify({
      data: {
        record_type: 'event',
        event_type: 'document.uploaded',
        id: randomUUID(),
        occurred_at,
        payload: { record_type: 'document', id: documentId },
      },
    }),
  );
  const began = time.monotonic();
  return new Promise((resolve) => {
    const end = (status: number) => resolve({ documentId, status, ms: time.monotonic() - began });
    const headers = signedHeaders(body, time.now() / 1_000, key);
    const call = request(port.url, { method: 'POST', headers, agent }, (response) => {
      response.resume().on('end', () => end(response.statusCode ?? 0));
    });
    call.on('error', () => end(0)).end(body);
  });
}

/** The ids of all documents in the queue, which is empty afterwards. */
async function drain(sqs: SQSClient, queueUrl: string): Promise<Set<string>> {
  const ids = new Set<string>();
  for (;;) {
    const { Messages = [] } = await sqs.send(
      new ReceiveMessageCommand({ QueueUrl: queueUrl, MaxNumberOfMessages: 10 }),
    );
    if (Messages.length === 0) return ids;
    for (const { Body = '' } of Messages) ids.add(parseDocumentMessage(Body, new Date(0)).documentId);
    const Entries = Messages.map(({ ReceiptHandle }, position) => ({ Id: String(position), ReceiptHandle }));
    await sqs.send(new DeleteMessageBatchCommand({ QueueUrl: queueUrl, Entries }));
  }
}

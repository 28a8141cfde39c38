/**
 * Process that serves webhooks. `server.ts webhook` runs the function behind the local port, with SQS in another process;
 * `server.ts bare` only returns 200. The first message is its `Setup`.
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { timeouts } from '../../functions/limits.ts';
import { createSqsClient } from '../../functions/queue/sqs-client.ts';
import { systemTime as time } from '../../functions/time.ts';
import { assembleWebhook } from '../../functions/webhook/assemble.ts';
import { readPublicKeys } from '../../functions/webhook/verify.ts';
import { openWebhookPort } from '../../local/lambda/webhook-port.ts';

export interface Setup {
  queueOrigin: string;
  publicKey: string;
}

const [setup] = (await once(process, 'message')) as [Setup];
process.send?.(process.argv[2] === 'webhook' ? await openWebhook(setup) : await openBare());
let before = process.cpuUsage();
process.on('message', () => {
  const { user, system } = process.cpuUsage(before);
  before = process.cpuUsage();
  process.send?.((user + system) / 1_000);
});
process.on('disconnect', () => process.exit());

async function openWebhook({ queueOrigin, publicKey }: Setup): Promise<string> {
  const sqs = createSqsClient({
    endpoint: queueOrigin,
    region: 'us-east-1',
    credentials: { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'a-secret-of-the-bench' },
  });
  const { url } = await openWebhookPort({
    handler: assembleWebhook(
      {
        archiverName: 'bench',
        publicKeys: readPublicKeys([publicKey]),
        documentsQueueUrl: `${queueOrigin}/000000000000/documents`,
        discoveryQueueUrl: `${queueOrigin}/000000000000/discovery`,
      },
      { sqs, writeLog: () => undefined, time },
    ),
    timeoutMs: timeouts.webhookMs,
    time,
  });
  return url;
}

async function openBare(): Promise<string> {
  const server = createServer((request, response) => {
    request.resume().on('end', () => response.writeHead(200, { 'content-length': 0 }).end());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/webhook`;
}

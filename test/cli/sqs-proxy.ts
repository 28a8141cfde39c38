/** An HTTP proxy in front of the local SQS, for one test. Refuses entries of a batch as SQS does, or delays responses. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import * as sqs from '@aws-sdk/client-sqs';
import { onTestFinished } from 'vitest';
import type { LocalQueues } from '../../local/queues.ts';

export interface SqsProxyOptions {
  /** The operation to change, such as `SendMessageBatch`. */
  operation: string;
  /**
   * Whether to refuse an entry of its batches. SQS then returns 200 with the entry in `Failed`.
   *
   * @param position in the batch
   * @default none
   */
  refuses?: (position: number) => boolean;
  /** Milliseconds to wait before forwarding. @default 0 */
  delayMs?: number;
  /** Called when a request for the operation arrives. */
  onRequest?: () => void;
  /** Whether to close the connection after SQS has processed the request, so that the response is lost. @default false */
  losesResponse?: boolean;
}

interface Batch {
  Entries: { Id: string }[];
}

/** @returns the origin of the proxy, whose requests to SQS are signed anew */
export async function startSqsProxy(
  queues: LocalQueues,
  { operation, refuses = () => false, delayMs = 0, losesResponse = false, onRequest }: SqsProxyOptions,
): Promise<string> {
  const client = queues.createClient();
  const forward = async (target: string, body: string) => {
    const Command = Reflect.get(sqs, `${target}Command`) as typeof sqs.SendMessageBatchCommand;
    try {
      const { $metadata: _, ...output } = await client.send(new Command(JSON.parse(body)));
      return { status: 200, body: JSON.stringify(output) };
    } catch (error) {
      if (!(error instanceof sqs.SQSServiceException)) throw error;
      const { name, message, $metadata } = error;
      return { status: $metadata.httpStatusCode ?? 500, body: JSON.stringify({ __type: name, message }) };
    }
  };
  const server = createServer(async (request, response) => {
    const body = await text(request);
    const target = String(request.headers['x-amz-target']).replace('AmazonSQS.', '');
    const send = ({ status, body: answer }: { status: number; body: string }) => {
      response.writeHead(status, { 'content-type': 'application/x-amz-json-1.0' });
      response.end(answer);
    };
    if (target !== operation) {
      send(await forward(target, body));
      return;
    }
    onRequest?.();
    if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs));
    const input: Partial<Batch> = JSON.parse(body);
    const refused = input.Entries?.filter((_, position) => refuses(position)) ?? [];
    const accepted = input.Entries?.filter((entry) => !refused.includes(entry));
    // SQS does not accept a batch without entries.
    const answer =
      accepted?.length === 0
        ? { status: 200, body: '{"Successful":[]}' }
        : await forward(target, JSON.stringify({ ...input, ...(accepted && { Entries: accepted }) }));
    if (losesResponse) {
      request.socket.destroy();
      return;
    }
    const failed = refused.map(({ Id }) => ({ Id, SenderFault: false, Code: 'InternalError' }));
    send(
      failed.length === 0
        ? answer
        : { ...answer, body: JSON.stringify({ ...JSON.parse(answer.body), Failed: failed }) },
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    client.destroy();
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

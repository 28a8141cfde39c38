/** Process with a minimal SQS for senders: accepts every message and reports the number of distinct documents. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';

const documents = new Set<string>();
const server = createServer(async (request, response) => {
  const { Entries } = JSON.parse((await buffer(request)).toString('utf8'));
  const Successful = (Entries as { Id: string; MessageBody: string }[]).map(({ Id, MessageBody }) => {
    documents.add(JSON.parse(MessageBody).documentId);
    const MD5OfMessageBody = createHash('md5').update(MessageBody).digest('hex');
    return { Id, MessageId: Id, MD5OfMessageBody };
  });
  const body = Buffer.from(JSON.stringify({ Successful, Failed: [] }));
  response.writeHead(200, { 'content-type': 'application/x-amz-json-1.0', 'content-length': body.length });
  response.end(body);
});
server.keepAliveTimeout = 600_000;
server.listen(0, '127.0.0.1');
await once(server, 'listening');
process.send?.(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
process.on('message', () => process.send?.(documents.size));
process.on('disconnect', () => process.exit());

/**
 * Process that serves Telnyx and its storage: `/v2/documents/<id>`, its `/download_link`, and `/storage/<id>`. Serves POST
 * requests as Secrets Manager with the API key.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { digestOf, piecesOf, sizeOf } from './contents.ts';
import { serve } from './serve.ts';

await serve((request: IncomingMessage, response: ServerResponse) => {
  if (request.method === 'POST') {
    const secret = Buffer.from(JSON.stringify({ Name: 'api-key', SecretString: 'KEY0123456789ABCDEF' }));
    response.writeHead(200, {
      'content-type': 'application/x-amz-json-1.1',
      'content-length': secret.length,
    });
    request.resume().on('end', () => response.end(secret));
    return;
  }
  const [, root, ...path] = (request.url ?? '').split('/');
  const id = (root === 'v2' ? path[1] : path[0]) ?? '';
  const bytes = sizeOf(id);
  if (root === 'storage') {
    response.writeHead(200, { 'content-length': bytes, 'content-type': 'application/pdf' });
    Readable.from(piecesOf(bytes)).pipe(response);
    return;
  }
  const { host } = request.headers;
  const scheme = 'encrypted' in request.socket ? 'https' : 'http';
  const data =
    path[2] === 'download_link'
      ? { url: `${scheme}://${host}/storage/${id}` }
      : {
          id,
          record_type: 'document',
          created_at: '2026-11-24T00:00:00Z',
          filename: 'Letter of authorisation.pdf',
          content_type: 'application/pdf',
          sha256: digestOf(bytes),
          size: { unit: 'bytes', amount: bytes },
          status: 'verified',
          av_scan_status: 'scanned',
        };
  const body = Buffer.from(JSON.stringify({ data }));
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length });
  response.end(body);
});

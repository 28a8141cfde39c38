/**
 * Process with a minimal S3 that does as little work as possible: it discards the body of a PUT, stores its key and
 * returns the checksum header unverified. HEAD returns whether a key exists. Multipart uploads are for the peers.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { serve } from './serve.ts';

const keys = new Set<string>();
const etag = '"0123456789abcdef0123456789abcdef"';

await serve((request: IncomingMessage, response: ServerResponse) => {
  const [path = '', query = ''] = (request.url ?? '').split('?');
  const checksum = request.headers['x-amz-checksum-sha256'];
  if (request.method !== 'PUT' && request.method !== 'POST') {
    request.resume();
    response.writeHead(keys.has(path) ? 200 : 404, { 'content-length': 0 });
    response.end();
    return;
  }
  request.resume().on('end', () => {
    keys.add(path);
    const body = request.method === 'POST' ? multipartResponse(query) : '';
    response.writeHead(200, {
      etag,
      ...(checksum === undefined ? {} : { 'x-amz-checksum-sha256': checksum }),
      ...(body === '' ? {} : { 'content-type': 'application/xml' }),
      'content-length': Buffer.byteLength(body),
    });
    response.end(body);
  });
});

function multipartResponse(query: string): string {
  const name = query.startsWith('uploads')
    ? 'InitiateMultipartUploadResult'
    : 'CompleteMultipartUploadResult';
  return `<?xml version="1.0" encoding="UTF-8"?><${name} xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Bucket>archive</Bucket><UploadId>1</UploadId><ETag>&quot;${etag.slice(1, -1)}&quot;</ETag></${name}>`;
}

import { createServer, type IncomingHttpHeaders } from 'node:http';
import { Agent } from 'node:https';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { Readable } from 'node:stream';
import { expect, it, onTestFinished } from 'vitest';
import { createGuardedHttpGet } from '../functions/archive/download.ts';
import { createAgents } from '../functions/connections.ts';
import { createHttpGet, readBody } from '../functions/http.ts';

it('rejects a plain HTTP request if there is no agent for it', async () => {
  const httpGet = createHttpGet({ https: new Agent() }, '0.0.0-test');

  const response = httpGet(new URL('http://127.0.0.1:9/'), {
    headers: {},
    signal: new AbortController().signal,
  });

  await expect(response).rejects.toThrow('Plain HTTP is not allowed. Use https.');
});

it.each(['Telnyx', 'the storage'])('sends the name and version of the archiver to %s', async (service) => {
  const seen: IncomingHttpHeaders[] = [];
  const server = createServer((request, response) => {
    seen.push(request.headers);
    response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const httpGet =
    service === 'Telnyx'
      ? createHttpGet(createAgents(), '1.2.3')
      : createGuardedHttpGet({ hosts: [], trustedOrigin: origin }, '1.2.3');

  const { body } = await httpGet(new URL(origin), {
    headers: { accept: 'text/plain' },
    signal: new AbortController().signal,
  });
  body.destroy();

  expect(seen).toMatchObject([{ 'user-agent': 'telnyx-document-archiver/1.2.3', accept: 'text/plain' }]);
});

it.each([
  ['http', 'HPE_INVALID_CONSTANT'],
  ['https', 'EPROTO'],
])(
  'rejects an invalid response over %s without its bytes, which may contain a presigned URL',
  async (protocol, code) => {
    const server = createTcpServer((socket) => socket.end('GET /?X-Amz-Signature=1\r\n\r\n'));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void server.close());
    const httpGet = createHttpGet(createAgents(), '1.2.3');
    const { port } = server.address() as AddressInfo;

    const response = httpGet(new URL(`${protocol}://127.0.0.1:${port}`), {
      headers: {},
      signal: new AbortController().signal,
    });

    const error = await response.catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code });
    expect(error).not.toHaveProperty('rawPacket');
  },
);

it('connects to an https URL through the agent for https', async () => {
  const refusal = new Error('The agent does not know this host.');
  const https = new Agent({ lookup: (_host, _options, callback) => callback(refusal, '') });

  const response = createHttpGet({ https }, '1.2.3')(new URL('https://telnyx.example'), {
    headers: {},
    signal: new AbortController().signal,
  });

  await expect(response).rejects.toBe(refusal);
});

it('reads a body of exactly the largest size', async () => {
  const body = await readBody(Readable.from([Buffer.from('abc'), Buffer.from('de')]), 5);

  expect(String(body)).toBe('abcde');
});

it('rejects a larger body as soon as it is too large, and destroys it', async () => {
  const body = Readable.from([Buffer.from('abc'), Buffer.from('def'), Buffer.from('ghi')]);

  await expect(readBody(body, 5)).rejects.toThrow(new RangeError('The body is larger than 5 bytes.'));

  expect(body.destroyed).toBe(true);
});

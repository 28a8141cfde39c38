import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { systemTime } from '../../functions/time.ts';
import { openAccount } from '../../local/telnyx-account.ts';

const never = new AbortController().signal;

async function accountAt(listener: RequestListener) {
  const server = createServer(listener);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/v2`);
  return { url, account: openAccount(url, 'KEY0123456789', 'test', systemTime) };
}

const answering =
  (status: number, body: string): RequestListener =>
  (_request, response) =>
    response.writeHead(status, { 'content-type': 'application/json' }).end(body);

it.each<[string, number, string, string, string]>([
  ['a wrong key', 401, '{"errors":[{"code":"10009"}]}', 'ApiKeyRejected', 'TELNYX_API_KEY.'],
  ['a key without permission', 403, '{"errors":[{"code":"10010"}]}', 'ApiKeyForbidden', 'TELNYX_API_KEY.'],
  ['a firewall', 403, '<html>', 'TelnyxUnavailable', 'and the network.'],
  ['another service', 200, '{"hello":1}', 'UnexpectedResponse', 'and the network.'],
])('is refused for %s, with the code and where to look', async (_what, status, body, code, hint) => {
  const { account } = await accountAt(answering(status, body));

  await expect(account.check(never)).rejects.toMatchObject({
    code,
    message: expect.stringMatching(new RegExp(`^[^\\n]*${hint}$`)),
  });
});

it('is refused when nobody listens at its address', async () => {
  const account = openAccount(new URL('http://127.0.0.1:9/v2'), 'KEY0123456789', 'test', systemTime);

  await expect(account.check(never)).rejects.toMatchObject({
    code: 'TelnyxUnavailable',
    message: expect.stringContaining('Check --telnyx http://127.0.0.1:9/v2 and the network.'),
  });
});

it.each([
  ['documents', 200, '{"data":[]}'],
  ['a rate limit', 429, '{"errors":[{"code":"10011"}]}'],
])('passes when Telnyx responds with %s to one request', async (_what, status, body) => {
  let requests = 0;
  const { account } = await accountAt((request, response) => {
    requests += 1;
    answering(status, body)(request, response);
  });

  await account.check(never);

  expect(requests).toBe(1);
});

it('states the file name of a document, and nothing for one that is gone', async () => {
  const id = '5a3b1e00-0000-4000-8000-000000000001';
  const { account } = await accountAt((request, response) => {
    const isKnown = request.url?.endsWith(id);
    answering(
      isKnown ? 200 : 404,
      isKnown ? JSON.stringify({ data: { id, filename: 'a.pdf' } }) : '{"errors":[{"code":"10005"}]}',
    )(request, response);
  });

  expect(await account.fileNameOf(id, never)).toBe('a.pdf');
  expect(await account.fileNameOf(id.replace(/1$/, '2'), never)).toBeUndefined();
});

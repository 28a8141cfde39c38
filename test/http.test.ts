import { createServer, type IncomingHttpHeaders } from 'node:http';
import { Agent } from 'node:https';
import type { AddressInfo } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { createGuardedHttpGet } from '../functions/archive/download.ts';
import { createAgents } from '../functions/connections.ts';
import { createHttpGet } from '../functions/http.ts';

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

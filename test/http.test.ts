import { createServer, type IncomingHttpHeaders } from 'node:http';
import { Agent } from 'node:https';
import type { AddressInfo } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { createGuardedHttpGet } from '../functions/archive/download.ts';
import { createAgents } from '../functions/connections.ts';
import { createHttpGet } from '../functions/http.ts';

it('Without an agent for plain HTTP nothing is asked for in clear.', async () => {
  const httpGet = createHttpGet({ https: new Agent() }, '0.0.0-test');

  const asked = httpGet(new URL('http://127.0.0.1:9/'), {
    headers: {},
    signal: new AbortController().signal,
  });

  await expect(asked).rejects.toThrow('Only https is spoken here.');
});

it.each(['Telnyx', 'the storage'])(
  'A request to %s names the archiver and its version.',
  async (neighbour) => {
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
      neighbour === 'Telnyx'
        ? createHttpGet(createAgents(), '1.2.3')
        : createGuardedHttpGet({ hosts: [], trustedOrigin: origin }, '1.2.3');

    const { body } = await httpGet(new URL(origin), {
      headers: { accept: 'text/plain' },
      signal: new AbortController().signal,
    });
    body.destroy();

    expect(seen).toMatchObject([{ 'user-agent': 'telnyx-document-archiver/1.2.3', accept: 'text/plain' }]);
  },
);

import { Agent } from 'node:https';
import { expect, it } from 'vitest';
import { createHttpGet } from '../functions/http.ts';

it('Without an agent for plain HTTP nothing is asked for in clear.', async () => {
  const httpGet = createHttpGet({ https: new Agent() });

  const asked = httpGet(new URL('http://127.0.0.1:9/'), {
    headers: {},
    signal: new AbortController().signal,
  });

  await expect(asked).rejects.toThrow('Only https is spoken here.');
});

import { Readable } from 'node:stream';
import { expect, it } from 'vitest';
import type { HttpGet } from '../../functions/http.ts';
import { createApiKey } from '../../functions/telnyx/api-key.ts';
import { createLaneClients } from '../../functions/telnyx/lane-clients.ts';
import { virtualTime } from '../fakes/clock.ts';

it('delays requests of the low lane until the rate limit resets, and no requests of the live lane', async () => {
  const time = virtualTime(0);
  const httpGet: HttpGet = async () => ({
    status: 200,
    headers: { 'x-ratelimit-limit': '10', 'x-ratelimit-remaining': '4', 'x-ratelimit-reset': '2' },
    body: Readable.from([Buffer.from('{"data":[]}')]),
  });
  const { telnyx, lowLaneTelnyx } = createLaneClients({
    baseUrl: new URL('https://api.telnyx.com/v2'),
    apiKey: createApiKey(async () => 'KEY01234567', time),
    httpGet,
    invocations: 1,
    time,
    random: () => 0,
  });
  const msOfTwoRequests = async (client: typeof telnyx) => {
    const startedAt = time.monotonic();
    for (let n = 0; n < 2; n += 1) {
      await client.get('documents', new URLSearchParams(), 'OrderGone', new AbortController().signal);
    }
    return time.monotonic() - startedAt;
  };

  expect(await msOfTwoRequests(telnyx)).toBe(0);
  // Telnyx states whole seconds, which may be rounded down: the wait is one second longer.
  expect(await msOfTwoRequests(lowLaneTelnyx)).toBe(3_000);
});

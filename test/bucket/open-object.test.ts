import { expect, it } from 'vitest';
import { openObject } from '../../functions/bucket/open-object.ts';

it.each([
  [undefined, {}],
  [7_000, { requestTimeout: 7_000 }],
])('An object is opened with the client’s own time limit unless there is another: %s', async (ms, limits) => {
  const { signal } = new AbortController();
  const given: unknown[] = [];
  const s3 = {
    send: async (_command: unknown, options: unknown) => {
      given.push(options);
      return { Body: 'the stream' };
    },
  };
  const options = ms === undefined ? { signal } : { signal, requestTimeoutMs: ms };

  expect(await openObject({ s3: s3 as never, name: 'archive' }, 'key', options)).toBe('the stream');

  expect(given).toEqual([{ abortSignal: signal, ...limits }]);
});

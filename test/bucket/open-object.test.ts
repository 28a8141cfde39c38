import { expect, it } from 'vitest';
import { openObject } from '../../functions/bucket/open-object.ts';

it.each([
  [undefined, {}],
  [7_000, { requestTimeout: 7_000 }],
])('openObject uses the client’s request timeout unless one is given: %s', async (ms, expected) => {
  const { signal } = new AbortController();
  const received: unknown[] = [];
  const inputs: unknown[] = [];
  const s3 = {
    send: async (command: { input: unknown }, options: unknown) => {
      inputs.push(command.input);
      received.push(options);
      return { Body: 'the stream' };
    },
  };
  const options = ms === undefined ? { signal } : { signal, requestTimeoutMs: ms };

  expect(await openObject({ s3: s3 as never, name: 'archive' }, 'key', options)).toBe('the stream');

  expect(inputs).toStrictEqual([{ Bucket: 'archive', Key: 'key' }]);
  expect(received).toStrictEqual([{ abortSignal: signal, ...expected }]);
});

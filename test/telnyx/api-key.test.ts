import { describe, expect, it } from 'vitest';
import { redact } from '../../functions/redact.ts';
import { createApiKey } from '../../functions/telnyx/api-key.ts';
import { readSecretOf } from '../../functions/telnyx/secret.ts';
import type { Time } from '../../functions/time.ts';

const first = 'KEY0000FIRST_aaaaaaaaaaaa';
const second = 'KEY0000SECOND_bbbbbbbbbbb';
const minutes = 60_000;

/** An API key whose secret returns each of these texts or failures in turn, and the last one repeatedly. */
function apiKeyFrom(...secrets: (string | undefined | Error)[]) {
  const clock = { now: 0, reads: 0 };
  const time: Time = {
    now: () => expect.unreachable('the wall clock must not be used for durations'),
    monotonic: () => clock.now,
    after: () => expect.unreachable('no timer must be started'),
  };
  const readSecret = async () => {
    const secret = secrets[Math.min(clock.reads, secrets.length - 1)];
    clock.reads += 1;
    await new Promise(setImmediate);
    if (secret instanceof Error) throw secret;
    return secret;
  };
  return { apiKey: createApiKey(readSecret, time), clock };
}

describe('the secret', () => {
  it.each([
    ['the key alone', first],
    ['the key with blanks and a line break around it', `  ${first}\r\n`],
    ['the key with the scheme in front', `Bearer ${first}`],
    ['the key with the scheme in lower case', `bearer   ${first}\n`],
    ['a key with braces, brackets and quotation marks inside', 'KEY{"[0000', 'KEY{"[0000'],
  ])('is accepted if it contains %s', async (_form, secret, key = first) => {
    expect(await apiKeyFrom(secret).apiKey.current()).toBe(key);
  });

  it.each([
    ['no text', undefined],
    ['an empty string', ''],
    ['blanks', ' \n\t '],
    ['the scheme alone', 'Bearer '],
    ['the scheme inside a key', 'KEY0000bearer abcdefgh'],
    ['JSON with a key in it', `{"apiKey":"${first}"}`],
    ['a JSON string', `"${first}"`],
    ['a JSON array', `["${first}"]`],
    ['two keys', `${first} ${second}`],
    ['two lines', `${first}\n${second}`],
    ['a key with a character that is not allowed in a header', `${first}\u00fc`],
    ['a key with a line break that would add a header', `${first}\r\nx-injected: 1`],
    ['too few characters', 'KEY0000'],
    ['too many characters', 'k'.repeat(513)],
  ])('is rejected if it contains %s', async (_form, secret) => {
    const error = await apiKeyFrom(secret)
      .apiKey.current()
      .catch((thrown: unknown) => thrown);

    expect(error).toMatchObject({
      code: 'ApiKeyUnavailable',
      message: expect.stringContaining('Store the key alone'),
      retryPolicy: 'wait',
    });
    expect(String(error)).not.toContain('KEY0000');
  });

  it('leads to an error with instructions and without quotes if it cannot be read', async () => {
    const cause = Object.assign(new Error(`denied for ${first}`), { name: 'AccessDenied' });
    const { apiKey } = apiKeyFrom(cause);

    const error = await apiKey.current().catch((thrown: unknown) => thrown);

    expect(error).toMatchObject({
      code: 'ApiKeyUnavailable',
      message: expect.stringContaining(
        '(AccessDenied). Store the key, and check that the function may read the secret.',
      ),
      cause,
    });
    expect(String(error)).not.toContain(first);
  });

  it('is hidden from log lines from now on', async () => {
    const secret = 'odd~key/of=some+kind';

    await apiKeyFrom(secret).apiKey.current();

    expect(redact(`before ${secret}, after`)).toBe('before [redacted], after');
  });

  it('is requested by its ARN', async () => {
    const asked: unknown[] = [];
    const secrets = {
      send: async (command: { input: unknown }) => {
        asked.push(command.input);
        return { SecretString: first };
      },
    };

    const secret = await readSecretOf(
      secrets as unknown as Parameters<typeof readSecretOf>[0],
      'arn:a-secret',
    )();

    expect(secret).toBe(first);
    expect(asked).toEqual([{ SecretId: 'arn:a-secret' }]);
  });
});

describe('the API key', () => {
  it('is read once for any number of concurrent and later callers', async () => {
    const { apiKey, clock } = apiKeyFrom(first, second);

    const keys = await Promise.all(Array.from({ length: 50 }, () => apiKey.current()));
    keys.push(await apiKey.current());

    expect(new Set(keys)).toEqual(new Set([first]));
    expect(clock.reads).toBe(1);
  });

  it('is not read before it is needed', async () => {
    const { clock } = apiKeyFrom(first);

    await new Promise(setImmediate);

    expect(clock.reads).toBe(0);
  });

  it('is cached for five minutes and then read again', async () => {
    const { apiKey, clock } = apiKeyFrom(first, second);

    await apiKey.current();
    clock.now = 5 * minutes - 1;
    expect(await apiKey.current()).toBe(first);
    clock.now = 5 * minutes;
    expect(await apiKey.current()).toBe(second);
    clock.now = 10 * minutes - 1;
    expect(await apiKey.current()).toBe(second);

    expect(clock.reads).toBe(2);
  });

  it.each([
    ['fails', new Error('unavailable')],
    ['returns no key', '{}'],
  ])(
    'is read again by the next caller when a read %s, which rejects for all current callers',
    async (_, bad) => {
      const { apiKey, clock } = apiKeyFrom(bad, first);

      const ends = await Promise.allSettled([apiKey.current(), apiKey.current(), apiKey.after(first)]);
      expect(ends.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
      expect(clock.reads).toBe(1);

      expect(await apiKey.current()).toBe(first);
      expect(clock.reads).toBe(2);
    },
  );

  it('is read again once when any number of callers are rejected at the same moment', async () => {
    const { apiKey, clock } = apiKeyFrom(first, second, 'KEY0000THIRD');
    await apiKey.current();

    const keys = await Promise.all(Array.from({ length: 20 }, () => apiKey.after(first)));

    expect(new Set(keys)).toEqual(new Set([second]));
    expect(clock.reads).toBe(2);
  });

  it('is not read a second time for callers that are rejected during or after the new read', async () => {
    const { apiKey, clock } = apiKeyFrom(first, second, 'KEY0000THIRD');
    await apiKey.current();

    const early = apiKey.after(first);
    await Promise.resolve();
    const meanwhile = [apiKey.after(first), apiKey.current()];
    expect(await Promise.all([early, ...meanwhile])).toEqual([second, second, second]);
    expect(await apiKey.after(first)).toBe(second);

    expect(clock.reads).toBe(2);
  });

  it('is read again once for all callers when the secret still contains the rejected key', async () => {
    const { apiKey, clock } = apiKeyFrom(first);
    await apiKey.current();

    const early = apiKey.after(first);
    await Promise.resolve();
    const keys = await Promise.all([early, ...Array.from({ length: 20 }, () => apiKey.after(first))]);

    expect(new Set(keys)).toEqual(new Set([first]));
    expect(clock.reads).toBe(2);
  });

  it('is cached for five minutes after it was read again', async () => {
    const { apiKey, clock } = apiKeyFrom(first, second, 'KEY0000THIRD');
    await apiKey.current();
    clock.now = 3 * minutes;
    await apiKey.after(first);

    clock.now = 8 * minutes - 1;
    expect(await apiKey.current()).toBe(second);
    clock.now = 8 * minutes;
    expect(await apiKey.current()).toBe('KEY0000THIRD');
  });

  it.each([
    ['fails', () => Promise.reject(new Error('too late'))],
    ['returns a key', () => Promise.resolve(first)],
  ])('is the one of the later read when an earlier read, delayed by a freeze, finally %s', async (_, end) => {
    let now = 0;
    const slow = Promise.withResolvers<string>();
    const secrets = [slow.promise, Promise.resolve(second)];
    const time: Time = { now: () => 0, monotonic: () => now, after: () => () => undefined };
    const apiKey = createApiKey(async () => secrets.shift(), time);

    const early = apiKey.current();
    now = 5 * minutes;
    const later = apiKey.current();
    slow.resolve(end());
    await Promise.allSettled([early, later]);

    expect(await apiKey.current()).toBe(second);
    expect(await apiKey.after(first)).toBe(second);
    expect(secrets).toEqual([]);
  });
});

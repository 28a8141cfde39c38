import { describe, expect, it } from 'vitest';
import { createApiKey } from '../../functions/telnyx/api-key.ts';
import { readSecretOf } from '../../functions/telnyx/secret.ts';
import type { Time } from '../../functions/time.ts';

const first = 'KEY0000FIRST_aaaaaaaaaaaa';
const second = 'KEY0000SECOND_bbbbbbbbbbb';
const minutes = 60_000;

/** A key over a secret that gives these texts or failures one after the other, the last one for ever. */
function keyOver(...secrets: (string | undefined | Error)[]) {
  const clock = { now: 0, reads: 0 };
  const time: Time = {
    now: () => expect.unreachable('a duration is not measured by the wall clock'),
    monotonic: () => clock.now,
    after: () => expect.unreachable('nothing waits here'),
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

describe('what stands in the secret', () => {
  it.each([
    ['the key alone', first],
    ['blanks and a line end around it', `  ${first}\r\n`],
    ['the scheme before it', `Bearer ${first}`],
    ['the scheme in small letters', `bearer   ${first}\n`],
  ])('is the key: %s', async (_form, secret) => {
    expect(await keyOver(secret).apiKey.current()).toBe(first);
  });

  it.each([
    ['nothing', undefined],
    ['an empty text', ''],
    ['blanks', ' \n\t '],
    ['the scheme alone', 'Bearer '],
    ['JSON with a key in it', `{"apiKey":"${first}"}`],
    ['a JSON string', `"${first}"`],
    ['a list', `["${first}"]`],
    ['two keys', `${first} ${second}`],
    ['two lines', `${first}\n${second}`],
    ['a key with a character that no header takes', `${first}\u00fc`],
    ['a key with a line end for a header of its own', `${first}\r\nx-injected: 1`],
    ['too little', 'KEY0000'],
    ['a whole file', 'k'.repeat(513)],
  ])('is no key: %s', async (_form, secret) => {
    const error = await keyOver(secret)
      .apiKey.current()
      .catch((thrown: unknown) => thrown);

    expect(error).toMatchObject({ code: 'ApiKeyUnavailable', retryPolicy: 'wait' });
    expect(String(error)).not.toContain('KEY0000');
  });

  it('may be unreadable: then the error says how to mend it and quotes nothing', async () => {
    const { apiKey } = keyOver(Object.assign(new Error(`denied for ${first}`), { name: 'AccessDenied' }));

    const error = await apiKey.current().catch((thrown: unknown) => thrown);

    expect(error).toMatchObject({
      code: 'ApiKeyUnavailable',
      message: expect.stringContaining(
        '(AccessDenied). Store the key and check that the function may read it.',
      ),
    });
    expect(String(error)).not.toContain(first);
  });

  it('is asked for by its ARN', async () => {
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
  it('is read once for any number of callers at the same time, and those that follow', async () => {
    const { apiKey, clock } = keyOver(first, second);

    const keys = await Promise.all(Array.from({ length: 50 }, () => apiKey.current()));
    keys.push(await apiKey.current());

    expect(new Set(keys)).toEqual(new Set([first]));
    expect(clock.reads).toBe(1);
  });

  it('is not read before it is needed', async () => {
    const { clock } = keyOver(first);

    await new Promise(setImmediate);

    expect(clock.reads).toBe(0);
  });

  it('is kept for five minutes, and then read afresh', async () => {
    const { apiKey, clock } = keyOver(first, second);

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
    ['finds no key', '{}'],
  ])(
    'is tried anew by the next caller when the reading %s; all who waited for it hear of it',
    async (_, bad) => {
      const { apiKey, clock } = keyOver(bad, first);

      const ends = await Promise.allSettled([apiKey.current(), apiKey.current(), apiKey.after(first)]);
      expect(ends.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
      expect(clock.reads).toBe(1);

      expect(await apiKey.current()).toBe(first);
      expect(clock.reads).toBe(2);
    },
  );

  it('that is refused is read afresh once, for however many were refused at the same moment', async () => {
    const { apiKey, clock } = keyOver(first, second, 'KEY0000THIRD');
    await apiKey.current();

    const keys = await Promise.all(Array.from({ length: 20 }, () => apiKey.after(first)));

    expect(new Set(keys)).toEqual(new Set([second]));
    expect(clock.reads).toBe(2);
  });

  it('that is refused is read afresh once for those too who hear of it while that goes on, or later', async () => {
    const { apiKey, clock } = keyOver(first, second, 'KEY0000THIRD');
    await apiKey.current();

    const early = apiKey.after(first);
    await Promise.resolve();
    const meanwhile = [apiKey.after(first), apiKey.current()];
    expect(await Promise.all([early, ...meanwhile])).toEqual([second, second, second]);
    expect(await apiKey.after(first)).toBe(second);

    expect(clock.reads).toBe(2);
  });

  it('that stands in the secret although it is refused costs one reading for all who share it', async () => {
    const { apiKey, clock } = keyOver(first);
    await apiKey.current();

    const early = apiKey.after(first);
    await Promise.resolve();
    const keys = await Promise.all([early, ...Array.from({ length: 20 }, () => apiKey.after(first))]);

    expect(new Set(keys)).toEqual(new Set([first]));
    expect(clock.reads).toBe(2);
  });

  it('that was read afresh is kept for five minutes from then', async () => {
    const { apiKey, clock } = keyOver(first, second, 'KEY0000THIRD');
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
    ['gives a key', () => Promise.resolve(first)],
  ])('stays the one of the later reading when one that a freeze had held up %s at last', async (_, end) => {
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

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { asArchiverError, nameOf } from '../functions/errors.ts';
import { createLog } from '../functions/log.ts';
import { fuzzRuns } from './fuzz-runs.ts';

const key = 'KEY0123456789ABCDEF_aBcDeFgHiJkLmNoP';
const signature = 'c0ffeec0ffeec0ffee0123456789abcdef';
const query = `X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20261124&X-Amz-Signature=${signature}`;

/** Secrets as they turn up in the texts of others. */
const canaries = [
  key,
  `Bearer ${key}`,
  `bearer ${key}`,
  `authorization: Bearer ${key}`,
  `Authorization:Bearer  ${key}`,
  JSON.stringify({ authorization: `Bearer ${key}` }),
  JSON.stringify(JSON.stringify({ apiKey: key })),
  `'${key}'`,
  `(${key})`,
  `/${key}/`,
  `key=${key};`,
  `https://s3.amazonaws.com/b/k?${query}`,
  `https://b.s3.eu-west-1.amazonaws.com/k?x=1&${query}`,
  `"https://s3.amazonaws.com/b/k?${query}"`,
  `<https://s3.amazonaws.com/b/k?${query}>`,
  `GET /b/k?${query} HTTP/1.1`,
  `?${query}`,
  `&X-Amz-Signature=${signature}`,
  `X-Amz-Signature=${signature}`,
  `x-amz-signature=${signature}`,
  `X-AMZ-SIGNATURE=${signature}`,
  `X-Amz-Credential=AKIAIOSFODNN7EXAMPLE/20261124/us-east-1/s3/aws4_request`,
  `AKIAIOSFODNN7EXAMPLE`,
  `ASIAIOSFODNN7EXAMPLE`,
  `Basic dXNlcjpwYXNzd29yZA==`,
];
const secret = new RegExp(`${key}|${signature}|IOSFODNN7EXAMPLE|dXNlcjpwYXNzd29yZA`, 'i');

/** An error of somebody else's with the canary in it. */
const hiding: ((canary: string) => unknown)[] = [
  (canary) => new Error(canary),
  (canary) => new Error('x', { cause: new Error('y', { cause: new Error(canary) }) }),
  (canary) => new AggregateError([new Error(canary)], canary),
  (canary) => Object.assign(new Error('x'), { url: canary, config: { headers: { authorization: canary } } }),
  (canary) => Object.assign(new Error('x'), { name: canary }),
  (canary) => Object.assign(new Error('x'), { code: canary }),
  (canary) => Object.assign(new Error('x'), { stack: canary }),
  (canary) => Object.assign(new Error('x'), { toString: () => canary, toJSON: () => canary }),
  (canary) => ({ [Symbol.toPrimitive]: () => canary }),
  (canary) => ({
    get message() {
      return canary;
    },
    get name() {
      throw new Error(canary);
    },
  }),
  (canary) => canary,
  (canary) => Object.defineProperty(new Error('x'), 'message', { get: () => canary }),
];

it('No secret in an error of somebody else’s gets into a message, a name or a log line', () => {
  const cases = fc.tuple(
    fc.constantFrom(...canaries),
    fc.constantFrom(...hiding),
    // Not of letters and digits: glued to them a secret is another word.
    fc.string({ unit: fc.constantFrom(' ', '\n', '"', ',', '[', '{', '\u202e', 'é') }),
  );

  fc.assert(
    fc.property(cases, ([canary, hide, around]) => {
      const error = asArchiverError(hide(around + canary + around));
      const lines: string[] = [];
      const log = createLog({ name: 'test', write: (line) => lines.push(line), now: () => 0 });

      log.error(error.message, { reason: error.message, code: error.code, cause: nameOf(error.cause) });
      log.warn('As it came', { reason: around + canary + around });

      expect(error.message).not.toMatch(secret);
      expect(lines.join('\n')).not.toMatch(secret);
    }),
    { numRuns: fuzzRuns() },
  );
});

it('There are as many hiding places as it takes', () => {
  expect(canaries).toHaveLength(25);
});

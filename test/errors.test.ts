import { inspect } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  ArchiverError,
  asArchiverError,
  errorCodes,
  nameOf,
  type RetryPolicy,
  retryPolicies,
} from '../functions/errors.ts';
import { propertyRuns } from './fuzz-runs.ts';

/** What dead letters, alarms and the runbook rely on: a code that changes its policy changes this list too. */
const codesByPolicy: Record<RetryPolicy, string[]> = {
  acknowledge: ['OrderGone'],
  yield: ['RateLimitReserved'],
  'dead-letter': [
    'DocumentGone',
    'DocumentInfected',
    'DocumentTooLarge',
    'KeyCollision',
    'MalformedMessage',
    'UnknownMessageKind',
  ],
  retry: [
    'AnswerTooLarge',
    'ChecksumMismatch',
    'DownloadRefused',
    'LinkExpired',
    'LinkRefused',
    'RedirectRefused',
    'SizeMismatch',
    'Unexpected',
    'UnexpectedResponse',
    'UnknownMessageVersion',
  ],
  wait: [
    'ApiKeyForbidden',
    'ApiKeyRejected',
    'ApiKeyUnavailable',
    'BucketConflict',
    'BucketMisconfigured',
    'BucketUnavailable',
    'DownloadFailed',
    'EncryptionKeyUnavailable',
    'LinkNotAllowed',
    'OutOfTime',
    'QueueUnavailable',
    'RateLimited',
    'TelnyxUnavailable',
  ],
};

describe('an error of the archiver', () => {
  it('has a code of this list, and by it a retry policy', () => {
    const listed = Object.entries(codesByPolicy).flatMap(([policy, codes]) =>
      codes.map((code) => [code, policy]),
    );

    expect(Object.fromEntries(listed)).toEqual(retryPolicies);
    expect(errorCodes.toSorted()).toEqual(listed.map(([code]) => code).toSorted());
  });

  it.each(errorCodes)('carries its code, retry policy, words and how long to wait: %s', (code) => {
    const error = new ArchiverError(code, 'In words.', { retryAfterMs: 5 });

    expect(error).toMatchObject({
      name: 'ArchiverError',
      code,
      retryPolicy: retryPolicies[code],
      message: 'In words.',
      retryAfterMs: 5,
    });
    expect(error).toBeInstanceOf(Error);
  });

  it('has a cause only where one is given, even one that is undefined', () => {
    expect('cause' in new ArchiverError('Unexpected', 'x')).toBe(false);
    expect('cause' in new ArchiverError('Unexpected', 'x', { cause: undefined })).toBe(true);
    expect(new ArchiverError('Unexpected', 'x', { cause: 'c' }).cause).toBe('c');
  });
});

const hostile: [string, unknown][] = [
  ['a proxy that throws', new Proxy({}, { get: () => expect.unreachable('not to be shown') })],
  ['a revoked proxy', revoked()],
  [
    'a getter that throws',
    {
      get name() {
        throw new Error('not to be shown');
      },
    },
  ],
  ['a name that is a secret URL', { name: 'https://s3/x?X-Amz-Signature=1', code: 'KEY 1' }],
  ['a name that is a megabyte', { name: 'x'.repeat(1_000_000) }],
  ['a name that is a number', { name: 7, code: 8 }],
  ['an object without a prototype', Object.create(null)],
];

function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}

describe('whatever else is thrown', () => {
  it('is Unexpected and tried again, with what was thrown for its cause and out of its words', () => {
    const thrown = new Error('https://s3/x?X-Amz-Signature=1');

    const error = asArchiverError(thrown);

    expect(error).toMatchObject({
      code: 'Unexpected',
      retryPolicy: 'retry',
      message: 'An error that the archiver does not know: Error.',
    });
    expect(error.cause).toBe(thrown);
  });

  it('stays itself if it is an error of the archiver', () => {
    const error = new ArchiverError('KeyCollision', 'x');

    expect(asArchiverError(error)).toBe(error);
  });

  it.each<[unknown, string]>([
    [new TypeError('x'), 'TypeError'],
    [Object.assign(new Error('x'), { code: 'ECONNRESET' }), 'Error ECONNRESET'],
    [Object.assign(new Error('x'), { name: 'KMS.DisabledException' }), 'KMS.DisabledException'],
    [Object.assign(() => undefined, { code: 'E1' }), 'object E1'],
    ['a text', 'string'],
    [7, 'number'],
    [undefined, 'undefined'],
    [null, 'object'],
    [Symbol('x'), 'symbol'],
    [{ name: 'AKIAEXAMPLEOFAKEY' }, 'object'],
    [{ name: 'ASIAEXAMPLEOFAKEY' }, 'object'],
    [{ name: 'a12bcd3efg4' }, 'object'],
  ])('goes by its class and system code alone: %o', (thrown, name) => {
    expect(nameOf(thrown)).toBe(name);
  });

  it.each(hostile)('has a name that does no harm: %s', (_what, thrown) => {
    expect(nameOf(thrown)).toBe('object');
    expect(asArchiverError(thrown).code).toBe('Unexpected');
  });

  it('has a short name of plain words, whatever it is', () => {
    fc.assert(
      fc.property(fc.anything({ withNullPrototype: true, withDate: true }), fc.string(), (thrown, code) => {
        const named = thrown instanceof Object ? Object.assign(thrown, { code, name: code }) : thrown;

        expect(nameOf(named), inspect(thrown)).toMatch(/^[\w.]{1,64}( [\w.]{1,64})?$/);
      }),
      { numRuns: propertyRuns(1_000) },
    );
  });
});

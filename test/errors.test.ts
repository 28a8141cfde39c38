import { inspect } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  ArchiverError,
  asArchiverError,
  errorCodes,
  hasSystemCode,
  nameOf,
  type RetryPolicy,
  retryPolicies,
} from '../functions/errors.ts';
import { propertyRuns } from './fuzz-runs.ts';

/** Dead letters, alarms and the runbook rely on these policies, so a change must be made here as well. */
const codesByPolicy: Record<RetryPolicy, string[]> = {
  acknowledge: ['OrderGone'],
  yield: ['RateLimitReserved'],
  continue: ['PartUnfinished'],
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

describe('ArchiverError', () => {
  it('has the listed codes, each with its retry policy', () => {
    const listed = Object.entries(codesByPolicy).flatMap(([policy, codes]) =>
      codes.map((code) => [code, policy]),
    );

    expect(Object.fromEntries(listed)).toEqual(retryPolicies);
    expect(errorCodes.toSorted()).toEqual(listed.map(([code]) => code).toSorted());
  });

  it.each(errorCodes)('has its code, retry policy, message and wait: %s', (code) => {
    const error = new ArchiverError(code, 'A message.', { retryAfterMs: 5 });

    expect(error).toMatchObject({
      name: 'ArchiverError',
      code,
      retryPolicy: retryPolicies[code],
      message: 'A message.',
      retryAfterMs: 5,
    });
    expect(error).toBeInstanceOf(Error);
  });

  it('is conclusive only if that is stated', () => {
    expect(new ArchiverError('Unexpected', 'x').conclusive).toBe(false);
    expect(new ArchiverError('Unexpected', 'x', { conclusive: false }).conclusive).toBe(false);
    expect(new ArchiverError('Unexpected', 'x', { conclusive: true }).conclusive).toBe(true);
  });

  it('has a cause only if one is given, even if it is undefined', () => {
    expect('cause' in new ArchiverError('Unexpected', 'x')).toBe(false);
    expect('cause' in new ArchiverError('Unexpected', 'x', { cause: undefined })).toBe(true);
    expect(new ArchiverError('Unexpected', 'x', { cause: 'c' }).cause).toBe('c');
  });
});

describe('hasSystemCode', () => {
  const missing = Object.assign(new Error('x'), { code: 'ENOENT' });

  it('is true for an error with one of the codes', () => {
    expect(hasSystemCode(missing, 'EEXIST', 'ENOENT')).toBe(true);
  });

  it.each<[what: string, thrown: unknown]>([
    ['an error with another code', missing],
    ['an error without a code', new Error('ENOSPC')],
    ['an object that is not an error', { code: 'ENOSPC' }],
    ['undefined', undefined],
  ])('is false for %s', (_what, thrown) => {
    expect(hasSystemCode(thrown, 'ENOSPC', 'undefined')).toBe(false);
  });
});

const hostile: [string, unknown][] = [
  ['a proxy that throws', new Proxy({}, { get: () => expect.unreachable('must not be shown') })],
  ['a revoked proxy', revoked()],
  [
    'an object with a getter that throws',
    {
      get name() {
        throw new Error('must not be shown');
      },
    },
  ],
  ['an object whose name is a secret URL', { name: 'https://s3/x?X-Amz-Signature=1', code: 'KEY 1' }],
  ['an object whose name is a megabyte long', { name: 'x'.repeat(1_000_000) }],
  ['an object whose name is a number', { name: 7, code: 8 }],
  ['an object without a prototype', Object.create(null)],
];

function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}

describe('any other thrown value', () => {
  it('becomes Unexpected, which is retried, with the value as its cause and not in its message', () => {
    const thrown = new Error('https://s3/x?X-Amz-Signature=1');

    const error = asArchiverError(thrown);

    expect(error).toMatchObject({
      code: 'Unexpected',
      retryPolicy: 'retry',
      message: 'Unexpected error: Error.',
    });
    expect(error.cause).toBe(thrown);
  });

  it('is returned unchanged if it is an ArchiverError', () => {
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
  ])('is named by its class and system code alone: %o', (thrown, name) => {
    expect(nameOf(thrown)).toBe(name);
  });

  it.each(hostile)('has a safe name if it is %s', (_what, thrown) => {
    expect(nameOf(thrown)).toBe('object');
    expect(asArchiverError(thrown).code).toBe('Unexpected');
  });

  it('always has a short name of plain words', () => {
    fc.assert(
      fc.property(fc.anything({ withNullPrototype: true, withDate: true }), fc.string(), (thrown, code) => {
        const named = thrown instanceof Object ? Object.assign(thrown, { code, name: code }) : thrown;

        expect(nameOf(named), inspect(thrown)).toMatch(/^[\w.]{1,64}( [\w.]{1,64})?$/);
      }),
      { numRuns: propertyRuns(1_000) },
    );
  });
});

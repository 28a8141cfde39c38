import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hideSecret, redact } from '../functions/redact.ts';
import { propertyRuns } from './fuzz-runs.ts';

const secret = 'v2.Zq9~odd/key+of=some%25kind';
hideSecret(secret);

describe('redact', () => {
  it.each([
    ['Telnyx answered 404 (10005): it does not exist (any more).'],
    ['100 % of a Müller & Söhne letter, C:\\temp\\u, {"a": [1]} <b> %zz %41'],
    ['e\u0301 and \u200d stay where there is nothing to hide'],
    [''],
  ])('leaves a text without secrets as it is: %s', (text) => {
    expect(redact(text)).toBe(text);
  });

  it('replaces a known secret and nothing else', () => {
    expect(redact(`before ${secret}, after`)).toBe('before [redacted], after');
  });

  it('forgets a secret only after several others', () => {
    const others = ['first', 'second', 'third'].map((name) => `${name}~secret`);
    for (const other of [...others, ...others]) hideSecret(other);

    expect(redact([secret, ...others].join())).toBe('[redacted],[redacted],[redacted],[redacted]');
  });

  it('does not take an empty secret for a part of every text', () => {
    hideSecret('');

    expect(redact('text')).toBe('text');
  });

  it('shows no part of a secret that the end of what it looks at cuts in two', () => {
    // All that is in front of the secret collapses, so that the end comes into view.
    for (let length = 16 * 1_024 - 60; length < 16 * 1_024; length += 1) {
      for (const form of [
        secret,
        Buffer.from(secret).toString('hex'),
        Buffer.from(secret).toString('base64'),
      ]) {
        const shown = redact(`?${'q'.repeat(length)} ${form}${' '.repeat(100)}`);

        expect(shown).toMatch(/^.{0,200}…$/);
        expect(shown).not.toContain(form.slice(0, 6));
      }
    }
  });

  it('takes linear time, whatever it is given', () => {
    const hostile = [
      '?',
      'Bearer ',
      'bearer:',
      'basic+',
      'KEY',
      'KEYKEY_',
      'X-Amz-',
      'X-Amz-a=',
      'X-Amz-a\n',
      '%',
      '%25',
      '%2',
      '%41',
      '\\',
      '\\u',
      '\\\\u0041',
      '&#',
      '&#x41;',
      '&amp;',
      '&amp;#',
      '\u200b',
      '\u0301',
      'AKIA',
      secret.slice(0, -1),
      'v',
    ];
    for (const text of hostile) {
      const began = performance.now();
      redact(text.repeat(1_000_000 / text.length));

      expect(performance.now() - began, text).toBeLessThan(200);
    }
  });

  it('gives at most 200 characters and an ellipsis, all of which SQS accepts', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 5_000 }), (text) => {
        const shown = redact(text);

        expect(shown.length).toBeLessThanOrEqual(201);
        expect(shown.isWellFormed()).toBe(true);
        expect(shown).not.toMatch(/[\p{Cc}\u202a-\u202e\u2066-\u2069\ufffe\uffff]/u);
      }),
      { numRuns: propertyRuns(2_000) },
    );
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hideSecret, redact } from '../functions/redact.ts';
import { propertyRuns } from './fuzz-runs.ts';

const secret = 'v2.Zq9~odd/key+of=some%25kind';
hideSecret(secret);

describe('redact', () => {
  it.each([
    ['Telnyx returned 404 (10005): it does not exist, or no longer exists.'],
    ['100 % of a Müller & Söhne letter, C:\\temp\\u, {"a": [1]} <b> %zz %41'],
    ['e\u0301 and \u200d are kept if there is no secret'],
    [''],
  ])('does not change a text without secrets: %s', (text) => {
    expect(redact(text)).toBe(text);
  });

  it('replaces a known secret, and nothing else', () => {
    expect(redact(`before ${secret}, after`)).toBe('before [redacted], after');
  });

  it('remembers the last four secrets', () => {
    const others = ['first', 'second', 'third'].map((name) => `${name}~secret`);
    for (const other of [...others, ...others]) hideSecret(other);

    expect(redact([secret, ...others].join())).toBe('[redacted],[redacted],[redacted],[redacted]');
  });

  it('forgets a secret after four newer ones', () => {
    for (const name of ['oldest', '1st', '2nd', '3rd', '4th']) hideSecret(`${name}~odd`);

    expect(redact('oldest~odd,1st~odd,2nd~odd,3rd~odd,4th~odd')).toBe(
      'oldest~odd,[redacted],[redacted],[redacted],[redacted]',
    );
  });

  it('replaces the whole of a secret that begins like another one', () => {
    hideSecret('begin~and~end');
    hideSecret('begin~and');

    expect(redact('begin~and~end')).toBe('[redacted]');
  });

  it('replaces a known secret in hex, and in base64 at any offset', () => {
    const known = 'odd~key/of+some=kind?';
    hideSecret(known);

    expect(redact(Buffer.from(known).toString('hex'))).toBe('[redacted]');
    for (const before of ['', 'o', 'oo', 'ooo']) {
      for (const encoding of ['base64', 'base64url'] as const) {
        const text = Buffer.from(`${before}${known}z`).toString(encoding);
        // Only the characters that also depend on the text around the secret are left.
        expect(redact(text)).toMatch(/^[^[]{0,4}\[redacted\][^[]{0,4}$/);
      }
    }
  });

  it('replaces a known secret with every character encoded', () => {
    const known = 'odd~k\u00e9y/of=another+kind';
    hideSecret(known);
    const hexOf = (character: string) => character.charCodeAt(0).toString(16).padStart(2, '0');
    const percent = Buffer.from(known).toString('hex').replace(/../g, '%$&');
    const everyCharacter = (encode: (character: string) => string) => [...known].map(encode).join('');

    for (const text of [
      percent,
      percent.replaceAll('%', '%25').replaceAll('%', '%25'),
      everyCharacter((character) => `\\u00${hexOf(character)}`),
      everyCharacter((character) => `\\x${hexOf(character)}`),
      everyCharacter((character) => `&#${character.charCodeAt(0)};`),
      everyCharacter((character) => `&#x${hexOf(character)};`),
      everyCharacter((character) => `${character}\u200b\u0301`),
      known.replace('/', '\\/'),
    ]) {
      expect(redact(text), text).toBe('[redacted]');
    }
  });

  it.each([
    'X-Amz-Signature=c0ffee',
    'X-Amz-Signature&quot;:&QUOT;c0ffee',
    'X-Amz-Signature&apos;: &Apos;c0ffee',
    'X-Amz-Signature&GT;c0ffee',
    'X-Amz-Signature%3Dc0ffee',
    'X-Amz-Signature\\u003Dc0ffee',
    'X-Amz-Signature\\x3dc0ffee',
    'X-Amz-Signature&#61;c0ffee',
    'X-Amz-Signature&#x3D;c0ffee',
    'X-Amz-Signature\\":\\"c0ffee',
    'X-Am\u200bz-Sig\u0301nature=c0ffee',
    'X-Amz-Signature", "value": "c0ffee',
    'X-Amz-Algorithm", "X-Amz-Signature", "c0ffee',
    'Bearer c0ffee',
    'basic:  c0ffee',
    'bearer+c0ffee',
    'KEYc0ffee00',
    'AKIA0123456789AB',
    'ASIA0123456789ABCDEF',
    '?c0ffee&x=1',
  ])('replaces what looks like a secret, and not the text around it: %s', (secretText) => {
    expect(redact(`before ${secretText} after`)).toMatch(
      /^before (\?|Bearer |basic |bearer )?\[redacted\] after$/,
    );
  });

  it.each(['KEYc0ffee0', 'AKIA0123456789A', 'X-Amz', 'bearer', 'basically'])(
    'does not replace what is too short or incomplete: %s',
    (text) => {
      expect(redact(text)).toBe(text);
    },
  );

  it('shows a blank in place of a control character', () => {
    expect(redact('a\nb\u202ec')).toBe('a b c');
  });

  it('shows 200 characters of a text, and an ellipsis only if there are more', () => {
    expect(redact('a'.repeat(200))).toBe('a'.repeat(200));
    expect(redact('a'.repeat(201))).toBe(`${'a'.repeat(200)}…`);
    expect(redact('a'.repeat(20_000))).toBe(`${'a'.repeat(200)}…`);
  });

  it('shows the end of a text of exactly the searched length, and of no longer one', () => {
    expect(redact('?'.padEnd(16 * 1_024, 'q'))).toBe('?[redacted]');
    expect(redact('?'.padEnd(16 * 1_024 + 1, 'q'))).toBe('…');
  });

  it('ignores an empty secret', () => {
    hideSecret('');

    expect(redact('text')).toBe('text');
  });

  it('shows no part of a secret that is cut in two by the limit of the searched text', () => {
    // The text before the secret is redacted, so the end of the searched text falls within the first 200 characters.
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

  it('takes linear time for any text', () => {
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
      const startedAt = performance.now();
      redact(text.repeat(1_000_000 / text.length));

      expect(performance.now() - startedAt, text).toBeLessThan(200);
    }
  });

  it('returns at most 200 characters and an ellipsis, all accepted by SQS', () => {
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

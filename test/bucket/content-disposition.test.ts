import { parse } from 'content-disposition';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { base64ToHex, hexToBase64 } from '../../functions/bucket/checksum.ts';
import { contentDisposition, contentType } from '../../functions/bucket/content-disposition.ts';
import { fuzzRuns } from '../fuzz-runs.ts';

describe('contentDisposition', () => {
  it.each([
    ['letter.pdf', 'letter.pdf'],
    ['Vollmacht Müller – 2026.pdf', 'Vollmacht Müller – 2026.pdf'],
    ['../../etc/passwd', '.._.._etc_passwd'],
    ['a\r\nSet-Cookie: b.pdf', 'aSet-Cookie: b.pdf'],
    ['gpj.\u202eexe', 'gpj.exe'],
    ['x'.repeat(200), 'x'.repeat(200)],
    ['x'.repeat(300), 'x'.repeat(200)],
    [`${'x'.repeat(300)}.fifteen-letters`, `${'x'.repeat(184)}.fifteen-letters`],
    [`${'x'.repeat(300)}.sixteen--letters`, 'x'.repeat(200)],
    [`${'x'.repeat(300)}.a-sentence-and-no-extension`, 'x'.repeat(200)],
    [`${'😀'.repeat(512)}.pdf`, `${'😀'.repeat(49)}.pdf`],
  ])('keeps the name %j, without unsafe characters, truncated between characters', (name, expected) => {
    expect(parse(contentDisposition(name)).parameters.filename).toBe(expected);
  });

  it.each([undefined, '', ' ', '\u0000'])('returns a plain attachment for the empty name %j', (name) => {
    expect(contentDisposition(name)).toBe('attachment');
  });

  it('returns an ASCII header of bounded length for any name', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 600 }), (name) => {
        const header = contentDisposition(name);
        expect(header).toMatch(/^attachment[\x20-\x7e]*$/);
        expect(header.length).toBeLessThan(1_200);
      }),
      { numRuns: fuzzRuns() },
    );
  });
});

describe('contentType', () => {
  it.each([
    ['application/pdf', 'application/pdf'],
    ['text/csv; charset=utf-8', 'text/csv; charset=utf-8'],
    [' application/pdf\n', 'application/pdf'],
    ['text/csv;charset=utf-8', 'text/csv;charset=utf-8'],
    ['text/csv ; charset=utf-8', 'text/csv ; charset=utf-8'],
    ['x: y application/pdf', 'application/octet-stream'],
    [undefined, 'application/octet-stream'],
    ['pdf', 'application/octet-stream'],
    ['text/html\r\nX: y', 'application/octet-stream'],
  ])('returns for %j %s', (stated, expected) => {
    expect(contentType(stated)).toBe(expected);
  });
});

describe('a SHA-256 of S3', () => {
  it('is undefined if S3 does not state it', () => {
    expect(base64ToHex(undefined)).toBeUndefined();
  });

  it('is converted between hex and base64, and a composite one is undefined', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (bytes) => {
        const hex = Buffer.from(bytes).toString('hex');
        expect(base64ToHex(hexToBase64(hex))).toBe(hex);
        expect(base64ToHex(`${hexToBase64(hex)}-3`)).toBeUndefined();
        expect(base64ToHex(`A${hexToBase64(hex)}`)).toBeUndefined();
        expect(base64ToHex(hex)).toBeUndefined();
      }),
    );
  });
});

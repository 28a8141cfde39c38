import { parse } from 'content-disposition';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { base64ToHex, hexToBase64 } from '../../functions/bucket/checksum.ts';
import { contentDisposition, contentType } from '../../functions/bucket/content-disposition.ts';
import { documentIdOfReceipt, documentKey, receiptKey } from '../../functions/bucket/keys.ts';
import { fuzzRuns } from '../fuzz-runs.ts';

describe('a Content-Disposition', () => {
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
  ])('gives %j its name back, made safe and cut between characters', (name, expected) => {
    expect(parse(contentDisposition(name)).parameters.filename).toBe(expected);
  });

  it.each([undefined, '', ' ', '\u0000'])('is a plain attachment where there is no name: %j', (name) => {
    expect(contentDisposition(name)).toBe('attachment');
  });

  it('is a header of ASCII and bounded length for any name at all', () => {
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

describe('a Content-Type', () => {
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
  ])('of %j is %s', (stated, expected) => {
    expect(contentType(stated)).toBe(expected);
  });
});

describe('a key', () => {
  it('is built from a lower-case UUID and nothing else, and is read back', () => {
    fc.assert(
      fc.property(fc.uuid(), fc.string(), (id, other) => {
        expect(documentKey(id)).toBe(`documents/${id}`);
        expect(documentIdOfReceipt(receiptKey(id))).toBe(id);
        expect(() => documentKey(other)).toThrow(RangeError);
        expect(documentIdOfReceipt(other)).toBeUndefined();
      }),
    );
  });
});

describe('a digest', () => {
  it('that S3 does not state is none', () => {
    expect(base64ToHex(undefined)).toBeUndefined();
  });

  it('goes from hex to base64 and back, and a composite one is none', () => {
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

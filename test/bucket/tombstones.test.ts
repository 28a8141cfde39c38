import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  maxBasisLength,
  maxTombstoneBytes,
  parseTombstone,
  type Tombstone,
  tombstoneObject,
  tombstoneText,
} from '../../functions/bucket/tombstones.ts';
import { sha256 } from '../fakes/memory-bucket.ts';
import { fuzzRuns } from '../fuzz-runs.ts';

const id = '6e0c8a55-2d0b-4bb0-9d6a-0a6c1e5d7f01';
const digest = 'a'.repeat(64);
const tombstone: Tombstone = {
  v: 1,
  state: 'erased',
  documentId: id,
  erasedAt: '2026-11-24T12:00:00.000Z',
  erasedBy: 'arn:aws:iam::111122223333:role/break-glass',
  basis: 'DSR-2026-114',
  erased: {
    archivedAt: '2026-11-20T12:00:00.000Z',
    document: { bytes: 7, sha256: digest },
    receipt: { sha256: digest },
  },
  archiver: '1.0.0',
};

const { v: version, ...rest } = tombstone;
const reordered = { ...rest, v: version };

const parse = (content: unknown, documentId = id) =>
  parseTombstone(documentId, Buffer.from(`${JSON.stringify(content, undefined, 2)}\n`));

const digests = fc
  .array(fc.constantFrom(...'0123456789abcdef'), { minLength: 64, maxLength: 64 })
  .map((digits) => digits.join(''));
const instants = fc
  .integer({ min: 0, max: Date.parse('9999-12-31T23:59:59.999Z') })
  .map((at) => new Date(at).toISOString());
const tombstones: fc.Arbitrary<Tombstone> = fc.record({
  v: fc.constant(1 as const),
  state: fc.constant('erased' as const),
  documentId: fc.uuid(),
  erasedAt: instants,
  erasedBy: fc.string({ unit: 'binary' }),
  basis: fc.string({ unit: 'binary', maxLength: maxBasisLength / 2 }),
  erased: fc.record(
    {
      archivedAt: instants,
      document: fc.record({ bytes: fc.nat(), sha256: digests }),
      receipt: fc.record({ sha256: digests }),
    },
    { requiredKeys: [] },
  ),
  archiver: fc.string(),
});
/** A text with the index of a byte in it. */
const textsWithIndex = tombstones.chain((content) => {
  const text = Buffer.from(tombstoneText(content));
  return fc.tuple(fc.constant(content), fc.constant(text), fc.nat(text.length - 1));
});

describe('a tombstone', () => {
  it('is read back as it was written', () => {
    fc.assert(
      fc.property(tombstones, (content) => {
        expect(parseTombstone(content.documentId, Buffer.from(tombstoneText(content)))).toEqual(content);
      }),
      { numRuns: fuzzRuns() },
    );
  });

  it('is never read as something that it does not say, if any byte of it is changed', () => {
    fc.assert(
      fc.property(textsWithIndex, fc.integer({ min: 1, max: 255 }), ([content, text, index], difference) => {
        const changed = Buffer.from(text);
        changed[index] = (text[index] ?? 0) ^ difference;

        const read = parseTombstone(content.documentId, changed);

        // Within a string, another character is another valid text; it is read as exactly that.
        if (typeof read === 'object') expect(Buffer.from(tombstoneText(read)).equals(changed)).toBe(true);
        expect(read).not.toEqual(content);
      }),
      { numRuns: fuzzRuns() },
    );
  });

  it('is not one if any bytes are missing or added', () => {
    fc.assert(
      fc.property(
        textsWithIndex,
        fc.uint8Array({ minLength: 1, maxLength: 3 }),
        ([content, text, index], more) => {
          const shorter = text.subarray(0, index);
          const longer = Buffer.concat([text, more]);

          for (const changed of [shorter, longer]) {
            expect(parseTombstone(content.documentId, changed)).not.toBeTypeOf('object');
          }
        },
      ),
      { numRuns: fuzzRuns() },
    );
  });

  it('is not one under the ID of another document', () => {
    expect(parse(tombstone, '6e0c8a55-2d0b-4bb0-9d6a-0a6c1e5d7f02')).toBe(
      'the tombstone of another document',
    );
  });

  it.each<[string, unknown]>([
    ['v', { ...tombstone, v: 2 }],
    ['documentId', { ...tombstone, documentId: undefined }],
    ['erasedAt', { ...tombstone, erasedAt: 'yesterday' }],
    ['erasedBy', { ...tombstone, erasedBy: null }],
    ['basis', { ...tombstone, basis: 'x'.repeat(maxBasisLength + 1) }],
    ['erased', { ...tombstone, erased: undefined }],
    ['a member of erased', { ...tombstone, erased: { name: 'passport.pdf' } }],
    ['erased.archivedAt', { ...tombstone, erased: { archivedAt: '2026' } }],
    ['erased.document.bytes', { ...tombstone, erased: { document: { bytes: '7', sha256: digest } } }],
    [
      'a member of erased.document',
      { ...tombstone, erased: { document: { bytes: 7, sha256: digest, name: 'x' } } },
    ],
    ['erased.document.sha256', { ...tombstone, erased: { document: { bytes: 7, sha256: `${digest}a` } } }],
    ['erased.receipt.sha256', { ...tombstone, erased: { receipt: { sha256: `a${digest}` } } }],
    ['erased.receipt.sha256', { ...tombstone, erased: { receipt: { sha256: digest.toUpperCase() } } }],
    ['a member of erased.receipt', { ...tombstone, erased: { receipt: { sha256: digest, name: 'x' } } }],
    ['archiver', { ...tombstone, archiver: 1 }],
    ['a member of the top level', { ...tombstone, note: 'x' }],
    ['a member of the top level', { ...tombstone, constructor: 'x' }],
  ])('is not one if %s is missing, unknown or not valid, and its text is not quoted', (path, content) => {
    expect(parse(content)).toBe(`${path} is missing, unknown or not valid`);
  });

  it.each<[string, string]>([
    ['on one line', `${JSON.stringify(tombstone)}\n`],
    ['without a line break at the end', JSON.stringify(tombstone, undefined, 2)],
    ['with its members in another order', `${JSON.stringify(reordered, undefined, 2)}\n`],
    ['with a repeated member', tombstoneText(tombstone).replace('{', '{\n  "basis": "other",')],
    [
      'with a character that is escaped although it need not be',
      tombstoneText(tombstone).replace('DSR', '\\u0044SR'),
    ],
  ])('is not formatted as the archiver formats it: %s', (_what, text) => {
    expect(parseTombstone(id, Buffer.from(text))).toBe('not formatted as the archiver formats it');
  });

  it.each([
    '',
    'text',
    '{',
    'null',
    '7',
    '"erased"',
    '[]',
    '{}',
    '{"state":"archived"}',
    '{"state":["erased"]}',
  ])('is not claimed to be one by %j', (text) => {
    expect(parseTombstone(id, Buffer.from(text))).toBeUndefined();
  });

  it('is read up to 8 KiB; a larger object is not one', () => {
    const bare = Buffer.byteLength(tombstoneText({ ...tombstone, archiver: '' }));
    const largest = { ...tombstone, archiver: 'x'.repeat(maxTombstoneBytes - bare) };

    expect(maxTombstoneBytes).toBe(8_192);
    expect(parse(largest)).toEqual(largest);
    expect(parse({ ...largest, archiver: `${largest.archiver}x` })).toBeUndefined();
  });

  it('is an object with its type, length, digest and state', () => {
    const body = Buffer.from(tombstoneText(tombstone));

    expect(tombstoneObject(`receipts/${id}.json`, tombstone)).toEqual({
      key: `receipts/${id}.json`,
      body,
      bytes: body.length,
      sha256: sha256(body),
      contentType: 'application/json',
      metadata: { state: 'erased' },
    });
  });
});

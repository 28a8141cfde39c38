import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  documentIdOfReceipt,
  documentKey,
  documentPrefix,
  manifestPrefix,
  receiptKey,
  receiptPrefix,
} from '../../functions/bucket/keys.ts';
import { propertyRuns } from '../fuzz-runs.ts';

const id = '6e0c8a55-2d0b-4bb0-9d6a-0a6c1e5d7f01';
const uuid = fc.uuid();
const noUuid = fc
  .oneof(
    fc.string({ unit: 'binary' }),
    uuid.map((text) => text.toUpperCase()),
    fc.tuple(uuid, fc.string({ minLength: 1 })).map((parts) => parts.join('')),
    fc.tuple(fc.string({ minLength: 1 }), uuid).map((parts) => parts.join('')),
    uuid.map((text) => text.replaceAll('-', '')),
    fc.constantFrom('..', `../${id}`, `${id}/..`, `${id}\n`, `{${id}}`, `urn:uuid:${id}`, `${id}.json`),
  )
  .filter((text) => !/^[0-9a-f-]{36}$/.test(text));

describe('a key', () => {
  it('is where the design says', () => {
    expect(documentKey(id)).toBe(`documents/${id}`);
    expect(receiptKey(id)).toBe(`receipts/${id}.json`);
  });

  it('belongs to one document and one prefix alone, and fits on the wire as it is', () => {
    fc.assert(
      fc.property(uuid, uuid, (one, other) => {
        expect(documentKey(one) === documentKey(other)).toBe(one === other);
        expect(receiptKey(one) === receiptKey(other)).toBe(one === other);
        for (const key of [documentKey(one), receiptKey(one)]) {
          expect(encodeURI(key)).toBe(key);
          expect(
            [documentPrefix, receiptPrefix, manifestPrefix].filter((prefix) => key.startsWith(prefix)),
          ).toHaveLength(1);
        }
      }),
    );
  });

  it('is made of nothing but a lower-case UUID', () => {
    fc.assert(
      fc.property(noUuid, (text) => {
        expect(() => documentKey(text)).toThrow(
          new RangeError('A key is built from a lower-case UUID only.'),
        );
        expect(() => receiptKey(text)).toThrow(RangeError);
      }),
      { numRuns: propertyRuns(1_000) },
    );
  });
});

describe('the document of a receipt', () => {
  it('is the one that the receipt’s key was made of', () => {
    fc.assert(fc.property(uuid, (text) => documentIdOfReceipt(receiptKey(text)) === text));
  });

  it('is known from a receipt’s key, and no other text', () => {
    const around = fc.tuple(
      fc.constantFrom(receiptPrefix, documentPrefix, '', 'receipts', '/receipts/'),
      fc.oneof(uuid, noUuid),
      fc.constantFrom('.json', '', '.JSON', '.json.json', '.json '),
    );
    fc.assert(
      fc.property(around, (parts) => {
        const key = parts.join('');
        const found = documentIdOfReceipt(key);

        if (found === undefined)
          expect(key).not.toMatch(/^receipts\/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.json$/);
        else expect(receiptKey(found)).toBe(key);
      }),
      { numRuns: propertyRuns(1_000) },
    );
  });
});

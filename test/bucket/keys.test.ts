import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  documentIdOfObject,
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
const notUuid = fc
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
  it('is documents/<id> for an object and receipts/<id>.json for a receipt', () => {
    expect(documentKey(id)).toBe(`documents/${id}`);
    expect(receiptKey(id)).toBe(`receipts/${id}.json`);
  });

  it('belongs to exactly one document and one prefix, and needs no URL encoding', () => {
    fc.assert(
      fc.property(uuid, uuid, (first, second) => {
        expect(documentKey(first) === documentKey(second)).toBe(first === second);
        expect(receiptKey(first) === receiptKey(second)).toBe(first === second);
        for (const key of [documentKey(first), receiptKey(first)]) {
          expect(encodeURI(key)).toBe(key);
          expect(
            [documentPrefix, receiptPrefix, manifestPrefix].filter((prefix) => key.startsWith(prefix)),
          ).toHaveLength(1);
        }
      }),
    );
  });

  it('throws RangeError for anything but a lower-case UUID', () => {
    fc.assert(
      fc.property(notUuid, (text) => {
        expect(() => documentKey(text)).toThrow(new RangeError('The document ID is not a lower-case UUID.'));
        expect(() => receiptKey(text)).toThrow(RangeError);
      }),
      { numRuns: propertyRuns(1_000) },
    );
  });
});

describe('the document ID in a key', () => {
  it('is the ID that the key was built from', () => {
    fc.assert(
      fc.property(uuid, (text) => {
        expect(documentIdOfReceipt(receiptKey(text))).toBe(text);
        expect(documentIdOfObject(documentKey(text))).toBe(text);
      }),
    );
  });

  it('is undefined for any text that is not such a key', () => {
    const nearKey = fc.tuple(
      fc.constantFrom(receiptPrefix, documentPrefix, '', 'receipts', '/receipts/'),
      fc.oneof(uuid, notUuid),
      fc.constantFrom('.json', '', '.JSON', '.json.json', '.json '),
    );
    fc.assert(
      fc.property(nearKey, (parts) => {
        const key = parts.join('');
        const ofReceipt = documentIdOfReceipt(key);
        const ofObject = documentIdOfObject(key);

        if (ofReceipt === undefined)
          expect(key).not.toMatch(/^receipts\/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.json$/);
        else expect(receiptKey(ofReceipt)).toBe(key);
        if (ofObject === undefined)
          expect(key).not.toMatch(/^documents\/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
        else expect(documentKey(ofObject)).toBe(key);
      }),
      { numRuns: propertyRuns(1_000) },
    );
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  documentIdOfHold,
  documentIdOfObject,
  documentIdOfReceipt,
  documentKey,
  documentPrefix,
  holdKey,
  holdPrefix,
  holdsOfPrefix,
  manifestPrefix,
  receiptKey,
  receiptPrefix,
} from '../../functions/bucket/keys.ts';
import { propertyRuns } from '../fuzz-runs.ts';

const id = '6e0c8a55-2d0b-4bb0-9d6a-0a6c1e5d7f01';
const uuid = fc.uuid();
const instant = fc.integer({ min: 0, max: Date.parse('9999-12-31T23:59:59.999Z') });
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

  it('is holds/<id>/<instant>.json for a hold record, so that the records of a document sort by time', () => {
    fc.assert(
      fc.property(uuid, instant, instant, (text, first, second) => {
        const [a, b] = [holdKey(text, first), holdKey(text, second)];

        expect(a).toBe(`holds/${text}/${new Date(first).toISOString()}.json`);
        expect(a.startsWith(holdsOfPrefix(text))).toBe(true);
        expect(a < b).toBe(first < second);
      }),
    );
  });

  it('belongs to exactly one document and one prefix, and needs no URL encoding', () => {
    fc.assert(
      fc.property(uuid, uuid, (first, second) => {
        expect(documentKey(first) === documentKey(second)).toBe(first === second);
        expect(receiptKey(first) === receiptKey(second)).toBe(first === second);
        for (const key of [documentKey(first), receiptKey(first), holdKey(first, 0)]) {
          expect(encodeURI(key)).toBe(key);
          expect(
            [documentPrefix, receiptPrefix, manifestPrefix, holdPrefix].filter((prefix) =>
              key.startsWith(prefix),
            ),
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
        expect(() => holdKey(text, 0)).toThrow(RangeError);
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
        expect(documentIdOfHold(holdKey(text, Date.parse('2026-11-24T12:00:00Z')))).toBe(text);
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

  it.each([
    '',
    `holds/${id}`,
    `holds/${id}/`,
    `holds/${id}/2026-11-24T12:00:00Z.json`,
    `holds/${id}/2026-11-24T12:00:00.000Z`,
    `holds/${id}/2026-11-24T12:00:00.000Z.json.json`,
    `holds/${id}/+010000-01-01T00:00:00.000Z.json`,
    `holds/${id}/a/2026-11-24T12:00:00.000Z.json`,
    `holds//2026-11-24T12:00:00.000Z.json`,
    `holds/${id.toUpperCase()}/2026-11-24T12:00:00.000Z.json`,
    `/holds/${id}/2026-11-24T12:00:00.000Z.json`,
    `receipts/${id}.json`,
  ])('is undefined for %j, which is not the key of a hold record', (key) => {
    expect(documentIdOfHold(key)).toBeUndefined();
  });

  it.each([
    '',
    id,
    `${id}.json`,
    `receipts_${id}.json`,
    `documents_${id}`,
    `receipts/${id}.txt`,
    `documents/${id}.json`,
  ])('is undefined for %j, which is neither the key of an object nor of a receipt', (key) => {
    expect(documentIdOfObject(key)).toBeUndefined();
    expect(documentIdOfReceipt(key)).toBeUndefined();
  });
});

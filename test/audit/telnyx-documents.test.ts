import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readTelnyxDocuments, TelnyxDocuments } from '../../functions/audit/telnyx-documents.ts';
import type { RetryingTelnyx } from '../../functions/telnyx/retrying-telnyx.ts';
import { noon } from '../fakes/documents.ts';
import { pageOf } from '../fakes/telnyx-list.ts';
import { propertyRuns } from '../fuzz-runs.ts';

const id = '6e0c8a55-2d0b-4bb0-9d6a-0a6c1e5d7f01';
const other = '7e0c8a55-2d0b-4bb0-9d6a-0a6c1e5d7f01';

describe('Telnyx’s list', () => {
  it('keeps a document whose properties Telnyx does not state', () => {
    const document = {
      id,
      createdAt: undefined,
      bytes: undefined,
      sha256: undefined,
      infected: false,
      fileName: undefined,
      customerReference: undefined,
    };
    const documents = new TelnyxDocuments();

    documents.add(document);

    expect([...documents.sorted()]).toEqual([document]);
  });

  it('keeps documents beyond its first 65,536 with their SHA-256, without duplicates, in 73 bytes each', () => {
    const count = 65_538;
    const documents = new TelnyxDocuments();
    const documentAt = (number: number) => ({
      id: `${number.toString(16).padStart(8, '0')}-0000-4000-8000-000000000000`,
      createdAt: number,
      bytes: number,
      sha256: number % 2 === 0 ? number.toString(16).padStart(64, '0') : undefined,
      infected: number % 3 === 0,
      fileName: undefined,
      customerReference: undefined,
    });
    const before = process.memoryUsage().arrayBuffers;

    for (let number = count; number > 0; number -= 1) documents.add(documentAt(number));
    documents.add(documentAt(2));

    const used = process.memoryUsage().arrayBuffers - before;
    expect(documents.count).toBe(count + 1);
    // Two blocks for 65,536 documents each, with 64 KiB for texts.
    expect(used).toBeLessThan(2 * (73 * 65_536 + 65_536) + 100_000);
    let number = 0;
    for (const document of documents.sorted()) {
      number += 1;
      if (number < 4 || number > count - 3) expect(document).toEqual(documentAt(number));
    }
    expect(number).toBe(count);
  });

  it('keeps the names and references of any number of documents, each up to 512 characters', () => {
    const text = fc.option(
      fc
        .string({ unit: 'grapheme', minLength: 1, maxLength: 600, size: 'max' })
        .filter((name) => name.slice(0, 512).isWellFormed()),
      { nil: undefined },
    );
    fc.assert(
      fc.property(
        // Long enough to outgrow the first buffer.
        fc.array(fc.record({ fileName: text, customerReference: text }), { maxLength: 120, size: 'max' }),
        (names) => {
          const documents = new TelnyxDocuments();
          const added = names.map((each, number) => ({
            id: `${number.toString(16).padStart(8, '0')}-0000-4000-8000-000000000000`,
            createdAt: number,
            bytes: number,
            sha256: undefined,
            infected: false,
            ...each,
          }));
          for (const document of added.toReversed()) documents.add(document);

          expect([...documents.sorted()]).toEqual(
            added.map((document) => ({
              ...document,
              fileName: document.fileName?.slice(0, 512),
              customerReference: document.customerReference?.slice(0, 512),
            })),
          );
        },
      ),
      // Shrinking arrays of long texts takes minutes.
      { numRuns: propertyRuns(20), endOnFailure: true },
    );
  });

  it('is read to its end, and rows without a valid ID are counted', async () => {
    const rows = [
      { id, createdAt: noon - 1_000 },
      { id: 'not an ID', createdAt: noon - 2_000 },
      { id: other, createdAt: noon - 3_000 },
    ];
    const telnyx: RetryingTelnyx = {
      get: async (_path, query) => ({
        data: pageOf(rows, query).map((row) => ({
          id: row.id,
          created_at: new Date(row.createdAt).toISOString(),
          av_scan_status: row.id === id ? 'infected' : 'scanned',
          filename: 'Invoice.pdf',
          customer_reference: 'PO-17',
        })),
      }),
      requests: () => 0,
    };
    const documents = new TelnyxDocuments();

    expect(await readTelnyxDocuments(telnyx, noon, documents)).toBe(1);

    expect([...documents.sorted()]).toEqual([
      {
        id,
        createdAt: noon - 1_000,
        bytes: undefined,
        sha256: undefined,
        infected: true,
        fileName: 'Invoice.pdf',
        customerReference: 'PO-17',
      },
      {
        id: other,
        createdAt: noon - 3_000,
        bytes: undefined,
        sha256: undefined,
        infected: false,
        fileName: 'Invoice.pdf',
        customerReference: 'PO-17',
      },
    ]);
  });
});

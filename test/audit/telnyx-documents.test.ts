import { describe, expect, it } from 'vitest';
import { readTelnyxDocuments, TelnyxDocuments } from '../../functions/audit/telnyx-documents.ts';
import type { RetryingTelnyx } from '../../functions/telnyx/retrying-telnyx.ts';
import { noon } from '../fakes/documents.ts';
import { pageOf } from '../fakes/telnyx-list.ts';

const id = '6e0c8a55-2d0b-4bb0-9d6a-0a6c1e5d7f01';

describe('Telnyx’s list', () => {
  it('keeps a document whose properties Telnyx does not state', () => {
    const document = { id, createdAt: undefined, bytes: undefined, sha256: undefined, infected: false };
    const documents = new TelnyxDocuments();

    documents.add(document);

    expect([...documents.sorted()]).toEqual([document]);
  });

  it('is read to its end, and rows without a valid ID are counted', async () => {
    const rows = [
      { id, createdAt: noon - 1_000 },
      { id: 'not an ID', createdAt: noon - 2_000 },
    ];
    const telnyx: RetryingTelnyx = {
      get: async (_path, query) => ({
        data: pageOf(rows, query).map((row) => ({
          id: row.id,
          created_at: new Date(row.createdAt).toISOString(),
          av_scan_status: 'infected',
        })),
      }),
      requests: () => 0,
    };
    const documents = new TelnyxDocuments();

    expect(await readTelnyxDocuments(telnyx, noon, documents)).toBe(1);

    expect([...documents.sorted()]).toEqual([
      { id, createdAt: noon - 1_000, bytes: undefined, sha256: undefined, infected: true },
    ]);
  });
});

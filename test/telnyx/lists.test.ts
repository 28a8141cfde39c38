import { expect, it } from 'vitest';
import { listDocuments } from '../../functions/telnyx/lists.ts';

it.each([
  ['all documents', undefined, null],
  ['one customer reference', 'PO-17', 'PO-17'],
])(
  'requests the list of %s with the time span, the page and the reference',
  async (_which, reference, expected) => {
    const queries: URLSearchParams[] = [];
    const telnyx = {
      get: async (_path: string, query: URLSearchParams) => {
        queries.push(query);
        return { data: [] };
      },
      requests: () => queries.length,
    };
    const created = { after: Date.parse('2026-11-24T00:00:00Z'), before: Date.parse('2026-11-24T01:00:00Z') };

    await listDocuments(telnyx, created, 3, reference);

    expect(queries[0]?.get('filter[customer_reference][eq]')).toBe(expected);
    expect(queries[0]?.get('filter[created_at][gt]')).toBe('2026-11-24T00:00:00Z');
    expect(queries[0]?.get('page[number]')).toBe('3');
  },
);

it('reads every row and treats malformed fields as missing', async () => {
  const [first, second, third, fourth] = [1, 2, 3, 4].map(
    (digit) => `6e0c8a55-2d0b-4bb0-9d6a-0a6c1e5d7f0${digit}`,
  );
  const rows = [
    {
      id: first,
      created_at: '2026-11-24T00:30:00Z',
      filename: 'Invoice.pdf',
      customer_reference: 'PO-17',
      sha256: 'AB'.repeat(32),
      size: { unit: 'bytes', amount: 7 },
      av_scan_status: 'infected',
    },
    {
      id: second,
      filename: 12_345,
      created_at: 1_764_000_000,
      sha256: 'not available',
      size: 10,
      av_scan_status: {},
    },
    { id: third, created_at: '2026-11-24T00:30:00+01', size: { unit: 'kilobytes', amount: 7 } },
    { id: fourth },
    { id: 7 },
    'a text',
  ];
  const telnyx = { get: async () => ({ data: rows }), requests: () => 0 };

  const page = await listDocuments(telnyx, { after: 0, before: 1_000 }, 1);

  const unstated = { bytes: undefined, sha256: undefined, infected: false, fileName: undefined };
  const bare = { createdAt: undefined, stated: unstated };
  expect(page.map(({ candidate }) => candidate)).toMatchObject([
    {
      id: first,
      createdAt: Date.parse('2026-11-24T00:30:00Z'),
      stated: {
        bytes: 7,
        sha256: 'ab'.repeat(32),
        infected: true,
        fileName: 'Invoice.pdf',
        customerReference: 'PO-17',
      },
    },
    { id: second, ...bare },
    { id: third, ...bare },
    { id: fourth, ...bare },
    { id: undefined, ...bare },
    { id: undefined, ...bare },
  ]);
});

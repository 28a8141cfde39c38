import { expect, it } from 'vitest';
import { listDocumentLinks, listDocuments, listPortingRequirements } from '../../functions/telnyx/lists.ts';

it.each([
  ['all documents', undefined, null],
  ['one customer reference', 'PO-17', 'PO-17'],
])(
  'requests the list of %s with the time span, the page and the reference',
  async (_which, reference, expected) => {
    const requests: [path: string, query: URLSearchParams, gone: string][] = [];
    const telnyx = {
      get: async (...request: [path: string, query: URLSearchParams, gone: string]) => {
        requests.push(request);
        return { data: [] };
      },
    };
    const created = { after: Date.parse('2026-11-24T00:00:00Z'), before: Date.parse('2026-11-24T01:00:00Z') };

    await listDocuments(telnyx, created, 3, reference);

    const [path, query, gone] = requests[0] ?? [];
    expect([path, gone]).toEqual(['documents', 'UnexpectedResponse']);
    expect(query?.get('filter[customer_reference][eq]')).toBe(expected);
    expect(query?.get('filter[created_at][gt]')).toBe('2026-11-24T00:00:00Z');
    expect(query?.get('page[number]')).toBe('3');
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

it('requests only the links of one resource', async () => {
  let requested: URLSearchParams | undefined;
  const telnyx = {
    get: async (_path: string, query: URLSearchParams) => {
      requested = query;
      return { data: [] };
    },
    requests: () => 1,
  };

  await listDocumentLinks(telnyx, 'order-1', 1);

  expect(requested?.get('filter[linked_resource_id]')).toBe('order-1');
});

it('gives rows of one page different keys unless they have the same ID or the same content', async () => {
  let deep: unknown = 'core';
  for (let level = 0; level < 200_000; level += 1) deep = [deep];
  const text = { field_type: 'textual', field_value: 'Example SARL' };
  const data = [{ id: 'a', ...text }, { id: 'b', ...text }, text, text, {}, {}, { field_value: deep }];
  const telnyx = { get: async () => ({ data }), requests: () => 0 };

  const page = await listPortingRequirements(telnyx, 'order-1', 1);

  const keys = page.map(({ key }) => key);
  expect(keys.map((key) => keys.indexOf(key))).toEqual([0, 1, 2, 2, 4, 5, 6]);
});

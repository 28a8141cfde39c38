import { expect, it } from 'vitest';
import { listDocuments } from '../../functions/telnyx/lists.ts';

it.each([
  ['of everybody', undefined, null],
  ['of one customer reference', 'PO-17', 'PO-17'],
])('A list %s is asked for by time, page and that reference alone.', async (_whose, reference, asked) => {
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

  expect(queries[0]?.get('filter[customer_reference][eq]')).toBe(asked);
  expect(queries[0]?.get('filter[created_at][gt]')).toBe('2026-11-24T00:00:00Z');
  expect(queries[0]?.get('page[number]')).toBe('3');
});

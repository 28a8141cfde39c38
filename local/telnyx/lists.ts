/**
 * Paginated lists. Like at Telnyx, each request computes its page from the current list, so a list that changes between
 * two requests repeats or skips rows.
 */

import type { Document } from './documents.ts';
import type { Query } from './query.ts';
import type { ApiResponse } from './response.ts';

export function page<Row>(
  rows: readonly Row[],
  query: Query,
  show: (row: Row) => unknown = (row) => row,
): ApiResponse {
  const number = Number(single(query, 'page[number]') ?? 1);
  const size = Number(single(query, 'page[size]') ?? 20);
  return {
    status: 200,
    body: {
      data: rows.slice((number - 1) * size, number * size).map(show),
      meta: {
        page_number: number,
        page_size: size,
        total_pages: Math.ceil(rows.length / size),
        total_results: rows.length,
      },
    },
  };
}

/** Filters and sorts documents for GET /documents. Default: newest first. */
export function selectDocuments(newestFirst: readonly Document[], query: Query): readonly Document[] {
  const after = instant(query, 'filter[created_at][gt]');
  const before = instant(query, 'filter[created_at][lt]');
  const reference = single(query, 'filter[customer_reference][eq]');
  const references = query.get('filter[customer_reference][in]');
  const name = single(query, 'filter[filename][contains]');
  const selected = newestFirst.filter(
    ({ createdAt, customerReference, fileName }) =>
      (after === undefined || createdAt > after) &&
      (before === undefined || createdAt < before) &&
      (reference === undefined || customerReference === reference) &&
      (references === undefined || references.includes(customerReference)) &&
      (name === undefined || fileName.includes(name)),
  );
  const orders = query.get('sort')?.map(orderOf);
  if (!orders) return selected;
  return selected.sort((a, b) => {
    for (const order of orders) {
      const difference = order(a, b);
      if (difference !== 0) return difference;
    }
    return 0;
  });
}

type Order = (a: Document, b: Document) => number;

const ascending: Readonly<Record<string, Order>> = {
  filename: (a, b) => (a.fileName < b.fileName ? -1 : a.fileName > b.fileName ? 1 : 0),
  created_at: (a, b) => a.createdAt - b.createdAt,
  updated_at: (a, b) => a.updatedAt - b.updatedAt,
};

/** @param field a field of `ascending`; with `-` in front, descending */
function orderOf(field: string): Order {
  const order = ascending[field.replace('-', '')] as Order;
  return field.startsWith('-') ? (a, b) => order(b, a) : order;
}

/** The value of a parameter that is not a list. */
export function single(query: Query, name: string): string | undefined {
  return query.get(name)?.[0];
}

/** Milliseconds since the Unix epoch. */
function instant(query: Query, name: string): number | undefined {
  const text = single(query, name);
  return text === undefined ? undefined : Date.parse(text);
}

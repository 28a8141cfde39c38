/**
 * Paginated lists. Like at Telnyx, each request computes its page from the current list, so a list that changes between
 * two requests repeats or skips rows. Parameters outside the specification are rejected.
 */

import type { Document } from './documents.ts';
import { type ApiResponse, RequestError, telnyxErrorCodes } from './response.ts';

/** @throws RequestError for page numbers and sizes outside the specification */
export function page<Row>(
  rows: readonly Row[],
  query: URLSearchParams,
  show: (row: Row) => unknown = (row) => row,
): ApiResponse {
  const number = wholeNumber(query, 'page[number]', 1, Number.MAX_SAFE_INTEGER, 1);
  const size = wholeNumber(query, 'page[size]', 1, 250, 20);
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

/**
 * Filters and sorts documents for GET /documents. Default: newest first.
 *
 * @throws RequestError for an invalid instant or sort order
 */
export function selectDocuments(
  newestFirst: readonly Document[],
  query: URLSearchParams,
): readonly Document[] {
  const after = instant(query, 'filter[created_at][gt]');
  const before = instant(query, 'filter[created_at][lt]');
  const reference = query.get('filter[customer_reference][eq]');
  const references = query.getAll('filter[customer_reference][in][]');
  const name = query.get('filter[filename][contains]');
  const selected = newestFirst.filter(
    ({ createdAt, customerReference, fileName }) =>
      (after === undefined || createdAt > after) &&
      (before === undefined || createdAt < before) &&
      (reference === null || customerReference === reference) &&
      (references.length === 0 || references.includes(customerReference)) &&
      (name === null || fileName.includes(name)),
  );
  const sort = query.get('sort[]') ?? query.get('sort') ?? '-created_at';
  switch (sort) {
    case '-created_at':
    case '-updated_at':
      return selected;
    case 'created_at':
    case 'updated_at':
      return selected.reverse();
    case 'filename':
      return selected.sort(byName);
    case '-filename':
      return selected.sort(byName).reverse();
    default:
      throw badParameter('sort[]');
  }
}

/** @throws RequestError for a filter that is not in `known` */
export function rejectUnknownFilters(query: URLSearchParams, known: readonly string[]): void {
  for (const name of query.keys()) {
    if (name.startsWith('filter') && !known.includes(name)) throw badParameter(name);
  }
}

function wholeNumber(
  query: URLSearchParams,
  name: string,
  min: number,
  max: number,
  fallback: number,
): number {
  const text = query.get(name);
  if (text === null) return fallback;
  const number = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (number >= min && number <= max) return number;
  throw badParameter(name);
}

/** Milliseconds since the Unix epoch. */
function instant(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null) return undefined;
  const ms = Date.parse(text);
  if (Number.isNaN(ms)) throw badParameter(name);
  return ms;
}

const byName = (a: Document, b: Document) => (a.fileName < b.fileName ? -1 : 1);

const badParameter = (name: string) =>
  new RequestError(400, telnyxErrorCodes.badRequest, 'Invalid parameter', name);

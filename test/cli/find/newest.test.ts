import { expect, it } from 'vitest';
import { NewestRows } from '../../../cli/find/newest.ts';
import type { CatalogueRow } from '../../../functions/bucket/catalogue-rows.ts';

const rowOf = (number: number, archived?: string): CatalogueRow => ({
  id: `5a3b1e00-0000-4000-8000-${String(number).padStart(12, '0')}`,
  state: archived === undefined ? 'erased' : 'archived',
  stamp: 's',
  ...(archived !== undefined && { archived }),
});

it.each([1, 2, 5, Number.POSITIVE_INFINITY])(
  'keeps the newest %s rows, and sorts those of the same time by ID, in whatever order they come',
  (limit) => {
    const newest = new NewestRows(limit);
    const second = '2026-11-23T08:00:00Z';
    const sorted = [
      rowOf(4, '2026-11-24T08:00:00Z'),
      ...[1, 2, 5].map((number) => rowOf(number, second)),
      rowOf(3, '2026-11-22T08:00:00Z'),
      rowOf(0),
    ];

    newest.add(sorted.slice(3).toReversed());
    newest.add(sorted.slice(0, 3).toReversed());

    expect(newest.sorted()).toEqual(sorted.slice(0, limit));
    expect(newest.count).toBe(6);
  },
);

import { expect, it } from 'vitest';
import { createConfirmingReader } from '../../functions/telnyx/confirm.ts';
import type { ListRow, Page } from '../../functions/telnyx/lists.ts';

const row = (key: string): ListRow => ({ key, candidate: undefined });
const pageOf = (keys: string): Page => [...keys].map(row);
const isOurs = ({ key }: ListRow) => key !== 'x';

/** Reads one page, for which the list returns `answers`, after a page with the rows `before`. 'x' does not belong. */
async function confirmed(before: string, answers: string[]) {
  const read = createConfirmingReader();
  if (before !== '') await read(async () => pageOf(before));
  let requests = 0;
  const { page, nothingNew, matchesFilter } = await read(async () => {
    requests += 1;
    return pageOf(answers[requests - 1] ?? '');
  }, isOurs);
  return { keys: page.map(({ key }) => key).join(''), nothingNew, matchesFilter, requests };
}

it.each([
  [
    'accepts a page with new rows at the first request',
    '',
    ['abc'],
    { keys: 'abc', nothingNew: false, matchesFilter: true, requests: 1 },
  ],
  [
    'accepts some of the previous rows at the first request',
    'abc',
    ['ab'],
    { keys: 'ab', nothingNew: false, matchesFilter: true, requests: 1 },
  ],
  [
    'accepts a page of which one row is new at the first request',
    'abc',
    ['abd'],
    { keys: 'abd', nothingNew: false, matchesFilter: true, requests: 1 },
  ],
  [
    'accepts an empty page when it comes twice',
    'abc',
    ['', ''],
    { keys: '', nothingNew: true, matchesFilter: true, requests: 2 },
  ],
  [
    'accepts the previous rows when they come twice',
    'abc',
    ['cab', 'abc'],
    { keys: 'cab', nothingNew: true, matchesFilter: true, requests: 2 },
  ],
  [
    'discards an empty page when the second request returns rows',
    'abc',
    ['', 'd'],
    { keys: 'd', nothingNew: false, matchesFilter: true, requests: 2 },
  ],
  [
    'discards a repeated page when the second request returns new rows',
    'abc',
    ['abc', 'd'],
    { keys: 'd', nothingNew: false, matchesFilter: true, requests: 2 },
  ],
  [
    'takes the longer of two pages without new rows',
    'abc',
    ['', 'abc'],
    { keys: 'abc', nothingNew: true, matchesFilter: true, requests: 2 },
  ],
  [
    'takes the longer of two pages even if it is the first',
    'abc',
    ['abc', ''],
    { keys: 'abc', nothingNew: true, matchesFilter: true, requests: 2 },
  ],
  [
    'discards rows that do not belong',
    'abc',
    ['x', 'd'],
    { keys: 'd', nothingNew: false, matchesFilter: true, requests: 2 },
  ],
  [
    'accepts an empty page that comes twice, with rows that do not belong in between',
    'abc',
    ['', 'x', ''],
    { keys: '', nothingNew: true, matchesFilter: true, requests: 3 },
  ],
  [
    'prefers an empty page to rows that do not belong',
    'abc',
    ['', 'x', 'x', 'x'],
    { keys: '', nothingNew: true, matchesFilter: true, requests: 4 },
  ],
  [
    'returns matchesFilter: false after four pages of rows that do not belong',
    'abc',
    ['x', 'x', 'x', 'xy'],
    { keys: 'xy', nothingNew: false, matchesFilter: false, requests: 4 },
  ],
])('%s', async (_, before, answers, expected) => {
  const result = await confirmed(before, answers);

  expect(result).toEqual(expected);
});

it('accepts every row when the request has no filter', async () => {
  let requests = 0;

  const { matchesFilter } = await createConfirmingReader()(async () => {
    requests += 1;
    return pageOf('x');
  });

  expect({ matchesFilter, requests }).toEqual({ matchesFilter: true, requests: 1 });
});

import { expect, it } from 'vitest';
import { createConfirmingReader } from '../../functions/telnyx/confirm.ts';
import type { ListRow, Page } from '../../functions/telnyx/lists.ts';

const row = (key: string): ListRow => ({ key, candidate: undefined });
const pageOf = (keys: string): Page => [...keys].map(row);
const isOurs = ({ key }: ListRow) => key !== 'x';

/** Makes one request, which gets these answers, after one that was answered by `before`. 'x' does not belong. */
async function confirmed(before: string, answers: string[]) {
  const read = createConfirmingReader();
  if (before !== '') await read(async () => pageOf(before));
  let times = 0;
  const { page, nothingNew, matchesFilter } = await read(async () => {
    times += 1;
    return pageOf(answers[times - 1] ?? '');
  }, isOurs);
  return { keys: page.map(({ key }) => key).join(''), nothingNew, matchesFilter, times };
}

it.each([
  [
    'accepts a page with new rows at the first request',
    '',
    ['abc'],
    { keys: 'abc', nothingNew: false, matchesFilter: true, times: 1 },
  ],
  [
    'accepts some of the previous rows at the first request',
    'abc',
    ['ab'],
    { keys: 'ab', nothingNew: false, matchesFilter: true, times: 1 },
  ],
  [
    'accepts an empty page when it comes twice',
    'abc',
    ['', ''],
    { keys: '', nothingNew: true, matchesFilter: true, times: 2 },
  ],
  [
    'accepts the previous rows when they come twice',
    'abc',
    ['cab', 'abc'],
    { keys: 'cab', nothingNew: true, matchesFilter: true, times: 2 },
  ],
  [
    'discards an empty page when the second request returns rows',
    'abc',
    ['', 'd'],
    { keys: 'd', nothingNew: false, matchesFilter: true, times: 2 },
  ],
  [
    'discards a repeated page when the second request returns new rows',
    'abc',
    ['abc', 'd'],
    { keys: 'd', nothingNew: false, matchesFilter: true, times: 2 },
  ],
  [
    'takes the longer of two pages without new rows',
    'abc',
    ['', 'abc'],
    { keys: 'abc', nothingNew: true, matchesFilter: true, times: 2 },
  ],
  [
    'takes the longer of two pages, also when it comes first',
    'abc',
    ['abc', ''],
    { keys: 'abc', nothingNew: true, matchesFilter: true, times: 2 },
  ],
  [
    'discards rows that do not belong',
    'abc',
    ['x', 'd'],
    { keys: 'd', nothingNew: false, matchesFilter: true, times: 2 },
  ],
  [
    'accepts an empty page that comes twice, with a foreign one in between',
    'abc',
    ['', 'x', ''],
    { keys: '', nothingNew: true, matchesFilter: true, times: 3 },
  ],
  [
    'prefers an empty page to rows that do not belong',
    'abc',
    ['', 'x', 'x', 'x'],
    { keys: '', nothingNew: true, matchesFilter: true, times: 4 },
  ],
  [
    'reports matchesFilter: false after four pages of rows that do not belong',
    'abc',
    ['x', 'x', 'x', 'xy'],
    { keys: 'xy', nothingNew: false, matchesFilter: false, times: 4 },
  ],
])('%s', async (_, before, answers, expected) => {
  const result = await confirmed(before, answers);

  expect(result).toEqual(expected);
});

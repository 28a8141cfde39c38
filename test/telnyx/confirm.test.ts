import { expect, it } from 'vitest';
import { createAsk } from '../../functions/telnyx/confirm.ts';
import type { Page, Row } from '../../functions/telnyx/lists.ts';

const row = (key: string): Row => ({ key, candidate: undefined });
const pageOf = (keys: string): Page => [...keys].map(row);
const isOurs = ({ key }: Row) => key !== 'x';

/** Asks one question, which gets these answers, after one that was answered by `before`; 'x' belongs to neither. */
async function asked(before: string, answers: string[]) {
  const ask = createAsk();
  if (before !== '') await ask(async () => pageOf(before));
  let times = 0;
  const { page, nothingNew, heeded } = await ask(async () => {
    times += 1;
    return pageOf(answers[times - 1] ?? '');
  }, isOurs);
  return { keys: page.map(({ key }) => key).join(''), nothingNew, heeded, times };
}

it.each([
  ['rows, at once', '', ['abc'], { keys: 'abc', nothingNew: false, heeded: true, times: 1 }],
  [
    'some of the rows before, at once',
    'abc',
    ['ab'],
    { keys: 'ab', nothingNew: false, heeded: true, times: 1 },
  ],
  ['no rows, when it comes twice', 'abc', ['', ''], { keys: '', nothingNew: true, heeded: true, times: 2 }],
  [
    'the rows before, when they come twice',
    'abc',
    ['cab', 'abc'],
    { keys: 'cab', nothingNew: true, heeded: true, times: 2 },
  ],
  [
    'not an empty answer that rows follow',
    'abc',
    ['', 'd'],
    { keys: 'd', nothingNew: false, heeded: true, times: 2 },
  ],
  [
    'not a repeated answer that rows follow',
    'abc',
    ['abc', 'd'],
    { keys: 'd', nothingNew: false, heeded: true, times: 2 },
  ],
  [
    'the longer of two that say nothing new',
    'abc',
    ['', 'abc'],
    { keys: 'abc', nothingNew: true, heeded: true, times: 2 },
  ],
  [
    'the longer of two, whichever comes first',
    'abc',
    ['abc', ''],
    { keys: 'abc', nothingNew: true, heeded: true, times: 2 },
  ],
  [
    'not rows of another question',
    'abc',
    ['x', 'd'],
    { keys: 'd', nothingNew: false, heeded: true, times: 2 },
  ],
  [
    'no rows, with other questions’ between',
    'abc',
    ['', 'x', ''],
    { keys: '', nothingNew: true, heeded: true, times: 3 },
  ],
  [
    'no rows, rather than another question’s',
    'abc',
    ['', 'x', 'x', 'x'],
    { keys: '', nothingNew: true, heeded: true, times: 4 },
  ],
  [
    'that it is not heeded, after four times',
    'abc',
    ['x', 'x', 'x', 'xy'],
    { keys: 'xy', nothingNew: false, heeded: false, times: 4 },
  ],
])('believes %s', async (_, before, answers, expected) => {
  const believed = await asked(before, answers);

  expect(believed).toEqual(expected);
});

import { expect, it } from 'vitest';
import { wrapped } from '../../terminal/wrap.ts';

it.each([
  ['fills a line to its last column', 'ab cd ef', 5, ['ab cd', 'ef']],
  ['gives a word that is longer than the line a line of its own', 'a abcdefgh b', 5, ['a', 'abcdefgh', 'b']],
  [
    'keeps a command whole, with the characters after it',
    'Run `a b c`), then d',
    8,
    ['Run', '`a b c`),', 'then d'],
  ],
  ['breaks at the spaces after a single backtick', 'a ` b', 3, ['a `', 'b']],
  ['returns no line for an empty text', '', 5, []],
])('%s', (_what, text, width, lines) => {
  expect(wrapped(text, width)).toEqual(lines);
});

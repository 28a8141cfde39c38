import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { membersOf, nestingOf } from '../functions/json-text.ts';
import { cpuMsOf } from './cpu-time.ts';
import { fuzzRuns } from './fuzz-runs.ts';

/** JSON with white space between the tokens. */
const spaced = (text: string, space: string) => {
  // Outside strings only.
  let isInString = false;
  let spacedText = '';
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at] ?? '';
    if (isInString && character === '\\') {
      spacedText += character + text[++at];
      continue;
    }
    if (character === '"') isInString = !isInString;
    spacedText += !isInString && '{}[],:'.includes(character) ? space + character + space : character;
  }
  return spacedText;
};
const space = fc.string({ unit: fc.constantFrom(' ', '\n', '\t', '\r'), maxLength: 3 });
const jsonObject = fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue());

describe('membersOf', () => {
  it('returns the same members as JSON.parse for any names, values and white space', () => {
    fc.assert(
      fc.property(jsonObject, space, (object, between) => {
        const text = spaced(JSON.stringify(object), between);
        const parsed: Record<string, unknown> = JSON.parse(text);

        const members = membersOf(text);

        expect([...members.keys()].sort()).toEqual(Object.keys(parsed).sort());
        for (const [name, value] of members) {
          expect(JSON.parse(value)).toEqual(parsed[name]);
          expect(value).toBe(value.trim());
          expect(text).toContain(value);
        }
      }),
      { numRuns: fuzzRuns() },
    );
  });

  it('keeps the digits of numbers that JSON.parse rounds', () => {
    expect(membersOf('{"a": 2791500000000000123, "b":1e400,"c":-0.10}')).toEqual(
      new Map([
        ['a', '2791500000000000123'],
        ['b', '1e400'],
        ['c', '-0.10'],
      ]),
    );
  });

  it('returns the last of repeated members, as JSON.parse does, even if a name is escaped', () => {
    const text = String.raw`{"a":1,"\u0061":{"a":[3]},"b":"a\":\"x"}`;

    expect(membersOf(text)).toEqual(
      new Map([
        ['a', '{"a":[3]}'],
        ['b', String.raw`"a\":\"x"`],
      ]),
    );
  });

  it('returns no members for an empty object', () => {
    expect(membersOf(' { } ')).toEqual(new Map());
  });
});

describe('nestingOf', () => {
  it.each([
    ['"[[[{"', 0],
    ['7', 0],
    ['[]', 1],
    ['[[],[],[]]', 2],
    ['[{},{},{}]', 2],
    ['{"a":{"b":["]"]},"c":[]}', 3],
    [`${'['.repeat(200_000)}${']'.repeat(200_000)}`, 200_000],
  ])('counts the levels without recursion: %.20s', (text, levels) => {
    expect(nestingOf(text)).toBe(levels);
  });
});

it.each<[what: string, of: (size: number) => string]>([
  ['a string of escapes', (size) => `{"a":"${'\\\\'.repeat(size / 2)}"}`],
  ['nested arrays', (size) => `{"a":${'['.repeat(size / 2)}${']'.repeat(size / 2)}}`],
  ['an array of numbers', (size) => `{"a":[${'1,'.repeat(size / 2)}1]}`],
  ['repeated members', (size) => `{${'"a":1,'.repeat(size / 6)}"a":1}`],
])('reads %s in linear time, up to eight megabytes', (_what, of) => {
  const fastestOf = (text: string) =>
    Math.min(
      ...[1, 2, 3, 4, 5].map(() =>
        cpuMsOf(() => {
          membersOf(text);
          nestingOf(text);
        }),
      ),
    );

  // The text is four times as long: quadratic time would be sixteen times as long.
  expect(fastestOf(of(8_000_000))).toBeLessThan(8 * fastestOf(of(2_000_000)));
});

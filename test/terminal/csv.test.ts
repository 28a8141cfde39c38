import fc from 'fast-check';
import { expect, it } from 'vitest';
import { csvLine } from '../../terminal/csv.ts';

/** Reads a line as RFC 4180 says. */
function readLine(line: string): string[] {
  const cells = [...`,${line}`.matchAll(/,(?:"((?:[^"]|"")*)"|([^",]*))/g)];
  expect(cells.map(([text]) => text).join('')).toBe(`,${line}`);
  return cells.map(([, quoted, plain = '']) => quoted?.replaceAll('""', '"') ?? plain);
}

it('reads back as the same cells, apart from the apostrophe before a formula', () => {
  const cell = fc.string({ unit: fc.constantFrom(...`a,"\r\n\t=+-@'＝ü `), maxLength: 6 });
  fc.assert(
    fc.property(fc.array(cell, { minLength: 1 }), (cells) => {
      const read = readLine(csvLine(cells));

      expect(read).toEqual(cells.map((text) => (/^[=+\-@\t\r\n＝]/.test(text) ? `'${text}` : text)));
      expect(read.filter((text) => /^[=+\-@\t\r]/.test(text))).toEqual([]);
    }),
  );
});

it('writes numbers as they are and nothing for undefined', () => {
  expect(csvLine([-5, undefined, 'a'])).toBe('-5,,a');
});

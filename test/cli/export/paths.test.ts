import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { alternativePaths, ExportPaths, safeFileName } from '../../../cli/export/paths.ts';
import { propertyRuns } from '../../fuzz-runs.ts';

const hostile = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 600 }),
  fc.string({
    unit: fc.constantFrom('.', '/', '\\', ' ', '\0', '\u202e', 'é', '漢', '😀', 'a', ':'),
    maxLength: 400,
  }),
  fc.constantFrom(
    '..',
    '.',
    '../../../etc/passwd',
    'CON',
    'nul.txt',
    'NUL .txt',
    'con .log',
    'CONIN$',
    'conout$.txt',
    'COM¹ .a',
    `${'x'.repeat(199)} y`,
    `${'x'.repeat(199)}....y z`,
    'letter.pdf . . ',
    '.bashrc',
    'C:\\x',
    '-rf',
    ' ',
    'a\ud800b',
    'x'.repeat(600),
  ),
);

describe('safeFileName', () => {
  it('keeps the beginning and the extension of a name of 1 MB', () => {
    expect(safeFileName(`Letter ${'x'.repeat(1_000_000)}.pdf`, 'fallback')).toMatch(/^Letter x{189}\.pdf$/);
  });

  it('returns one safe path segment for any file name', () => {
    fc.assert(
      fc.property(hostile, (name) => {
        const safe = safeFileName(name, 'fallback');

        expect(safe).not.toBe('');
        expect(safe).not.toMatch(/^[.\s]|[.\s]$|[/\\:*?"<>|]|[\p{Cc}\p{Cf}\p{Cs}]/u);
        expect(Buffer.byteLength(safe)).toBeLessThanOrEqual(200);
        // Windows ignores blanks before the extension.
        expect(safe).not.toMatch(/^(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)\s*(\.|$)/i);
      }),
      { numRuns: propertyRuns(2_000) },
    );
  });

  it.each([
    ['NUL .txt', '_NUL .txt'],
    ['con .log', '_con .log'],
    ['CONIN$', '_CONIN$'],
    ['CONOUT$.txt', '_CONOUT$.txt'],
    ['com1', '_com1'],
    ['letter.pdf . .\u3000', 'letter.pdf'],
    [`${'x'.repeat(199)} ${'y'.repeat(20)}`, 'x'.repeat(199)],
    ['console.log', 'console.log'],
    ['Letter .pdf', 'Letter .pdf'],
  ])('turns the name %j into %j, which Windows keeps as it is', (name, safe) => {
    expect(safeFileName(name, 'x')).toBe(safe);
  });

  it('does not change an ordinary name', () => {
    expect(safeFileName('Vollmacht Müller – 2026.pdf', 'x')).toBe('Vollmacht Müller – 2026.pdf');
  });

  it('keeps the extension of a name that is too long', () => {
    expect(safeFileName(`${'ü'.repeat(300)}.pdf`, 'x')).toMatch(/^ü+\.pdf$/);
  });

  it.each([
    ['a\u200bb\u0007c', 'abc'],
    ['a/b\\c:d', 'a_b_c_d'],
    [' .. name. . ', 'name'],
    ['a . . b', 'a . . b'],
  ])('makes %j to %s', (name, safe) => {
    expect(safeFileName(name, 'x')).toBe(safe);
  });

  it('returns the fallback when nothing of the name is left', () => {
    expect(safeFileName('...', 'id')).toBe('id');
    expect(safeFileName(undefined, 'id')).toBe('id');
  });
});

describe('ExportPaths', () => {
  it('returns a unique path for each document, also on file systems that fold case and Unicode', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.uuid(), hostile), { maxLength: 60 }), (documents) => {
        const paths = new ExportPaths();
        const ids = new Map(documents);

        const chosen = [...ids].map(([id, fileName]) => paths.choose({ id, fileName, at: 0 }));

        const folded = chosen.map((path) => path.normalize('NFKC').toLowerCase());
        expect(new Set(folded).size).toBe(chosen.length);
        for (const path of chosen) expect(path).toMatch(/^1970\/01\/01\/[^/]+$/);
      }),
    );
  });

  it('inserts a part of the ID before the extension when the name is taken', () => {
    const paths = new ExportPaths();
    const at = Date.parse('2026-11-23T23:59:59Z');

    const first = paths.choose({ id: '5a3b1e00-0000-4000-8000-000000000001', fileName: 'Letter.pdf', at });
    const second = paths.choose({ id: 'aa3b1e00-0000-4000-8000-000000000002', fileName: 'letter.PDF', at });

    expect([first, second]).toEqual(['2026/11/23/Letter.pdf', '2026/11/23/letter (aa3b1e00).PDF']);
  });

  const at = Date.parse('2026-11-23T23:59:59Z');
  const ids = ['5a3b1e00-0000-4000-8000-000000000001', '5a3b1e00-0000-4000-8000-000000000002'] as const;

  it.each([
    ['README', 'README (5a3b1e00)'],
    ['a.extension12345', 'a (5a3b1e00).extension12345'],
    ['a.sixteen_letters_', 'a.sixteen_letters_ (5a3b1e00)'],
    ['a.fifteen_letters', 'a (5a3b1e00).fifteen_letters'],
  ])('marks the second %s as %s', (fileName, marked) => {
    const paths = new ExportPaths();
    paths.choose({ id: ids[0], fileName, at });

    expect(paths.choose({ id: ids[1], fileName, at })).toBe(`2026/11/23/${marked}`);
  });

  it('marks the third one of a name, with the same beginning of its id, with the whole id, and knows no fourth', () => {
    const paths = new ExportPaths();
    const choose = () => paths.choose({ id: ids[1], fileName: 'Letter.pdf', at });
    choose();
    choose();

    expect(choose()).toBe(`2026/11/23/Letter (${ids[1]}).pdf`);
    expect(choose).toThrow('already has a path');
  });

  it('takes names apart that differ in more than case', () => {
    const paths = new ExportPaths();

    expect(['Straße.pdf', 'Strasse.pdf', 'STRASSE.PDF'].map((name) => paths.claim(name))).toEqual([
      true,
      true,
      false,
    ]);
  });
});

describe('alternativePaths', () => {
  const id = '5a3b1e00-0000-4000-8000-000000000001';

  it.each([
    ['letter.pdf', [`${id} letter.pdf`, `${id}.pdf`, id]],
    ['archive.tar.gz', [`${id} archive.tar.gz`, `${id}.gz`, id]],
    ['letter.pdf–1', [`${id} letter.pdf–1`, id, id]],
    ['letter.–pdf', [`${id} letter.–pdf`, id, id]],
    ['letter', [`${id} letter`, id, id]],
  ])('of %s have the document ID, and the extension if it is ASCII', (name, names) => {
    expect(alternativePaths(`2026/11/23/${name}`, id)).toEqual(names.map((other) => `2026/11/23/${other}`));
  });
});

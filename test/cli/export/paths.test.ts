import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ExportPaths, safeFileName } from '../../../cli/export/paths.ts';
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
        expect(safe).not.toMatch(/^(con|prn|aux|nul)(\.|$)/i);
      }),
      { numRuns: propertyRuns(2_000) },
    );
  });

  it('does not change an ordinary name', () => {
    expect(safeFileName('Vollmacht Müller – 2026.pdf', 'x')).toBe('Vollmacht Müller – 2026.pdf');
  });

  it('keeps the extension of a name that is too long', () => {
    expect(safeFileName(`${'ü'.repeat(300)}.pdf`, 'x')).toMatch(/^ü+\.pdf$/);
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
    paths.choose({ id: '5a3b1e00-0000-4000-8000-000000000001', fileName: 'Letter.pdf', at });

    const second = paths.choose({ id: 'aa3b1e00-0000-4000-8000-000000000002', fileName: 'letter.PDF', at });

    expect(second).toBe('2026/11/23/letter (aa3b1e00).PDF');
  });
});

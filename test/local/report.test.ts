import { stripVTControlCharacters } from 'node:util';
import { describe, expect, it } from 'vitest';
import { Ledger } from '../../local/ledger.ts';
import { changeLine, documentTable, summaryOf } from '../../local/report.ts';

const archived = '5a3b1e00-0000-4000-8000-000000000001';
const failed = '5a3b1e00-0000-4000-8000-000000000002';
const span = '0f0e0d0c-0000-4000-8000-000000000003';

function someLedger(): Ledger {
  const ledger = new Ledger();
  const lines = [
    {
      documentId: archived,
      lane: 'documents',
      outcome: 'archived',
      bytes: 20_000_000,
      ms: 1_500,
    },
    {
      documentId: failed,
      lane: 'backfill',
      outcome: 'dead-lettered',
      code: 'EncryptionKeyUnavailable',
      reason: 'KMS.',
      receives: 3,
    },
    { outcome: 'waiting', messageId: span, lane: 'spans', kind: 'span', code: 'RateLimited' },
  ];
  for (const line of lines) ledger.read(JSON.stringify(line));
  return ledger;
}

/** Cells by row, without borders. */
function cellsOf(table: string): string[][] {
  return table
    .split('\n')
    .filter((line) => line.startsWith('│'))
    .map((line) =>
      line
        .split('│')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
}

describe('documentTable', () => {
  it('shows all columns when the output is not a terminal, failures first', () => {
    const table = documentTable(someLedger(), new Map([[archived, 'Übersicht 契約書.pdf']])).plain;

    expect(cellsOf(table)).toEqual([
      ['document', 'outcome', 'receives', 'size', 'seconds', 'file name or code'],
      [failed, 'dead letter', '3', '', '', 'EncryptionKeyUnavailable'],
      [span, 'waiting', '1', '', '', 'RateLimited'],
      [archived, 'archived', '1', '20.0 MB', '1.50', 'Übersicht 契約書.pdf'],
    ]);
  });

  it.each([
    [80, ['document', 'outcome', 'file name or code']],
    [100, ['document', 'outcome', 'receives', 'size', 'file name or code']],
    [120, ['document', 'outcome', 'receives', 'size', 'seconds', 'file name or code']],
  ])('fits into a terminal with %d columns', (width, columns) => {
    const names = new Map([[archived, `${'A long name, '.repeat(20)}.pdf`]]);

    const table = documentTable(someLedger(), names, width).plain;

    const lengths = table.split('\n').map((line) => stripVTControlCharacters(line).length);
    expect(Math.max(...lengths)).toBeLessThanOrEqual(width);
    expect(cellsOf(table)[0]).toEqual(columns);
    expect(cellsOf(table)[3]?.at(-1)).toMatch(/^A long name, .*…$/);
  });

  it('escapes control characters in file names', () => {
    const table = documentTable(someLedger(), new Map([[archived, 'a\u001b[2Jb\u202e.pdf']])).plain;

    expect(table).toContain('a\\u{1b}[2Jb\\u{202e}.pdf');
  });

  it('shows at most 40 rows and the number of further documents', () => {
    const ledger = someLedger();
    for (let n = 0; n < 50; n += 1) {
      ledger.read(JSON.stringify({ documentId: `document-${n}`, outcome: 'archived' }));
    }

    const table = documentTable(ledger, new Map()).plain;

    expect(cellsOf(table)).toHaveLength(41);
    expect(table).toMatch(/… and 13 more$/);
    expect(cellsOf(table)[1]?.[0]).toBe(failed);
  });

  it('is empty without documents', () => {
    expect(documentTable(new Ledger(), new Map()).plain).toBe('');
  });
});

describe('summaryOf', () => {
  it('counts outcomes and prints code and reason of every dead letter', () => {
    expect(summaryOf(someLedger(), '/archive')).toEqual([
      '1 archived (20.0 MB), 0 already archived, 1 dead letter, 1 waiting.',
      `  ${failed}  EncryptionKeyUnavailable: KMS.`,
      'Archive: /archive',
    ]);
  });

  it('counts documents that a span found and did not queue as already archived', () => {
    const ledger = new Ledger();
    ledger.read(JSON.stringify({ outcome: 'done', lane: 'spans', kind: 'span', found: 9, queued: 0 }));

    expect(summaryOf(ledger, '/archive')[0]).toMatch(/^0 archived \(0 B\), 9 already archived, 0 dead/);
  });
});

describe('changeLine', () => {
  it.each([
    [archived, `${archived}  archived, 20.0 MB`],
    [failed, `${failed}  dead letter: EncryptionKeyUnavailable, 3 receives`],
    [span, `${span}  waiting: RateLimited, message of kind span`],
  ])('states the new state of %s', (id, line) => {
    const entry = someLedger().entries.get(id);
    if (entry === undefined) throw new Error('The ledger has no such entry.');

    expect(changeLine({ document: id, ...entry })).toBe(line);
  });
});

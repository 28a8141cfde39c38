import { stripVTControlCharacters } from 'node:util';
import { describe, expect, it } from 'vitest';
import { Ledger } from '../../local/ledger.ts';
import { changeLine, documentTable, fileNamesOf, summaryOf } from '../../local/report.ts';

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

/** The table's text; fails if there is none. */
function tableOf(...args: Parameters<typeof documentTable>): string {
  const table = documentTable(...args);
  if (table === undefined) throw new Error('There is no table.');
  return table.plain;
}

describe('documentTable', () => {
  it('fits 100 columns when the output is not a terminal, failures first, with the names of failed documents', () => {
    const names = new Map([
      [archived, 'Übersicht 契約書.pdf'],
      [failed, 'Lost.pdf'],
    ]);

    const table = tableOf(someLedger(), names);

    expect(cellsOf(table)).toEqual([
      ['document', 'outcome', 'code', 'file name'],
      [failed, 'dead letter', 'EncryptionKeyUnavailable', 'Lost.pdf'],
      [span, 'waiting', 'RateLimited', 'span message'],
      [archived, 'archived', '', 'Übersicht 契約…'],
    ]);
    expect(Math.max(...table.split('\n').map((line) => line.length))).toBeLessThanOrEqual(100);
  });

  it('says so when the name of a document is not known, and has no column of codes without failures', () => {
    const ledger = new Ledger();
    ledger.read(JSON.stringify({ lane: 'documents', documentId: archived, outcome: 'archived' }));

    expect(cellsOf(tableOf(ledger, new Map()))).toEqual([
      ['document', 'outcome', 'receives', 'size', 'seconds', 'file name'],
      [archived, 'archived', '1', '0 B', '0.00', 'not known'],
    ]);
  });

  it.each([
    [80, ['document', 'outcome', 'file name']],
    [100, ['document', 'outcome', 'code', 'file name']],
    [120, ['document', 'outcome', 'code', 'receives', 'size', 'file name']],
    [130, ['document', 'outcome', 'code', 'receives', 'size', 'seconds', 'file name']],
  ])('fits into a terminal with %d columns', (width, columns) => {
    const names = new Map([[archived, `${'A long name, '.repeat(20)}.pdf`]]);

    const table = tableOf(someLedger(), names, width);

    const lengths = table.split('\n').map((line) => stripVTControlCharacters(line).length);
    expect(Math.max(...lengths)).toBeLessThanOrEqual(width);
    expect(cellsOf(table)[0]).toEqual(columns);
    expect(cellsOf(table)[3]?.at(-1)).toMatch(/^A long name, .*…$/);
  });

  it('escapes control characters in file names', () => {
    const table = tableOf(someLedger(), new Map([[archived, 'a\u001b[2Jb\u202e.pdf']]), 140);

    expect(table).toContain('a\\u{1b}[2Jb\\u{202e}.pdf');
  });

  it('shows at most 40 rows and the number of further documents', () => {
    const ledger = someLedger();
    for (let n = 0; n < 50; n += 1) {
      ledger.read(JSON.stringify({ lane: 'documents', documentId: `document-${n}`, outcome: 'archived' }));
    }

    const table = tableOf(ledger, new Map());

    expect(cellsOf(table)).toHaveLength(41);
    expect(table).toMatch(/… and 13 more$/);
    expect(cellsOf(table)[1]?.[0]).toBe(failed);
  });

  it('is empty without documents', () => {
    expect(documentTable(new Ledger(), new Map())).toBeUndefined();
  });
});

describe('summaryOf', () => {
  it('counts outcomes and prints code and reason of every dead letter', () => {
    expect(summaryOf(someLedger(), '/archive')).toEqual([
      '1 archived (20.0 MB), 0 already archived, 1 dead letter, 1 waiting.',
      `  ${failed}  EncryptionKeyUnavailable: KMS.`,
      "Telnyx's list of documents was not read to its end: documents may be missing.",
      'Archive: /archive',
    ]);
  });

  it('counts erased documents if there are any', () => {
    const ledger = new Ledger();
    ledger.read(JSON.stringify({ outcome: 'erased', lane: 'documents', documentId: archived }));

    expect(summaryOf(ledger, '/archive')[0]).toBe(
      '0 archived (0 B), 0 already archived, 1 erased, 0 dead letters.',
    );
  });

  it('counts documents that a span found and did not queue as already archived', () => {
    const ledger = new Ledger();
    ledger.read(JSON.stringify({ outcome: 'done', lane: 'spans', kind: 'span', found: 9, queued: 0 }));

    expect(summaryOf(ledger, '/archive')).toEqual([
      '0 archived (0 B), 9 already archived, 0 dead letters.',
      'Archive: /archive',
    ]);
  });
});

describe('fileNamesOf', () => {
  it('does not know the name of a document that was erased after it was archived', async () => {
    const bucket = { read: async () => Buffer.from('{"v":1,"state":"erased"}') };

    expect(await fileNamesOf(someLedger(), bucket, () => undefined)).toEqual(new Map());
  });

  it('reads names from receipts, and asks for those of documents without one', async () => {
    const receipts = new Map([
      [`receipts/${archived}.json`, Buffer.from('{"telnyx":{"filename":"Archived.pdf"}}')],
    ]);
    const bucket = { read: async (key: string) => receipts.get(key) };
    const asked: string[] = [];

    const names = await fileNamesOf(someLedger(), bucket, (id) => {
      asked.push(id);
      return 'Failed.pdf';
    });

    expect([...names]).toEqual([
      [failed, 'Failed.pdf'],
      [archived, 'Archived.pdf'],
    ]);
    expect(asked).toEqual([failed]);
  });
});

describe('changeLine', () => {
  it.each([
    [archived, `${archived}  archived, 20.0 MB`],
    [failed, `${failed}  dead letter, backfill, 3 receives: EncryptionKeyUnavailable: KMS.`],
    [span, `${span}  waiting, span message, spans: RateLimited`],
  ])('states the new state of %s', (id, line) => {
    const entry = someLedger().entries.get(id);
    if (entry === undefined) throw new Error('The ledger has no such entry.');

    expect(changeLine({ document: id, ...entry })).toBe(line);
  });
});

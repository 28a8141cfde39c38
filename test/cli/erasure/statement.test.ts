import { describe, expect, it } from 'vitest';
import type { Erasure } from '../../../cli/erasure/erase-document.ts';
import { erasureStatement, type StatementFacts } from '../../../cli/erasure/statement.ts';
import { day, noon } from '../../fakes/documents.ts';
import { id, otherId } from './world.ts';

const tombstone: Erasure['tombstone'] = {
  v: 1,
  state: 'erased',
  documentId: id,
  erasedAt: '2026-11-24T11:59:58.000Z',
  erasedBy: 'arn:aws:iam::111122223333:role/erasure',
  basis: 'DSR-2026-114',
  erased: {
    archivedAt: '2026-11-14T12:00:04.000Z',
    document: { bytes: 49_661, sha256: 'a'.repeat(64) },
    receipt: { sha256: 'b'.repeat(64) },
  },
  archiver: '1.0.0',
};
const erasure: Erasure = {
  tombstone,
  sha256: 'c'.repeat(64),
  deleted: [
    {
      key: `documents/${id}`,
      versionId: 'v1',
      isLatest: false,
      isDeleteMarker: false,
      bytes: 49_661,
      modified: noon - 10 * day,
      lock: { held: false, retention: undefined },
    },
    {
      key: `documents/${id}`,
      versionId: 'v2',
      isLatest: false,
      isDeleteMarker: true,
      bytes: 0,
      modified: noon - day,
      lock: { held: false, retention: undefined },
    },
  ],
  unfinished: undefined,
};
const facts: StatementFacts = {
  archive: 'telnyx-archiver in eu-central-1',
  bucket: 's3://example-archive',
  operator: { role: 'arn:aws:iam::111122223333:role/erasure', session: 'ada' },
  basis: 'DSR-2026-114',
  hasCatalogue: true,
  writtenAt: noon,
  version: '1.0.0',
  erasures: [erasure],
  others: [],
};

describe('the statement of an erasure', () => {
  it('states who erased what, the digests, each deleted version and how to verify it', () => {
    const others = [{ documentId: otherId, why: 'refused: on hold since 2026-11-01T00:00:00.000Z: Case 1' }];

    expect(erasureStatement({ ...facts, others })).toMatchInlineSnapshot(`
      "STATEMENT OF ERASURE

        Archive     telnyx-archiver in eu-central-1
        Bucket      s3://example-archive
        Written     2026-11-24T12:00:00.000Z
        Written by  arn:aws:iam::111122223333:role/erasure, session ada
        Basis       DSR-2026-114
        Program     telnyx-document-archiver 1.0.0
        Result      1 document erased, 1 document not erased

      DOCUMENT 6e0c8a55-2d0b-4bb0-9d6a-0a6c1e5d7f01

        Begun      2026-11-24T11:59:58.000Z, by arn:aws:iam::111122223333:role/erasure
        Erased     complete when this was written
        Basis      DSR-2026-114
        Archived   2026-11-14T12:00:04.000Z
        Object     49.7 kB, SHA-256 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
        Receipt    SHA-256 bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb
        Tombstone  SHA-256 cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc, at all three keys
        Contexts   none left
        Catalogue  states at most that it is erased
        Deleted by this run:
          documents/6e0c8a55-2d0b-4bb0-9d6a-0a6c1e5d7f01  version v1  49.7 kB, written 2026-11-14T12:00:00.000Z
          documents/6e0c8a55-2d0b-4bb0-9d6a-0a6c1e5d7f01  version v2  delete marker, written 2026-11-23T12:00:00.000Z

      NOT ERASED

      6e0c8a55-2d0b-4bb0-9d6a-0a6c1e5d7f02  refused: on hold since 2026-11-01T00:00:00.000Z: Case 1

      HOW TO VERIFY

      Each of the three keys of an erased document has one version, the tombstone, and no delete marker. All have the
      SHA-256 stated above. Nothing is left below contexts/<document ID>/.

        aws s3api list-object-versions --bucket example-archive --prefix documents/6e0c8a55-2d0b-4bb0-9d6a-0a6c1e5d7f01
        aws s3 cp s3://example-archive/documents/6e0c8a55-2d0b-4bb0-9d6a-0a6c1e5d7f01 - | sha256sum
        aws s3api list-object-versions --bucket example-archive --prefix receipts/6e0c8a55-2d0b-4bb0-9d6a-0a6c1e5d7f01
        aws s3 cp s3://example-archive/receipts/6e0c8a55-2d0b-4bb0-9d6a-0a6c1e5d7f01.json - | sha256sum
        aws s3api list-object-versions --bucket example-archive --prefix contexts/6e0c8a55-2d0b-4bb0-9d6a-0a6c1e5d7f01
        aws s3 cp s3://example-archive/contexts/6e0c8a55-2d0b-4bb0-9d6a-0a6c1e5d7f01.json - | sha256sum

      WHAT THIS STATEMENT DOES NOT COVER

      Copies outside the archive: Telnyx itself, exports, reports and backups. docs/erasure.md lists them.
      "
    `);
  });

  it('does not speak of a catalogue that the archiver does not keep', () => {
    const statement = erasureStatement({ ...facts, hasCatalogue: false });

    expect(statement).not.toContain('Catalogue');
    expect(statement).toContain('  Contexts   none left\n  Deleted by this run:\n');
  });

  it('has no list of what is not erased if all is', () => {
    const [erased = '', rest] = erasureStatement(facts).split('\n\nHOW TO VERIFY\n');

    expect(erased.split('\n').at(-1)).toMatch(/^ {4}documents\/.* written 2026-11-23T12:00:00\.000Z$/);
    expect(rest).toBeDefined();
  });

  it('names no session if the operator has none', () => {
    const statement = erasureStatement({ ...facts, operator: { role: 'local' } });

    expect(statement).toContain('  Written by  local\n');
  });

  it('names a folder once, and verifies its files with sha256sum', () => {
    const statement = erasureStatement({ ...facts, archive: '/srv/archive', bucket: '/srv/archive' });

    expect(statement).toContain('  Archive     /srv/archive\n  Written     2026-11-24T12:00:00.000Z\n');
    expect(statement).not.toContain('Bucket ');
    expect(statement).toContain(
      `  sha256sum /srv/archive/documents/${id}\n  sha256sum /srv/archive/receipts/${id}.json\n`,
    );
    expect(statement).not.toContain('aws s3');
  });

  it('quotes a path that a shell would split', () => {
    const statement = erasureStatement({ ...facts, bucket: '/srv/my archive' });

    expect(statement).toContain(`  sha256sum '/srv/my archive/documents/${id}'\n`);
  });

  it('says why an erasure is not finished, counts it apart, and gives no commands to verify it', () => {
    const unfinished = { reason: 'held', detail: 'on hold since today: Case 1' } as const;

    const statement = erasureStatement({ ...facts, erasures: [{ ...erasure, unfinished }] });

    expect(statement).toContain('  Result      0 documents erased, 1 document not finished\n');
    expect(statement).toContain('  Erased     not finished: on hold since today: Case 1\n');
    expect(statement).toContain('  Contexts   not finished\n');
    expect(statement).toContain(
      'Nothing is left below contexts/<document ID>/.\n\nWHAT THIS STATEMENT DOES NOT COVER\n',
    );
  });

  it.each([
    ['both', tombstone.erased],
    ['the document', { document: tombstone.erased.document }],
    ['the receipt', { receipt: tombstone.erased.receipt }],
  ])('says that an earlier run deleted %s', (_what, erased) => {
    const earlier = { ...erasure, tombstone: { ...tombstone, erased }, deleted: [] };

    const statement = erasureStatement({ ...facts, erasures: [earlier] });

    expect(statement).toContain('  Deleted by this run: nothing; an earlier run did.\n');
  });

  it('says what was not there, and claims no deletion of it', () => {
    const bare = { ...erasure, tombstone: { ...tombstone, erased: {} }, deleted: [] };

    const statement = erasureStatement({ ...facts, erasures: [bare] });

    expect(statement).toContain('  Archived   unknown: no receipt\n  Object     none\n  Receipt    none\n');
    expect(statement).toContain('  Deleted by this run: nothing; nothing was archived.\n');
  });

  it('escapes what others wrote, so that no text forges a line or reaches a terminal', () => {
    const hostile = 'x\u001b[2J\n  Result      9 documents erased\u202e';

    const statement = erasureStatement({
      ...facts,
      basis: hostile,
      operator: { role: hostile, session: hostile },
      erasures: [{ ...erasure, tombstone: { ...tombstone, basis: hostile, erasedBy: hostile } }],
      others: [{ documentId: otherId, why: hostile }],
    });

    expect(statement).not.toContain('\u001b');
    expect(statement).not.toContain('\u202e');
    expect(statement.match(/^ {2}Result .*$/gm)).toEqual([
      '  Result      1 document erased, 1 document not erased',
    ]);
    expect(statement.match(/x\\u\{1b\}\[2J\\u\{a\} {2}Result/g)).toHaveLength(6);
  });
});

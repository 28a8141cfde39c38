import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  Fingerprints,
  isBefore,
  type LastListing,
  markUnchanged,
  type Stretch,
} from '../../functions/audit/cells.ts';
import type { SourceRow } from '../../functions/audit/sources.ts';
import { documentKey, receiptKey } from '../../functions/bucket/keys.ts';
import { collected } from '../collected.ts';
import { noon } from '../fakes/documents.ts';
import { sha256 } from '../fakes/memory-bucket.ts';
import { propertyRuns } from '../fuzz-runs.ts';

const everything: Stretch = { from: '', before: '' };

function rowOf(id: string, { etag = 'e', modified = noon - 1, otherVersions = 0 } = {}): SourceRow {
  const current = { bytes: 10, modified, versionId: 'v', etag };
  const listed = { id, current, otherVersions, deleteMarkers: 0 };
  return { id, object: { ...listed, key: documentKey(id) }, receipt: { ...listed, key: receiptKey(id) } };
}

async function* stream(rows: readonly SourceRow[]) {
  yield* rows;
}

function listingOf(rows: readonly SourceRow[], stretch = everything, newFrom = noon): LastListing {
  const fingerprints = new Fingerprints(newFrom);
  for (const row of rows) fingerprints.add(row);
  return { cells: new Map(Object.entries(fingerprints.of(stretch))), newFrom, problems: new Set() };
}

async function changedIds(rows: readonly SourceRow[], last: LastListing | undefined, stretch = everything) {
  const marked = await collected(markUnchanged(stream(rows), stretch, last));
  return marked.filter(({ unchanged }) => !unchanged).map(({ row }) => row.id);
}

const ids = fc
  .uniqueArray(fc.tuple(fc.nat(5), fc.nat(20)), { minLength: 1, maxLength: 30, selector: String })
  .map((numbers) =>
    numbers
      .map(([cell, number]) => `00${cell}${number.toString(16).padStart(5, '0')}-0000-4000-8000-000000000001`)
      .sort(),
  );

describe('a document', () => {
  it('is unchanged if the listing of its whole cell is the same as in the last run', () => {
    return fc.assert(
      fc.asyncProperty(ids, async (all) => {
        const rows = all.map((id) => rowOf(id));

        expect(await changedIds(rows, listingOf(rows))).toEqual([]);
      }),
      { numRuns: propertyRuns(100) },
    );
  });

  it.each([
    ['has another ETag', (row: SourceRow) => rowOf(row.id, { etag: 'other' })],
    ['has a second version', (row: SourceRow) => rowOf(row.id, { otherVersions: 1 })],
    ['lost its receipt', ({ receipt: _, ...row }: SourceRow) => row],
    ['is gone', () => undefined],
  ])('is read with its cell if one of them %s', (_what, change) => {
    return fc.assert(
      fc.asyncProperty(ids, fc.nat(), async (all, pick) => {
        const rows = all.map((id) => rowOf(id));
        const position = pick % rows.length;
        const victim = rows[position] as SourceRow;
        const now = rows.toSpliced(position, 1, ...[change(victim)].filter((row) => row !== undefined));

        const read = await changedIds(now, listingOf(rows));

        const cell = victim.id.slice(0, 3);
        expect(read).toEqual(now.map(({ id }) => id).filter((id) => id.startsWith(cell)));
      }),
      { numRuns: propertyRuns(60) },
    );
  });

  it('that is new is read, and the other documents of its cell are not', async () => {
    const [old, fresh] = ['00000001', '00000002'].map((head) => `${head}-0000-4000-8000-000000000001`);
    const rows = [rowOf(String(old)), rowOf(String(fresh), { modified: noon })];

    expect(await changedIds(rows, listingOf(rows.slice(0, 1)))).toEqual([fresh]);
  });

  it('is read again if the last run found a problem with it', async () => {
    const rows = ['00000001', '00000002'].map((head) => rowOf(`${head}-0000-4000-8000-000000000001`));
    const problems = new Set(rows.slice(0, 1).map(({ id }) => id));

    expect(await changedIds(rows, { ...listingOf(rows), problems })).toEqual([...problems]);
  });

  it('is read if there is no last run', async () => {
    const rows = [rowOf('00000001-0000-4000-8000-000000000001')];

    expect(await changedIds(rows, undefined)).toHaveLength(1);
  });

  it('is unchanged if both runs divide the IDs in the same way, and read if they cut its cell in different places', async () => {
    const rows = ['00100000', '00180000'].map((head) => rowOf(`${head}-0000-4000-8000-000000000001`));
    const first: Stretch = { from: '', before: '0018' };
    const last = listingOf(rows.slice(0, 1), first);

    expect(await changedIds(rows.slice(0, 1), last, first)).toEqual([]);
    expect(await changedIds(rows, last, everything)).toHaveLength(2);
  });
});

describe('fingerprints', () => {
  const id = '00180000-0000-4000-8000-000000000001';
  const listed = {
    id,
    current: { bytes: 10, modified: noon - 1, versionId: 'v', etag: 'e' },
    otherVersions: 0,
    deleteMarkers: 0,
  };
  const object = { ...listed, key: documentKey(id) };
  const receipt = { ...listed, key: receiptKey(id) };
  const fresh = { ...listed.current, modified: noon };

  /** The fingerprints of these rows by the names of their cells. */
  const fingerprintsOf = (rows: readonly SourceRow[], stretch = everything) =>
    Object.fromEntries(listingOf(rows, stretch).cells);
  /** 96 bits of the SHA-256 of a text. */
  const shortDigest = (text: string) =>
    Buffer.from(sha256(text), 'hex').subarray(0, 12).toString('base64url');

  it('stay the same in every version of the archiver', () => {
    const second = id.replace(/1$/, '2');
    const rows = [
      rowOf(id, { otherVersions: 1 }),
      { id: second, receipt: { ...receipt, id: second, key: receiptKey(second), deleteMarkers: 2 } },
    ];

    const text = `${id} v/e/10/1/0 v/e/10/1/0\n${second} - v/e/10/0/2\n`;
    expect(fingerprintsOf(rows)).toEqual({ '001': shortDigest(text) });
  });

  it('cover a document of which only the object or only the receipt is listed', () => {
    expect(fingerprintsOf([{ id, object }])).toEqual({ '001': shortDigest(`${id} v/e/10/0/0 -\n`) });
    expect(fingerprintsOf([{ id, receipt }])).toEqual({ '001': shortDigest(`${id} - v/e/10/0/0\n`) });
  });

  it('cover what a delete marker hides', () => {
    const hidden = { ...object, current: undefined, otherVersions: 1, deleteMarkers: 1 };

    expect(fingerprintsOf([{ id, object: hidden }])).toEqual({ '001': shortDigest(`${id} ///1/1 -\n`) });
  });

  it('leave out a document of which nothing is listed', () => {
    expect(fingerprintsOf([{ id }])).toEqual({});
  });

  it.each<[string, SourceRow]>([
    ['object', { id, object: { ...object, current: fresh }, receipt }],
    ['receipt', { id, object, receipt: { ...receipt, current: fresh } }],
  ])('leave out a document whose %s is new', (_part, row) => {
    expect(fingerprintsOf([row])).toEqual({});
  });

  it.each([
    ['', '', '001'],
    ['00', '002', '001'],
    ['001', '0', '001'],
    ['000001', '002001', '001'],
    ['0018', '', '001:0018:'],
    ['', '0019', '001::0019'],
    ['0018', '0019', '001:0018:0019'],
    ['0017001', '0018001', '001:0017001:0018001'],
    ['', '001', '001'],
  ])('of a stretch from "%s" to before "%s" have the cell "%s"', (from, before, cell) => {
    expect(Object.keys(fingerprintsOf([rowOf(id)], { from, before }))).toEqual([cell]);
  });
});

it.each([
  ['1', '2', true],
  ['2', '2', false],
  ['3', '2', false],
  ['20', '2', false],
  ['f', '', true],
])('Whether "%s" is before the end "%s" of a stretch is %s', (id, before, expected) => {
  expect(isBefore(id, before)).toBe(expected);
});

import { gunzipSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { CatalogueStore } from '../../functions/bucket/catalogue.ts';
import {
  type CatalogueRow,
  erasedRow,
  formatRows,
  type ListedRecords,
  parseRow,
  stampOf,
} from '../../functions/bucket/catalogue-rows.ts';
import {
  encodeShard,
  readShard,
  replaceShard,
  updateShard,
} from '../../functions/bucket/catalogue-shards.ts';
import { createCatalogue } from '../fakes/catalogue.ts';

const never = new AbortController().signal;
const idOf = (number: number) => `abc${number.toString(16).padStart(5, '0')}-0000-4000-8000-000000000001`;
const rowOf = (number: number, name = `${number}.pdf`): CatalogueRow => ({
  id: idOf(number),
  state: 'archived',
  stamp: 'stamp',
  name,
});

/** A row of the shard `abc`, with its members in the order of the schema. */
const anyRow = fc
  .record(
    {
      id: fc.nat(40).map(idOf),
      state: fc.constant('archived' as const),
      stamp: fc.string(),
      name: fc.string({ unit: 'grapheme' }),
      reference: fc.string({ unit: 'binary' }),
      bytes: fc.nat(),
      held: fc.constant(true as const),
      relations: fc.array(fc.record({ kind: fc.constant('port-out' as const), id: fc.string() })),
    },
    { requiredKeys: ['id', 'state', 'stamp'] },
  )
  .map((row): CatalogueRow => row);
const anyRows = fc
  .uniqueArray(anyRow, { selector: ({ id }) => id })
  .map((rows) => rows.toSorted((a, b) => (a.id < b.id ? -1 : 1)));

describe('a shard', () => {
  it('is read back as it was written, whatever the names in it', async () => {
    await fc.assert(
      fc.asyncProperty(anyRows, async (rows) => {
        const { store } = createCatalogue();
        await store.write('abc', encodeShard(rows), undefined, never);

        expect(await readShard(store, 'abc', never)).toMatchObject({ rows, isWhole: true });
      }),
    );
  });

  it('has the same bytes for the same rows, with no time and no name in its header', () => {
    const rows = [rowOf(1), rowOf(2)];

    const shard = encodeShard(rows);

    expect(shard.equals(encodeShard(structuredClone(rows)))).toBe(true);
    expect(shard.subarray(3, 8)).toEqual(Buffer.alloc(5));
    expect(gunzipSync(shard).toString()).toBe(formatRows(rows));
  });

  it.each([
    ['is not compressed', Buffer.from(formatRows([rowOf(1)]))],
    ['is cut', encodeShard([rowOf(1)]).subarray(0, -9)],
    ['is empty', Buffer.alloc(0)],
    ['ends within a line', gzipSync(formatRows([rowOf(1)]).trimEnd())],
    ['has a line that is no row', gzipSync(`${formatRows([rowOf(1)])}{}\n`)],
    ['has a field that rows do not have', gzipSync(formatRows([{ ...rowOf(1), ...{ owner: 'A.' } }]))],
    ['has rows of another shard', encodeShard([{ ...rowOf(1), id: idOf(1).replace('abc', 'abd') }])],
    ['is not in order', encodeShard([rowOf(2), rowOf(1)])],
    ['has a row twice', encodeShard([rowOf(1), rowOf(1)])],
  ])('is not whole if it %s', async (_what, body) => {
    const { store, damage } = createCatalogue();
    damage('abc', body);

    const { rows, isWhole, bytes, etag } = await readShard(store, 'abc', never);

    expect({ rows, isWhole, bytes }).toEqual({ rows: [], isWhole: false, bytes: body.length });
    expect(etag).toBeDefined();
  });

  it('is not whole if it has arbitrary bytes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (bytes) => {
        const { store, damage } = createCatalogue();
        damage('abc', Buffer.from(bytes));

        expect((await readShard(store, 'abc', never)).isWhole).toBe(false);
      }),
    );
  });
});

describe('a change of a shard', () => {
  it('that changes nothing writes nothing', async () => {
    const { store, written } = createCatalogue();
    await updateShard(store, 'abc', () => [rowOf(1)], never);
    written();

    await updateShard(store, 'abc', (rows) => [...rows], never);

    expect(written()).toEqual([]);
  });

  it('is made again if another writer was faster', async () => {
    const { store, rows } = createCatalogue();
    const count = 20;

    await Promise.all(
      Array.from({ length: count }, (_, number) =>
        updateShard(store, 'abc', (found) => [...found, rowOf(number)].sort(byId), never),
      ),
    );

    expect(await rows()).toEqual(Array.from({ length: count }, (_, number) => rowOf(number)));
  });

  it('empties a shard that is not whole, so that nothing of it is left', async () => {
    const { store, damage } = createCatalogue();
    damage('abc', gzipSync('{"id":"half a row of a passp'));

    await updateShard(store, 'abc', (found) => found, never);

    expect(await readShard(store, 'abc', never)).toMatchObject({ isWhole: false, bytes: 0 });
  });

  it('gives up when others keep changing the shard', async () => {
    const { store, attempts } = createBusyCatalogue();

    const update = updateShard(store, 'abc', () => [rowOf(1)], never);

    await expect(update).rejects.toMatchObject(busy);
    expect(attempts).toHaveLength(64);
  });
});

describe('rows that replace those that were read', () => {
  it('keep what another writer has changed in the meantime, and lose no row of either writer', async () => {
    await fc.assert(
      fc.asyncProperty(anyRows, anyRows, anyRows, async (before, theirs, ours) => {
        const { store, rows } = createCatalogue();
        await updateShard(store, 'abc', () => before, never);
        const base = await readShard(store, 'abc', never);
        await updateShard(store, 'abc', () => theirs, never);

        await replaceShard(store, 'abc', base, ours, never);

        const [stored, old, their, our] = [await rows(), before, theirs, ours].map(byIds);
        for (let number = 0; number <= 40; number += 1) {
          const id = idOf(number);
          const isTheirs = JSON.stringify(their?.get(id)) !== JSON.stringify(old?.get(id));
          expect(stored?.get(id)).toEqual((isTheirs ? their : our)?.get(id));
        }
      }),
    );
  });

  it('never bring back a document that was erased since', async () => {
    const { store, rows } = createCatalogue();
    const base = await readShard(store, 'abc', never);
    await updateShard(store, 'abc', () => [erasedRow(idOf(1))], never);

    await replaceShard(store, 'abc', base, [rowOf(1, 'passport.pdf'), rowOf(2)], never);

    expect(await rows()).toEqual([erasedRow(idOf(1)), rowOf(2)]);
  });

  it('replace a shard that was not whole', async () => {
    const { store, damage, rows } = createCatalogue();
    damage('abc');
    const base = await readShard(store, 'abc', never);

    await replaceShard(store, 'abc', base, [rowOf(1)], never);

    expect(await rows()).toEqual([rowOf(1)]);
  });

  it('are given up when others keep changing the shard', async () => {
    const { store, attempts } = createBusyCatalogue();
    const base = await readShard(store, 'abc', never);

    const replaced = replaceShard(store, 'abc', base, [rowOf(1)], never);

    await expect(replaced).rejects.toMatchObject(busy);
    expect(attempts).toHaveLength(64);
  });

  it('are not written over a shard that an erasure has emptied since', async () => {
    const { store, damage } = createCatalogue();
    damage('abc');
    const base = await readShard(store, 'abc', never);
    await updateShard(store, 'abc', (found) => found, never);

    const replaced = replaceShard(store, 'abc', base, [rowOf(1, 'passport.pdf')], never);

    await expect(replaced).rejects.toMatchObject({ code: 'BucketConflict' });
    expect(await readShard(store, 'abc', never)).toMatchObject({ bytes: 0 });
  });
});

it('A line that is not a row is refused without quoting it', () => {
  const line = formatRows([{ ...rowOf(1), ...{ owner: 'A.' } }]);

  expect(() => parseRow(line)).toThrow(new RangeError('A line of the catalogue is not a row.'));
});

describe('a stamp', () => {
  const listed = (key: string, versionId = 'v1', etag = 'e1', bytes = 1) => ({
    key,
    current: { bytes, modified: 0, versionId, etag },
    otherVersions: 0,
    deleteMarkers: 0,
  });
  const records: ListedRecords = { receipt: listed('r'), contexts: [listed('c')], holds: [listed('h')] };

  it('is short, never empty, and the same for the same listing', () => {
    expect(stampOf(records)).toMatch(/^[\w-]{16}$/);
    expect(stampOf(structuredClone(records))).toBe(stampOf(records));
  });

  it('of an erasure is empty, so that the next audit makes the row from the tombstone', () => {
    expect(erasedRow(idOf(1))).toEqual({ id: idOf(1), state: 'erased', stamp: '' });
  });

  it.each<[string, Partial<ListedRecords>]>([
    ['the version of the receipt', { receipt: listed('r', 'v2') }],
    ['the ETag of the receipt', { receipt: listed('r', 'v1', 'e2') }],
    ['the size of the receipt', { receipt: listed('r', 'v1', 'e1', 2) }],
    ['a delete marker on the receipt', { receipt: { ...listed('r'), current: undefined } }],
    ['a further context', { contexts: [listed('c'), listed('d')] }],
    ['a context less', { contexts: [] }],
    ['a further hold', { holds: [listed('h'), listed('i')] }],
  ])('differs with %s', (_what, change) => {
    expect(stampOf({ ...records, ...change })).not.toBe(stampOf(records));
  });
});

const busy = { code: 'BucketConflict', message: expect.stringContaining('Other writers') };

/** A catalogue that somebody else changes before each write. */
function createBusyCatalogue() {
  const { store } = createCatalogue();
  const attempts: string[] = [];
  const write = async (shard: string) => {
    attempts.push(shard);
    return false;
  };
  return { store: { ...store, write } satisfies CatalogueStore, attempts };
}

function byId(a: CatalogueRow, b: CatalogueRow): number {
  return a.id < b.id ? -1 : 1;
}

function byIds(rows: readonly CatalogueRow[]): Map<string, CatalogueRow> {
  return new Map(rows.map((row) => [row.id, row]));
}

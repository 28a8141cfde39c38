import { gunzipSync, gzipSync } from 'node:zlib';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { describe, expect, it } from 'vitest';
import { examine } from '../../../cli/erasure/examine.ts';
import type { CatalogueRow } from '../../../functions/bucket/catalogue-rows.ts';
import { readShard, updateShard } from '../../../functions/bucket/catalogue-shards.ts';
import { documentKey, receiptKey } from '../../../functions/bucket/keys.ts';
import { createArchive, id, otherId, runErase } from './world.ts';

const never = new AbortController().signal;
const shard = id.slice(0, 3);
const rowOf = (documentId: string): CatalogueRow => ({
  id: documentId,
  state: 'archived',
  stamp: 'stamp',
  name: `passport of ${documentId}.pdf`,
});
const erased = { id, state: 'erased', stamp: '' };

/** An archive of one document, and the rows of a catalogue that has both. */
async function createWorld() {
  const world = createArchive();
  world.archive();
  await updateShard(world.catalogue, shard, () => [rowOf(id), rowOf(otherId)], never);
  return {
    ...world,
    rows: async () => (await readShard(world.catalogue, shard, never)).rows,
    stored: async () => (await world.catalogue.read(shard, never))?.body,
  };
}

describe('an erasure', () => {
  it('leaves no more in the catalogue than that the document is erased, and other rows as they are', async () => {
    const { erase, rows, stored } = await createWorld();

    const { unfinished } = await erase();

    expect(unfinished).toBeUndefined();
    expect(await rows()).toEqual([erased, rowOf(otherId)]);
    expect(gunzipSync((await stored()) ?? '').toString()).not.toContain(`passport of ${id}`);
  });

  it('changes the row after both tombstones are there, and before a version is deleted', async () => {
    const { erase, bucket, dependencies, catalogue } = await createWorld();
    let rewritten: number | undefined;
    dependencies.catalogue = {
      ...catalogue,
      write: (...parameters) => {
        rewritten ??= bucket.requests.length;
        return catalogue.write(...parameters);
      },
    };

    await erase();

    const firstDeletion = bucket.requests.findIndex((request) => request.startsWith('delete '));
    const lastTombstone = bucket.requests.lastIndexOf(`put ${documentKey(id)}`);
    expect(lastTombstone).toBeLessThan(rewritten ?? 0);
    expect(rewritten).toBeLessThanOrEqual(firstDeletion);
  });

  it('adds a row if the catalogue has none of the document, so that an audit under way notices', async () => {
    const { erase, rows, catalogue } = await createWorld();
    await updateShard(catalogue, shard, () => [rowOf(otherId)], never);

    await erase();

    expect(await rows()).toEqual([erased, rowOf(otherId)]);
  });

  it('adds a shard to a catalogue that has none of the document', async () => {
    const world = createArchive();
    world.archive();
    await updateShard(world.catalogue, '777', () => [rowOf(`777${id.slice(3)}`)], never);

    await world.erase();

    expect((await readShard(world.catalogue, shard, never)).rows).toEqual([erased]);
  });

  it('leaves the row of an erased document as an audit has written it', async () => {
    const { erase, rows, catalogue } = await createWorld();
    const written = [{ ...erased, stamp: 'of the audit' } as const, rowOf(otherId)];
    await updateShard(catalogue, shard, () => written as CatalogueRow[], never);

    await erase();

    expect(await rows()).toEqual(written);
  });

  it('changes no row while there is no tombstone', async () => {
    let puts = 0;
    const world = createArchive((send) => async (command) => {
      if (command instanceof PutObjectCommand) {
        puts += 1;
        world.bucket.put(receiptKey(id), `other ${puts}`, world.time.now());
      }
      return send(command);
    });
    world.archive();
    await updateShard(world.catalogue, shard, () => [rowOf(id)], never);

    await expect(world.erase()).rejects.toMatchObject({ code: 'BucketConflict' });

    expect((await readShard(world.catalogue, shard, never)).rows).toEqual([rowOf(id)]);
  });

  it('creates no catalogue if there is none', async () => {
    const world = createArchive();
    world.archive();

    await world.erase();

    expect(await world.catalogue.list(never)).toEqual([]);
  });

  it('empties a shard that is not whole, because it may hold anything', async () => {
    const { erase, stored, catalogue, dependencies } = await createWorld();
    const { etag } = await readShard(catalogue, shard, never);
    await catalogue.write(shard, gzipSync(`{"id":"${id}","name":"passp`), etag, never);
    const before = (await examine(id, dependencies)).isInCatalogue;

    await erase();

    expect(before).toBe(true);
    expect(await stored()).toHaveLength(0);
    expect((await examine(id, dependencies)).isInCatalogue).toBe(false);
  });

  it('works for an archiver without a catalogue', async () => {
    const { erase, dependencies } = await createWorld();
    dependencies.catalogue = undefined;

    expect((await erase()).unfinished).toBeUndefined();
  });

  it('is not proven while the row is left, and the same command goes on', async () => {
    const world = await createWorld();
    await world.erase();
    // As if the command had been killed before it came to the catalogue.
    await updateShard(world.catalogue, shard, () => [rowOf(id), rowOf(otherId)], never);

    const { ended, result } = runErase(world, { documentIds: [id] });

    expect(await ended).toBe(0);
    expect(result.printed).toContain('erased');
    expect(result.printed).not.toContain('already-erased');
    expect(await world.rows()).toEqual([erased, rowOf(otherId)]);
  });

  it('with --dry-run changes no row', async () => {
    const world = await createWorld();

    await runErase(world, { documentIds: [id], dryRun: true }).ended;

    expect(await world.rows()).toEqual([rowOf(id), rowOf(otherId)]);
  });

  it('of many documents of one shard at once changes each row', async () => {
    const world = createArchive();
    const ids = Array.from({ length: 20 }, (_, number) => id.slice(0, -2) + String(number + 10));
    for (const each of ids) world.archive(each);
    await updateShard(world.catalogue, shard, () => ids.map(rowOf), never);

    const { ended } = runErase(world, { documentIds: ids });

    expect(await ended).toBe(0);
    const { rows } = await readShard(world.catalogue, shard, never);
    expect(rows).toEqual(ids.map((each) => ({ ...erased, id: each })));
  });

  it('fails if the catalogue cannot be written, and deletes nothing', async () => {
    const { erase, bucket, dependencies, catalogue } = await createWorld();
    dependencies.catalogue = {
      ...catalogue,
      write: async () => {
        throw new Error('The disk is full.');
      },
    };

    await expect(erase()).rejects.toThrow('The disk is full.');
    expect(bucket.requests.filter((request) => request.startsWith('delete '))).toEqual([]);
  });
});

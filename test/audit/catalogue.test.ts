import { describe, expect, it } from 'vitest';
import { encodeShard, readShard } from '../../functions/bucket/catalogue-shards.ts';
import { documentKey, receiptKey, shardKey } from '../../functions/bucket/keys.ts';
import { createAuditFunction } from '../fakes/audit-function.ts';
import { noon } from '../fakes/documents.ts';
import type { MemoryBucket } from '../fakes/memory-bucket.ts';

import { createCatalogueWorld, idOf } from './catalogue-world.ts';

const never = new AbortController().signal;

describe('the audit', () => {
  it('makes a row for each archived document, without reading a receipt twice', async () => {
    const { archive, night, catalogue, receiptsRead } = createCatalogueWorld();
    for (let number = 0; number < 6; number += 1) archive(number);

    await night();

    expect(await catalogue.rows()).toMatchObject(
      Array.from({ length: 6 }, (_, number) => ({ id: idOf(number), state: 'archived', bytes: 10 })),
    );
    expect(receiptsRead()).toBe(6);
    expect(catalogue.written()).toEqual(['000', '001', '002'].map(shardKey));
  });

  it('writes nothing in a night in which nothing has changed', async () => {
    const { archive, night, catalogue, nextDay } = createCatalogueWorld();
    for (let number = 0; number < 6; number += 1) archive(number);
    await night();
    catalogue.written();
    nextDay();

    await night();

    expect(catalogue.written()).toEqual([]);
  });

  it('adds new contexts of a document to its row, until it is erased', async () => {
    const { archive, night, learn, erase, catalogue, nextDay } = createCatalogueWorld();
    for (const number of [0, 1]) {
      archive(number);
      await learn(number);
    }
    await night();
    const relation = { kind: 'porting-order', id: `order at ${noon}`, numbers: ['+493012345678'] };
    const learnt = await catalogue.rows();
    nextDay();
    await learn(1);
    await erase(0);

    await night();

    const [erased, later] = await catalogue.rows();
    expect(learnt.map(({ relations }) => relations)).toEqual([[relation], [relation]]);
    expect(erased).not.toHaveProperty('relations');
    expect(later?.relations).toHaveLength(2);
    expect(later?.relations).toContainEqual(relation);
  });

  it('writes only the shards of documents that are new, held or erased', async () => {
    const { archive, night, hold, erase, catalogue, nextDay } = createCatalogueWorld();
    for (let number = 0; number < 8; number += 1) archive(number);
    await night();
    nextDay();
    archive(8);
    await hold(0);
    await erase(3);
    catalogue.written();

    await night();

    expect(catalogue.written()).toEqual(['000', '001', '004'].map(shardKey));
    const rows = await catalogue.rows();
    expect(rows[0]).toMatchObject({ id: idOf(0), held: true });
    expect(rows[3]).toEqual({ id: idOf(3), state: 'erased', stamp: expect.stringMatching(/./) });
    expect(rows[8]).toMatchObject({ id: idOf(8), state: 'archived' });
  });

  it('builds a catalogue for an archive that had none', async () => {
    const world = createCatalogueWorld();
    for (let number = 0; number < 4; number += 1) world.archive(number);
    await createAuditFunction({ ...world, catalogue: undefined }).night();
    world.nextDay();

    await world.night();

    expect(await world.catalogue.rows()).toHaveLength(4);
  });

  it('drops the rows of documents that are gone, even if no document of a shard is left', async () => {
    const { archive, night, bucket, catalogue, nextDay } = createCatalogueWorld();
    for (let number = 0; number < 6; number += 1) archive(number);
    await night();
    for (const number of [1, 2, 3]) {
      bucket.objects.delete(documentKey(idOf(number)));
      bucket.objects.delete(receiptKey(idOf(number)));
    }
    nextDay();

    await night();

    expect((await catalogue.rows()).map(({ id }) => id)).toEqual([0, 4, 5].map(idOf));
  });

  it('keeps a row that another writer has added for a document archived after the listing', async () => {
    const { archive, night, nextDay, catalogue, time, bucket } = createCatalogueWorld();
    archive(0);
    archive(1);
    await night();
    const row = (await catalogue.rows())[1];
    // The listing does not have it yet; the catalogue and the bucket do.
    const { send } = bucket;
    const late = Object.create(bucket, {
      send: {
        value: async (command: unknown) => {
          const answer = (await send(command)) as { Versions?: { Key: string }[] };
          const { Versions } = answer;
          return Versions
            ? { ...answer, Versions: Versions.filter(({ Key }) => !Key.includes(idOf(1))) }
            : answer;
        },
      },
    }) as MemoryBucket;
    nextDay();

    await createAuditFunction({ time, bucket: late, catalogue: catalogue.store }).night();

    expect((await catalogue.rows())[1]).toEqual(row);
  });

  it('rebuilds a shard that is damaged or removed', async () => {
    const { archive, night, catalogue, nextDay } = createCatalogueWorld();
    for (let number = 0; number < 6; number += 1) archive(number);
    await night();
    const rows = await catalogue.rows();
    catalogue.damage('000');
    catalogue.damage('001', Buffer.alloc(0));
    catalogue.bucket.objects.delete(shardKey('002'));
    nextDay();

    await night();

    expect(await catalogue.rows()).toEqual(rows);
  });

  it('makes every row again in a full run, whatever the catalogue says', async () => {
    const { archive, night, catalogue, nextDay } = createCatalogueWorld();
    archive(0);
    await night();
    const rows = await catalogue.rows();
    const { etag } = await readShard(catalogue.store, '000', never);
    const forged = rows.map((row) => ({ ...row, name: 'forged.pdf' }));
    await catalogue.store.write('000', encodeShard(forged), etag, never);
    nextDay();

    await night(true);

    expect(await catalogue.rows()).toEqual(rows);
  });

  it('keeps the rows of documents that a part has not reached', async () => {
    // The function's time is up after each document.
    const world = createCatalogueWorld();
    for (const number of [0, 1]) world.archive(number);
    let now = 0;
    const monotonic = () => {
      now += 40_000;
      return now;
    };
    const hasty = createAuditFunction({
      ...world,
      catalogue: world.catalogue.store,
      time: Object.assign(Object.create(world.time), { monotonic }),
    });

    const { summary } = await hasty.night();

    expect(summary.parts.map(({ part }) => part)).toContain(`ids_${idOf(1)}_`);
    expect((await world.catalogue.rows()).map(({ id }) => id)).toEqual([0, 1].map(idOf));
  });
});

describe('a catalogue that fails', () => {
  const denied = () => ({ name: 'AccessDenied', status: 403 });

  it.each(['get', 'put', 'list'])('to %s does not fail the audit, is counted and logged', async (failing) => {
    const { archive, night, catalogue, metric, lines } = createCatalogueWorld();
    for (let number = 0; number < 30; number += 1) archive(number);
    catalogue.bucket.refuse = (operation) => (operation === failing ? denied() : undefined);

    const { summary, findings } = await night();

    expect(findings).toEqual([]);
    expect(summary).toMatchObject({ status: 'complete', tally: { documents: 30 } });
    // It is not tried for each of the fifteen shards.
    expect(metric('CatalogueFailures')).toMatchObject([{ CatalogueFailures: failing === 'list' ? 1 : 5 }]);
    expect(lines).toContainEqual(
      expect.objectContaining({ level: 'WARN', code: 'BucketMisconfigured', cause: 'AccessDenied' }),
    );
  });

  it('is complete after the next night', async () => {
    const { archive, night, catalogue, nextDay, fromScratch, metric } = createCatalogueWorld();
    for (let number = 0; number < 30; number += 1) archive(number);
    let puts = 0;
    catalogue.bucket.refuse = (operation) => (operation === 'put' && ++puts % 4 === 0 ? denied() : undefined);
    await night();
    catalogue.bucket.refuse = () => undefined;
    nextDay();

    await night();

    expect(await catalogue.rows()).toEqual(await fromScratch());
    expect(metric('CatalogueFailures')).toHaveLength(1);
  });

  it('keeps the row of a document whose receipt cannot be read, and updates all other rows', async () => {
    const { archive, night, hold, bucket, catalogue, nextDay } = createCatalogueWorld();
    archive(0);
    archive(1);
    await night();
    const [before] = await catalogue.rows();
    await hold(0);
    await hold(1);
    nextDay();
    bucket.refuse = (operation, key) =>
      operation === 'get' && key === receiptKey(idOf(0)) ? denied() : undefined;

    await night();

    expect(await catalogue.rows()).toMatchObject([{ stamp: before?.stamp }, { id: idOf(1), held: true }]);
  });
});

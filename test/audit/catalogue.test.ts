/** The catalogue, kept by the audit function night by night. */
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { eraseDocument } from '../../cli/erasure/erase-document.ts';
import { type ErasureDependencies, examine } from '../../cli/erasure/examine.ts';
import { placeHold, releaseHold } from '../../cli/erasure/hold-document.ts';
import type { CatalogueStore } from '../../functions/bucket/catalogue.ts';
import { encodeShard, readShard } from '../../functions/bucket/catalogue-shards.ts';
import { writeContext } from '../../functions/bucket/contexts.ts';
import { documentKey, receiptKey, shardKey } from '../../functions/bucket/keys.ts';
import { createBucket } from '../../functions/bucket/store.ts';
import { createVersions } from '../../functions/bucket/versions.ts';
import { type AuditFunctionOptions, createAuditFunction } from '../fakes/audit-function.ts';
import { createCatalogue } from '../fakes/catalogue.ts';
import { virtualTime } from '../fakes/clock.ts';
import { day, documentOf, noon, receiptOf, written } from '../fakes/documents.ts';
import { MemoryBucket } from '../fakes/memory-bucket.ts';
import { propertyRuns } from '../fuzz-runs.ts';

const never = new AbortController().signal;
const order = { basis: 'DSR-1', erasedBy: 'local', bypassGovernance: false };
/** Two documents share each shard. */
const idOf = (number: number) =>
  `${(number >> 1).toString(16).padStart(3, '0')}${number.toString(16).padStart(5, '0')}-0000-4000-8000-000000000001`;

interface WorldOptions extends Partial<AuditFunctionOptions> {
  wrap?: (store: CatalogueStore) => CatalogueStore;
}

function createWorld({ wrap = (store) => store, ...options }: WorldOptions = {}) {
  const time = virtualTime(noon);
  const bucket = new MemoryBucket(time);
  const catalogue = createCatalogue(time);
  const audit = createAuditFunction({ time, bucket, catalogue: wrap(catalogue.store), ...options });
  const access = { s3: bucket as never, name: 'archive', time };
  const dependencies: ErasureDependencies = {
    bucket: createBucket(access),
    catalogue: catalogue.store,
    versions: createVersions(access),
    retry: (work) => work(never),
    now: time.now,
    archiver: '0.2.0',
  };
  const hold = { reason: 'Case 12', by: 'local' };
  return {
    ...audit,
    time,
    bucket,
    catalogue,
    dependencies,
    archive: (number: number, body = `document ${number}`) => {
      const document = documentOf(idOf(number), Buffer.from(body));
      bucket.put(documentKey(idOf(number)), document.body, time.now());
      bucket.put(receiptKey(idOf(number)), written(receiptOf(document)), time.now());
    },
    erase: async (number: number) =>
      eraseDocument(await examine(idOf(number), dependencies), order, dependencies),
    /** Something is learnt about the document. */
    learn: (number: number) =>
      writeContext(
        {
          documentId: idOf(number),
          kind: 'porting-order',
          id: `order at ${time.now()}`,
          numbers: ['+493012345678'],
        },
        { learntAt: new Date(time.now()).toISOString(), archiver: '0.2.0' },
        dependencies.bucket,
        never,
      ),
    hold: (number: number) => placeHold(idOf(number), hold, dependencies),
    release: (number: number) => releaseHold(idOf(number), hold, dependencies),
    nextDay: () => time.set(time.now() + day),
    receiptsRead: () =>
      bucket.requests.splice(0).filter((request) => request.startsWith('get receipts/')).length,
    /** The rows that a catalogue has which is made at once. */
    fromScratch: async () => {
      const other = createCatalogue(time);
      // A run is named by its second.
      time.set(time.now() + day);
      await createAuditFunction({ time, bucket, catalogue: other.store }).night(true);
      return other.rows();
    },
  };
}

describe('the audit', () => {
  it('makes a row for each archived document, without reading a receipt twice', async () => {
    const { archive, night, catalogue, receiptsRead } = createWorld();
    for (let number = 0; number < 6; number += 1) archive(number);

    await night();

    expect(await catalogue.rows()).toMatchObject(
      Array.from({ length: 6 }, (_, number) => ({ id: idOf(number), state: 'archived', bytes: 10 })),
    );
    expect(receiptsRead()).toBe(6);
    expect(catalogue.written()).toEqual(['000', '001', '002'].map(shardKey));
  });

  it('writes nothing in a night in which nothing has changed', async () => {
    const { archive, night, catalogue, nextDay } = createWorld();
    for (let number = 0; number < 6; number += 1) archive(number);
    await night();
    catalogue.written();
    nextDay();

    await night();

    expect(catalogue.written()).toEqual([]);
  });

  it('adds what is learnt about a document, until it is erased', async () => {
    const { archive, night, learn, erase, catalogue, nextDay } = createWorld();
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
    const { archive, night, hold, erase, catalogue, nextDay } = createWorld();
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

  it('reads the receipts of an archive that is older than its catalogue', async () => {
    const world = createWorld();
    for (let number = 0; number < 4; number += 1) world.archive(number);
    await createAuditFunction({ ...world, catalogue: undefined }).night();
    world.nextDay();

    await world.night();

    expect(await world.catalogue.rows()).toHaveLength(4);
  });

  it('drops the rows of documents that are gone, also if a whole shard is', async () => {
    const { archive, night, bucket, catalogue, nextDay } = createWorld();
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

  it('keeps a row that another writer made for a document that came after the listing', async () => {
    const { archive, night, nextDay, catalogue, time, bucket } = createWorld();
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

  it('makes a shard again that is damaged, and one that is removed', async () => {
    const { archive, night, catalogue, nextDay } = createWorld();
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

  it('in full makes every row again, whatever the catalogue says', async () => {
    const { archive, night, catalogue, nextDay } = createWorld();
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

  it('leaves the rows alone that a part has not come to', async () => {
    // The function's time is up after each document.
    const world = createWorld();
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
    const { archive, night, catalogue, metric, lines } = createWorld();
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
    const { archive, night, catalogue, nextDay, fromScratch, metric } = createWorld();
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

  it('because one receipt cannot be read keeps the row that this document had, and updates the others', async () => {
    const { archive, night, hold, bucket, catalogue, nextDay } = createWorld();
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

describe('after any history', () => {
  const step = fc.record({
    action: fc.constantFrom('archive', 'erase', 'learn', 'hold', 'release', 'night', 'damage'),
    number: fc.nat(7),
  });

  it('the rows of the catalogue are those that are made at once', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
        const world = createWorld();
        const archived = new Set<number>();
        for (const { action, number } of steps) {
          if (action === 'archive' && !archived.has(number)) {
            archived.add(number);
            world.archive(number);
          } else if (action === 'night') await world.night();
          else if (action === 'damage') world.catalogue.damage(idOf(number).slice(0, 3));
          else if (action !== 'archive') await world[action](number);
          world.time.set(world.time.now() + 3_600_000);
        }

        await world.night();

        expect(await world.catalogue.rows()).toEqual(await world.fromScratch());
      }),
      { numRuns: propertyRuns(300) },
    );
  }, 120_000);

  it('an erasure at any moment of a night leaves nothing of the document in the catalogue', async () => {
    const digest = createHash('sha256').update('document 3').digest('hex');
    await fc.assert(
      fc.asyncProperty(fc.nat(60), fc.boolean(), async (moment, isNew) => {
        let requests = Number.NEGATIVE_INFINITY;
        let erasure: Promise<unknown> | undefined;
        const nextRequest = async () => {
          requests += 1;
          if (requests !== moment) return;
          erasure = world.erase(3);
          await erasure;
        };
        const world = createWorld({
          beforeRequest: nextRequest,
          wrap: (store) => ({
            list: store.list,
            read: async (...parameters) => {
              const read = await store.read(...parameters);
              await nextRequest();
              return read;
            },
            write: async (...parameters) => {
              await nextRequest();
              return await store.write(...parameters);
            },
          }),
        });
        for (const number of isNew ? [0, 1, 2] : [0, 1, 2, 3]) world.archive(number);
        await world.night();
        if (isNew) world.archive(3);
        world.nextDay();
        requests = 0;

        await world.night();
        await (erasure ?? world.erase(3));

        const rows = await world.catalogue.rows();
        expect(rows.map(({ id }) => id)).toEqual([0, 1, 2, 3].map(idOf));
        expect(Object.keys(rows[3] ?? {})).toEqual(['id', 'state', 'stamp']);
        expect(JSON.stringify(rows)).not.toContain(digest);
      }),
      { numRuns: propertyRuns(300) },
    );
  }, 120_000);
});

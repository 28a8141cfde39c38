/** Histories of an archive, and what its catalogue has afterwards. */
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { propertyRuns } from '../fuzz-runs.ts';

import { createCatalogueWorld, idOf } from './catalogue-world.ts';

describe('after any history', () => {
  const step = fc.record({
    action: fc.constantFrom('archive', 'erase', 'learn', 'hold', 'release', 'night', 'damage'),
    number: fc.nat(7),
  });

  it('the catalogue has the same rows as one that is built from the archive at once', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
        const world = createCatalogueWorld();
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
        const world = createCatalogueWorld({
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

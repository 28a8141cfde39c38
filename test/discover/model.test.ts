/** The list as the worst neighbour: it grows, shrinks, shuffles, repeats itself, comes empty and lies about totals. */

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type ListedRow, newestFirst } from '../fakes/telnyx-list.ts';
import { propertyRuns } from '../fuzz-runs.ts';
import { createWorld, documentId, minutes, noon, type Step, span } from './world.ts';

const windowMs = 30 * minutes;

interface Act {
  fault: Step['fault'];
  /** Positions, among those that may go, of documents that go before this answer. */
  gone: number[];
  /** How many documents come, created now. */
  come: number;
}

const act = fc.record<Act>({
  fault: fc.option(
    fc.constantFrom('rate-limited', 'unavailable', 'garbled', 'empty', 'repeated', 'unfiltered'),
    {
      nil: undefined,
      freq: 2,
    },
  ),
  gone: fc.array(fc.nat(1_000), { maxLength: 3 }),
  come: fc.nat(3),
});

const filters = {
  exact: (instant: number) => instant,
  'cut to seconds': (instant: number) => Math.floor(instant / 1_000) * 1_000,
  'rounded to seconds': (instant: number) => Math.round(instant / 1_000) * 1_000,
};

const story = fc
  .record({
    /** Many within few seconds need page numbers, and those an order; else any order at any request will do. */
    crowded: fc.boolean(),
    pageRows: fc.integer({ min: 20, max: 40 }),
    offsets: fc.array(fc.record({ ms: fc.nat(windowMs), stays: fc.boolean(), archived: fc.boolean() }), {
      minLength: 1,
      maxLength: 200,
      size: 'max',
    }),
    crowdAt: fc.nat(windowMs - 1),
    acts: fc.array(act, { minLength: 1, maxLength: 60, size: 'max' }),
    filter: fc.constantFrom(...(Object.keys(filters) as (keyof typeof filters)[])),
    inclusive: fc.boolean(),
    seed: fc.integer(),
  })
  .map((told) => ({
    ...told,
    documents: told.offsets.map(({ ms }, number): ListedRow => {
      const crowding = told.crowded && number % 4 !== 0;
      const offset = crowding
        ? told.crowdAt - (told.crowdAt % 1_000) + (ms % 1_000)
        : number * 9_000 + (ms % 9_000);
      return { id: documentId(number), createdAt: noon - windowMs + offset };
    }),
  }));

it('misses no document that is there throughout, and ends, whatever the list does meanwhile', async () => {
  await fc.assert(
    fc.asyncProperty(story, async (told) => {
      const staying = told.documents.filter((_, number) => told.offsets[number]?.stays);
      const archived = told.documents
        .filter((_, number) => told.offsets[number]?.archived)
        .map(({ id }) => id);
      const leaving = told.documents.filter((_, number) => !told.offsets[number]?.stays);
      const random = generator(told.seed);
      let came = 1_000_000;
      let faulty = false;
      const world = createWorld({
        documents: told.documents,
        archived,
        pageRows: told.pageRows,
        filtered: filters[told.filter],
        inclusive: told.inclusive,
        arrange: (documents) => (told.crowded ? newestFirst(documents) : shuffled(documents, random)),
        total: () => Math.floor(random() * 10_000),
        step: (request) => {
          const planned = told.acts[request % told.acts.length];
          // Of two requests in a row, one is served.
          const fault = faulty ? undefined : planned?.fault;
          faulty = fault !== undefined;
          return {
            fault,
            change: () => {
              for (const position of planned?.gone ?? []) {
                const [document] = leaving.splice(position % Math.max(1, leaving.length), 1);
                if (document) world.documents.delete(document.id);
              }
              for (let count = 0; count < (planned?.come ?? 0); count += 1) {
                came += 1;
                world.documents.set(documentId(came), { id: documentId(came), createdAt: world.time.now() });
              }
            },
          };
        },
      });

      await world.discover(span(noon - windowMs, noon));

      const queued = world.queued();
      const due = staying.map(({ id }) => id).filter((id) => !archived.includes(id));
      expect(queued).toEqual(expect.arrayContaining(due));
      expect(new Set(queued).size).toBe(queued.length);
      expect(queued.filter((id) => archived.includes(id))).toEqual([]);
    }),
    { numRuns: propertyRuns(1_000) },
  );
});

it('holds many more documents in one second than go onto a page, while they come and go', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer(), fc.integer({ min: 100, max: 400 }), async (seed, count) => {
      const random = generator(seed);
      const documents = Array.from({ length: count }, (_, number) => ({
        id: documentId(number),
        createdAt: noon,
      }));
      const staying = documents.filter(() => random() < 0.5);
      const leaving = documents.filter((document) => !staying.includes(document));
      const world = createWorld({
        documents,
        pageRows: 20 + Math.floor(random() * 20),
        step: () => ({
          change: () => {
            const [document] = leaving.splice(Math.floor(random() * leaving.length), 1);
            if (document) world.documents.delete(document.id);
          },
        }),
      });

      await world.discover(span(noon - windowMs, noon + windowMs));

      expect(world.queued()).toEqual(expect.arrayContaining(staying.map(({ id }) => id)));
    }),
    { numRuns: propertyRuns(100) },
  );
});

function shuffled(documents: ListedRow[], random: () => number): ListedRow[] {
  return documents
    .map((document) => ({ document, place: random() }))
    .sort((a, b) => a.place - b.place)
    .map(({ document }) => document);
}

/** Numbers in [0, 1) that are the same for the same seed (mulberry32). */
function generator(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

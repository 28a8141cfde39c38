/** A span must find every document when the list grows, shrinks, reorders, repeats pages, is empty or states wrong totals. */

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type ListedRow, newestFirst } from '../fakes/telnyx-list.ts';
import { propertyRuns } from '../fuzz-runs.ts';
import { createWorld, documentId, minutes, noon, type Step, span } from './world.ts';

const windowMs = 30 * minutes;

interface RequestEvents {
  fault: Step['fault'];
  /** Positions, among the removable documents, of those removed before this response. */
  removed: number[];
  /** Number of documents created before this response. */
  added: number;
}

const requestEvents = fc.record<RequestEvents>({
  fault: fc.option(
    fc.constantFrom('rate-limited', 'unavailable', 'garbled', 'empty', 'repeated', 'unfiltered'),
    {
      nil: undefined,
      freq: 2,
    },
  ),
  removed: fc.array(fc.nat(1_000), { maxLength: 3 }),
  added: fc.nat(3),
});

/** How Telnyx's filter reads the bounds. */
const filters = {
  exact: (instant: number) => instant,
  'truncated to seconds': (instant: number) => Math.floor(instant / 1_000) * 1_000,
  'rounded to seconds': (instant: number) => Math.round(instant / 1_000) * 1_000,
};

const scenarios = fc
  .record({
    /**
     * Whether three of four documents share one second. They are then read by page number, which needs a stable order;
     * otherwise the order changes with each request.
     */
    crowded: fc.boolean(),
    pageRows: fc.integer({ min: 20, max: 40 }),
    offsets: fc.array(
      fc.record({ ms: fc.nat(windowMs), isPermanent: fc.boolean(), archived: fc.boolean() }),
      {
        minLength: 1,
        maxLength: 200,
        size: 'max',
      },
    ),
    crowdedAt: fc.nat(windowMs - 1),
    events: fc.array(requestEvents, { minLength: 1, maxLength: 60, size: 'max' }),
    filter: fc.constantFrom(...(Object.keys(filters) as (keyof typeof filters)[])),
    inclusive: fc.boolean(),
    seed: fc.integer(),
  })
  .map((scenario) => ({
    ...scenario,
    documents: scenario.offsets.map(({ ms }, number): ListedRow => {
      const isCrowded = scenario.crowded && number % 4 !== 0;
      const offset = isCrowded
        ? scenario.crowdedAt - (scenario.crowdedAt % 1_000) + (ms % 1_000)
        : number * 9_000 + (ms % 9_000);
      return { id: documentId(number), createdAt: noon - windowMs + offset };
    }),
  }));

it('queues every document that exists throughout while the list changes and Telnyx fails', async () => {
  await fc.assert(
    fc.asyncProperty(scenarios, async (scenario) => {
      const permanent = scenario.documents.filter((_, number) => scenario.offsets[number]?.isPermanent);
      const archived = scenario.documents
        .filter((_, number) => scenario.offsets[number]?.archived)
        .map(({ id }) => id);
      const removable = scenario.documents.filter((_, number) => !scenario.offsets[number]?.isPermanent);
      const random = generator(scenario.seed);
      let lastAdded = 1_000_000;
      let lastFailed = false;
      const world = createWorld({
        documents: scenario.documents,
        archived,
        pageRows: scenario.pageRows,
        filtered: filters[scenario.filter],
        inclusive: scenario.inclusive,
        arrange: (documents) => (scenario.crowded ? newestFirst(documents) : shuffled(documents, random)),
        total: () => Math.floor(random() * 10_000),
        step: (request) => {
          const planned = scenario.events[request % scenario.events.length];
          // Two requests in a row never both fail.
          const fault = lastFailed ? undefined : planned?.fault;
          lastFailed = fault !== undefined;
          return {
            fault,
            change: () => {
              for (const position of planned?.removed ?? []) {
                const [document] = removable.splice(position % Math.max(1, removable.length), 1);
                if (document) world.documents.delete(document.id);
              }
              for (let count = 0; count < (planned?.added ?? 0); count += 1) {
                lastAdded += 1;
                world.documents.set(documentId(lastAdded), {
                  id: documentId(lastAdded),
                  createdAt: world.time.now(),
                });
              }
            },
          };
        },
      });

      await world.discover(span(noon - windowMs, noon));

      const queued = world.queued();
      const expected = permanent.map(({ id }) => id).filter((id) => !archived.includes(id));
      expect(queued).toEqual(expect.arrayContaining(expected));
      expect(new Set(queued).size).toBe(queued.length);
      expect(queued.filter((id) => archived.includes(id))).toEqual([]);
    }),
    { numRuns: propertyRuns(1_000) },
  );
});

it('queues every document of a second that fills many pages while other documents disappear', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer(), fc.integer({ min: 100, max: 400 }), async (seed, count) => {
      const random = generator(seed);
      const documents = Array.from({ length: count }, (_, number) => ({
        id: documentId(number),
        createdAt: noon,
      }));
      const permanent = documents.filter(() => random() < 0.5);
      const removable = documents.filter((document) => !permanent.includes(document));
      const world = createWorld({
        documents,
        pageRows: 20 + Math.floor(random() * 20),
        step: () => ({
          change: () => {
            const [document] = removable.splice(Math.floor(random() * removable.length), 1);
            if (document) world.documents.delete(document.id);
          },
        }),
      });

      await world.discover(span(noon - windowMs, noon + windowMs));

      expect(world.queued()).toEqual(expect.arrayContaining(permanent.map(({ id }) => id)));
    }),
    { numRuns: propertyRuns(100) },
  );
});

function shuffled(documents: ListedRow[], random: () => number): ListedRow[] {
  return documents
    .map((document) => ({ document, order: random() }))
    .sort((a, b) => a.order - b.order)
    .map(({ document }) => document);
}

/** Pseudorandom numbers in [0, 1), reproducible by seed (mulberry32). */
function generator(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

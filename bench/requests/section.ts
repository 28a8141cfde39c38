/** What one document costs in requests and connections, and what many at once gain. */
import { type Contestant, nodeContestant } from '../copy/contestants.ts';
import { exactly, type Figure, type Findings, ratioOf, type Section, spreadOf } from '../figures.ts';
import { newDocument } from '../wire/contents.ts';
import type { Counts } from '../wire/serve.ts';
import { startWire, type Wire } from '../wire/start.ts';

const rounds = 7;
const perRound = 20;
const batch = 10;
/** Of each answer, as between a function and S3 in the same region. */
const latencyMs = 30;

export const requesting: Section = {
  name: 'requests',
  title: 'Requests and connections per document, and ten documents at once',
  short: true,
  run: async ({ say }) => {
    say('requests and connections');
    const counted = await countRequests();
    say(`batches of ${batch} × 1 MB, ${latencyMs} ms per request`);
    const batched = await raceBatches();
    return { figures: [...counted, ...batched] };
  },
};

async function countRequests(): Promise<Figure[]> {
  const wire = await startWire();
  const archiver = nodeContestant('archive', wire);
  try {
    const load = () => Array.from({ length: perRound }, () => newDocument(100_000));
    await archiver.copy({ documents: load(), concurrency: batch });
    await countsOf(wire);
    const documents = load();
    await archiver.copy({ documents, concurrency: batch });
    const fresh = await countsOf(wire);
    await archiver.copy({ documents, concurrency: batch });
    const again = await countsOf(wire);
    const each = (count: number) => exactly(count / perRound);
    return [
      {
        name: 'S3 requests per new document',
        unit: '',
        value: each(total(fresh.sink)),
        reach: { atMost: 3 },
      },
      {
        name: 'S3 requests per document already archived',
        unit: '',
        value: each(total(again.sink)),
        reach: { atMost: 1 },
      },
      {
        name: 'Telnyx requests per new document',
        unit: '',
        value: each(fresh.source.requests['GET /v2'] ?? 0),
        reach: { atMost: 2 },
      },
      {
        name: 'Telnyx requests per document already archived',
        unit: '',
        value: each(total(again.source)),
        reach: { atMost: 0 },
      },
      {
        name: 'Downloads per new document',
        unit: '',
        value: each(fresh.source.requests['GET /storage'] ?? 0),
        reach: { atMost: 1 },
      },
      {
        name: 'New connections per document, warm',
        unit: '',
        value: each(fresh.source.connections + fresh.sink.connections),
        reach: { atMost: 0 },
      },
    ];
  } finally {
    archiver.close();
    wire.close();
  }
}

async function raceBatches(): Promise<Findings['figures']> {
  const wire = await startWire({ latencyMs });
  const named = nodeContestant('archive', wire);
  const found = nodeContestant('archive, found by a sweep', wire);
  try {
    for (const archiver of [named, found]) await msOf(archiver, batch);
    const waits: Record<'named' | 'found', number[]> = { named: [], found: [] };
    const inTurn: number[] = [];
    const atOnce: number[] = [];
    for (let round = 0; round < rounds; round += 1) {
      waits.named.push((await msOf(named, 1, 1)) / latencyMs);
      waits.found.push((await msOf(found, 1, 1)) / latencyMs);
      inTurn.push(await msOf(named, 1));
      atOnce.push(await msOf(named, batch));
    }
    return [
      {
        name: `${batch} × 1 MB at ${latencyMs} ms per request, at once against one after the other`,
        unit: '×',
        value: ratioOf(atOnce, inTurn),
        reach: { atMost: 0.25 },
      },
      {
        // Six requests: five waits in a row, as both of Telnyx's answers are waited for at once.
        name: `One document of 1 MB that a webhook names, in waits of ${latencyMs} ms`,
        unit: 'waits',
        value: spreadOf(waits.named),
        reach: { atMost: 5.9 },
      },
      {
        // The same requests in four waits: the receipt is looked for meanwhile.
        name: `One document of 1 MB that a sweep has found, in waits of ${latencyMs} ms`,
        unit: 'waits',
        value: spreadOf(waits.found),
        reach: { atMost: 4.5 },
      },
    ];
  } finally {
    named.close();
    found.close();
    wire.close();
  }
}

async function msOf(archiver: Contestant, concurrency: number, count = batch): Promise<number> {
  const documents = Array.from({ length: count }, () => newDocument(1_000_000));
  return (await archiver.copy({ documents, concurrency })).ms;
}

async function countsOf({ source, sink }: Wire): Promise<{ source: Counts; sink: Counts }> {
  return { source: await source.counts(), sink: await sink.counts() };
}

function total({ requests }: Counts): number {
  return Object.values(requests).reduce((sum, times) => sum + times, 0);
}

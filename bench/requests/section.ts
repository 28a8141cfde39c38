/** Requests and connections per document, and the gain from concurrency. */
import { type Contender, nodeContender } from '../copy/contenders.ts';
import { exact, type Figure, ratioOf, type Section, type SectionResult, spreadOf } from '../figures.ts';
import { newDocument } from '../wire/contents.ts';
import type { Counts } from '../wire/serve.ts';
import { startWire, type Wire } from '../wire/start.ts';

const rounds = 7;
const perRound = 20;
const batch = 10;
/** Latency of each response, typical between a function and S3 in the same region. */
const latencyMs = 30;

export const requestsSection: Section = {
  name: 'requests',
  title: 'Requests and connections per document, and ten concurrent documents',
  short: true,
  run: async ({ report }) => {
    report('requests and connections');
    const counted = await countRequests();
    report(`batches of ${batch} × 1 MB, ${latencyMs} ms per request`);
    const batched = await raceBatches();
    return { figures: [...counted, ...batched] };
  },
};

async function countRequests(): Promise<Figure[]> {
  const wire = await startWire();
  const archiver = nodeContender('archive', wire);
  try {
    const load = () => Array.from({ length: perRound }, () => newDocument(100_000));
    await archiver.copy({ documents: load(), concurrency: batch });
    await countsOf(wire);
    const documents = load();
    await archiver.copy({ documents, concurrency: batch });
    const fresh = await countsOf(wire);
    await archiver.copy({ documents, concurrency: batch });
    const again = await countsOf(wire);
    const each = (count: number) => exact(count / perRound);
    return [
      {
        name: 'S3 requests per new document',
        unit: '',
        value: each(total(fresh.sink)),
        target: { atMost: 3 },
      },
      {
        name: 'S3 requests per document already archived',
        unit: '',
        value: each(total(again.sink)),
        target: { atMost: 1 },
      },
      {
        name: 'Telnyx requests per new document',
        unit: '',
        value: each(fresh.source.requests['GET /v2'] ?? 0),
        target: { atMost: 2 },
      },
      {
        name: 'Telnyx requests per document already archived',
        unit: '',
        value: each(total(again.source)),
        target: { atMost: 0 },
      },
      {
        name: 'Downloads per new document',
        unit: '',
        value: each(fresh.source.requests['GET /storage'] ?? 0),
        target: { atMost: 1 },
      },
      {
        name: 'New connections per document, warm',
        unit: '',
        value: each(fresh.source.connections + fresh.sink.connections),
        target: { atMost: 0 },
      },
    ];
  } finally {
    archiver.close();
    wire.close();
  }
}

async function raceBatches(): Promise<SectionResult['figures']> {
  const wire = await startWire({ latencyMs });
  const named = nodeContender('archive', wire);
  const found = nodeContender('archive, found by a sweep', wire);
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
        name: `${batch} × 1 MB at ${latencyMs} ms per request, concurrent relative to sequential`,
        unit: '×',
        value: ratioOf(atOnce, inTurn),
        target: { atMost: 0.25 },
      },
      {
        // Six requests in five sequential waits, because both requests to Telnyx run concurrently.
        name: `One document of 1 MB from a webhook, in waits of ${latencyMs} ms`,
        unit: 'waits',
        value: spreadOf(waits.named),
        target: { atMost: 5.9 },
      },
      {
        // The same requests in four waits: the receipt is looked up concurrently.
        name: `One document of 1 MB from a sweep, in waits of ${latencyMs} ms`,
        unit: 'waits',
        value: spreadOf(waits.found),
        target: { atMost: 4.5 },
      },
    ];
  } finally {
    named.close();
    found.close();
    wire.close();
  }
}

async function msOf(archiver: Contender, concurrency: number, count = batch): Promise<number> {
  const documents = Array.from({ length: count }, () => newDocument(1_000_000));
  return (await archiver.copy({ documents, concurrency })).ms;
}

async function countsOf({ source, sink }: Wire): Promise<{ source: Counts; sink: Counts }> {
  return { source: await source.counts(), sink: await sink.counts() };
}

function total({ requests }: Counts): number {
  return Object.values(requests).reduce((sum, times) => sum + times, 0);
}

/** Peak memory of new processes that archive documents, by document size and by concurrency. */
import { nodeContender } from '../copy/contenders.ts';
import { type Figure, type Row, type Section, type Spread, spreadOf } from '../figures.ts';
import { newDocument } from '../wire/contents.ts';
import { startWire, type Wire } from '../wire/start.ts';

const rounds = 5;
const inFlight = 10;

interface Case {
  name: string;
  bytes: number;
  documents: number;
  concurrency: number;
}

export const memorySection: Section = {
  name: 'memory',
  title: 'Peak memory of a new process, compared to a document of 200 MB',
  short: true,
  run: async ({ full, report }) => {
    const large = full ? 4_000_000_000 : 1_000_000_000;
    const cases: Case[] = [
      { name: '1 MB', bytes: 1_000_000, documents: 1, concurrency: 1 },
      { name: '200 MB', bytes: 200_000_000, documents: 1, concurrency: 1 },
      { name: `${large / 1e9} GB`, bytes: large, documents: 1, concurrency: 1 },
      { name: '10 × 20 MB sequentially', bytes: 20_000_000, documents: inFlight, concurrency: 1 },
      { name: '10 × 20 MB concurrently', bytes: 20_000_000, documents: inFlight, concurrency: inFlight },
    ];
    const peaks = new Map<string, number[]>(cases.map(({ name }) => [name, []]));
    const wire = await startWire();
    try {
      for (let round = 0; round < rounds; round += 1) {
        report(`round ${round + 1} of ${rounds}`);
        for (const one of cases) peaks.get(one.name)?.push(await peakOf(one, wire));
      }
    } finally {
      wire.close();
    }
    const differenceOf = (more: string, less: string, parts = 1): Spread =>
      spreadOf(
        (peaks.get(more) ?? []).map(
          (peak, round) => (peak - (peaks.get(less)?.[round] ?? Number.NaN)) / parts,
        ),
      );
    const figures: Figure[] = [
      {
        name: `Peak memory, ${large / 1e9} GB document minus 200 MB document`,
        unit: 'MB',
        value: differenceOf(`${large / 1e9} GB`, '200 MB'),
        target: { atMost: 8 },
      },
      {
        name: 'Memory per additional concurrent document, 20 MB',
        unit: 'MB',
        value: differenceOf('10 × 20 MB concurrently', '10 × 20 MB sequentially', inFlight - 1),
        target: { atMost: 6 },
      },
    ];
    const rows: Row[] = cases.map(({ name }) => ({
      name,
      values: { 'peak MB': spreadOf(peaks.get(name) ?? []) },
    }));
    return { figures, tables: [{ title: 'Peak resident set size', rows }] };
  },
};

/** Peak memory of a new process, in MB. */
async function peakOf({ bytes, documents, concurrency }: Case, wire: Wire): Promise<number> {
  const archiver = nodeContender('archive', wire);
  try {
    const load = Array.from({ length: documents }, () => newDocument(bytes));
    return (await archiver.copy({ documents: load, concurrency })).peakMb ?? Number.NaN;
  } finally {
    archiver.close();
  }
}

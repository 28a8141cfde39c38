/** Peak memory of fresh processes that archive documents: by a document's size, and by how many are in flight. */
import { nodeContestant } from '../copy/contestants.ts';
import { type Figure, type Measured, type Section, type Spread, spreadOf } from '../figures.ts';
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

export const remembering: Section = {
  name: 'memory',
  title: 'Peak memory of a fresh process, beside a document of 200 MB',
  short: true,
  run: async ({ full, say }) => {
    const large = full ? 4_000_000_000 : 1_000_000_000;
    const cases: Case[] = [
      { name: '1 MB', bytes: 1_000_000, documents: 1, concurrency: 1 },
      { name: '200 MB', bytes: 200_000_000, documents: 1, concurrency: 1 },
      { name: `${large / 1e9} GB`, bytes: large, documents: 1, concurrency: 1 },
      { name: '10 × 20 MB in turn', bytes: 20_000_000, documents: inFlight, concurrency: 1 },
      { name: '10 × 20 MB at once', bytes: 20_000_000, documents: inFlight, concurrency: inFlight },
    ];
    const peaks = new Map<string, number[]>(cases.map(({ name }) => [name, []]));
    const wire = await startWire();
    try {
      for (let round = 0; round < rounds; round += 1) {
        say(`round ${round + 1} of ${rounds}`);
        for (const one of cases) peaks.get(one.name)?.push(await peakOf(one, wire));
      }
    } finally {
      wire.close();
    }
    const between = (more: string, less: string, parts = 1): Spread =>
      spreadOf(
        (peaks.get(more) ?? []).map(
          (peak, round) => (peak - (peaks.get(less)?.[round] ?? Number.NaN)) / parts,
        ),
      );
    const figures: Figure[] = [
      {
        name: `Peak memory, ${large / 1e9} GB document minus 200 MB document`,
        unit: 'MB',
        value: between(`${large / 1e9} GB`, '200 MB'),
        reach: { atMost: 8 },
      },
      {
        name: 'Memory per further document in flight, 20 MB',
        unit: 'MB',
        value: between('10 × 20 MB at once', '10 × 20 MB in turn', inFlight - 1),
        reach: { atMost: 6 },
      },
    ];
    const rows: Measured[] = cases.map(({ name }) => ({
      name,
      values: { 'peak MB': spreadOf(peaks.get(name) ?? []) },
    }));
    return { figures, tables: [{ title: 'Peak of the resident set', rows }] };
  },
};

/** Of a process of its own, in MB. */
async function peakOf({ bytes, documents, concurrency }: Case, wire: Wire): Promise<number> {
  const archiver = nodeContestant('archive', wire);
  try {
    const load = Array.from({ length: documents }, () => newDocument(bytes));
    return (await archiver.copy({ documents: load, concurrency })).peakMb ?? Number.NaN;
  } finally {
    archiver.close();
  }
}

/** CPU time and throughput of one document's way, beside the limit and the peers. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Figure, type Findings, ratioOf, type Section, spreadOf, type Table } from '../figures.ts';
import { newDocument } from '../wire/contents.ts';
import { type Certificate, makeCertificate, startWire, type Wire } from '../wire/start.ts';
import {
  boto3Contestant,
  type Contestant,
  commandContestant,
  installedPeers,
  nodeContestant,
} from './contestants.ts';
import type { Way } from './ways.ts';
import type { Took } from './worker.ts';

const roundsOf = { short: 5, full: 9 };

interface Race {
  bytes: number;
  concurrency: number;
  /** Of one load, by one contestant. */
  documents: number;
  rounds: number;
}

export const copying: Section = {
  name: 'copy',
  title: 'One document, from its storage into S3: CPU and throughput beside the limit and the peers',
  short: true,
  run: async ({ full, say }) => {
    const directory = await mkdtemp(join(tmpdir(), 'bench-copy-'));
    try {
      const certificate = makeCertificate(directory);
      const plain = await overPlainHttp(full, say);
      const secure = certificate && (await overTls(certificate, full, say));
      return {
        figures: [...plain.figures, ...(secure?.figures ?? [])],
        tables: [...(plain.tables ?? []), ...(secure?.tables ?? [])],
        notes: [
          ...(plain.notes ?? []),
          ...(secure ? [] : ['Nothing was measured over TLS: there is no openssl to make a certificate.']),
        ],
      };
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  },
};

async function overPlainHttp(full: boolean, say: (what: string) => void): Promise<Findings> {
  const rounds = full ? roundsOf.full : roundsOf.short;
  const wire = await startWire();
  const { versions, missing } = installedPeers();
  const ours: Way[] = full
    ? [
        'raw',
        'raw as Node comes',
        'raw without hash',
        'raw with the SDK',
        'copy',
        'archive',
        'naive',
        'lib-storage',
      ]
    : ['raw', 'raw with the SDK', 'copy', 'archive', 'naive'];
  const warm = ours.map((way) => nodeContestant(way, wire));
  if (versions.boto3 !== undefined) {
    warm.push(boto3Contestant('put_object', wire));
    if (full) warm.push(boto3Contestant('upload_fileobj', wire));
  }
  const commands = !full
    ? []
    : [
        ...(versions.rclone === undefined ? [] : [commandContestant('rclone copyurl', wire)]),
        ...(versions.aws === undefined || versions.curl === undefined
          ? []
          : [commandContestant('curl | aws s3 cp', wire)]),
      ];
  const race = (bytes: number, concurrency: number, documents: number) => {
    say(`${bytes / 1e6} MB, ${concurrency} at once`);
    return run({ bytes, concurrency, documents, rounds }, warm, commands);
  };
  try {
    const small = await race(100_000, 1, 150);
    const middle = await race(1_000_000, 1, 40);
    const large = await race(20_000_000, 1, 3);
    const tenLarge = await race(20_000_000, 10, 10);
    const cpu = (of: Results, way: string, to: string) => ratioOf(cpuOf(of, way), cpuOf(of, to));
    const throughput = (of: Results) => ratioOf(msOf(of, 'raw'), msOf(of, 'copy'));
    const figures: Figure[] = [
      { name: 'CPU against raw, 100 kB', unit: '×', value: cpu(small, 'copy', 'raw'), reach: { atMost: 2 } },
      { name: 'CPU against raw, 1 MB', unit: '×', value: cpu(middle, 'copy', 'raw'), reach: { atMost: 1.3 } },
      { name: 'CPU against raw, 20 MB', unit: '×', value: cpu(large, 'copy', 'raw'), reach: { atMost: 1.3 } },
      {
        name: 'Throughput against raw, 20 MB',
        unit: '×',
        value: throughput(large),
        reach: { atLeast: 0.75 },
      },
      {
        name: 'Throughput against raw, 10 × 20 MB at once',
        unit: '×',
        value: throughput(tenLarge),
        reach: { atLeast: 0.75 },
      },
      {
        name: 'CPU against the SDK alone, 100 kB',
        unit: '×',
        value: cpu(small, 'copy', 'raw with the SDK'),
      },
      {
        name: 'CPU against the SDK alone, 1 MB',
        unit: '×',
        value: cpu(middle, 'copy', 'raw with the SDK'),
      },
      {
        name: 'CPU against the naive way, 1 MB',
        unit: '×',
        value: cpu(middle, 'copy', 'naive'),
        reach: { atMost: 0.7 },
      },
      {
        name: 'CPU against the naive way, 20 MB',
        unit: '×',
        value: cpu(large, 'copy', 'naive'),
        reach: { atMost: 0.7 },
      },
      ...(large.has('boto3 put_object')
        ? [
            {
              name: 'CPU against boto3 put_object, 20 MB',
              unit: '×',
              value: cpu(large, 'copy', 'boto3 put_object'),
              reach: { atMost: 1 },
            },
          ]
        : []),
    ];
    const tables = [
      tableOf('100 kB', small),
      tableOf('1 MB', middle),
      tableOf('20 MB', large),
      tableOf('10 × 20 MB at once', tenLarge),
    ];
    return { figures, tables, notes: missing.map((name) => `Not installed, and so left out: ${name}.`) };
  } finally {
    close(warm, wire);
  }
}

async function overTls(tls: Certificate, full: boolean, say: (what: string) => void): Promise<Findings> {
  const rounds = full ? roundsOf.full : roundsOf.short;
  const wire = await startWire({ tls });
  const ways: Way[] = full ? ['raw', 'copy', 'naive'] : ['raw', 'copy'];
  const warm = ways.map((way) => nodeContestant(way, wire));
  try {
    const results: [string, Results][] = [];
    for (const [title, bytes, documents] of [
      ['1 MB over TLS', 1_000_000, 40],
      ['20 MB over TLS', 20_000_000, 3],
    ] as const) {
      say(title);
      results.push([title, await run({ bytes, concurrency: 1, documents, rounds }, warm, [])]);
    }
    return {
      figures: results.map(([title, of]) => ({
        name: `CPU against raw, ${title}`,
        unit: '×',
        value: ratioOf(cpuOf(of, 'copy'), cpuOf(of, 'raw')),
        reach: { atMost: 1.25 },
      })),
      tables: results.map(([title, of]) => tableOf(title, of)),
    };
  } finally {
    close(warm, wire);
  }
}

/** What each contestant took per document, round by round. */
type Results = Map<string, Took[]>;

/** One round to get warm, which does not count, then each contestant in turn, the first one another each time. */
async function run(
  race: Race,
  warm: readonly Contestant[],
  commands: readonly Contestant[],
): Promise<Results> {
  const results: Results = new Map();
  const all = [...warm, ...commands];
  for (let round = 0; round <= race.rounds; round += 1) {
    const first = round % all.length;
    for (const contestant of [...all.slice(first), ...all.slice(0, first)]) {
      const documents = commands.includes(contestant) ? 1 : race.documents;
      const load = Array.from({ length: documents }, () => newDocument(race.bytes));
      const { cpuMs, ms } = await contestant.copy({ documents: load, concurrency: race.concurrency });
      const took = { cpuMs: cpuMs / documents, ms: ms / documents };
      if (round > 0) results.set(contestant.name, [...(results.get(contestant.name) ?? []), took]);
    }
  }
  return results;
}

function cpuOf(results: Results, name: string): number[] {
  return (results.get(name) ?? []).map(({ cpuMs }) => cpuMs);
}

function msOf(results: Results, name: string): number[] {
  return (results.get(name) ?? []).map(({ ms }) => ms);
}

function tableOf(title: string, results: Results): Table {
  return {
    title,
    rows: [...results].map(([name, took]) => ({
      name,
      values: {
        'CPU ms': spreadOf(took.map(({ cpuMs }) => cpuMs)),
        '× raw': ratioOf(cpuOf(results, name), cpuOf(results, 'raw')),
        ms: spreadOf(took.map(({ ms }) => ms)),
        'throughput × raw': ratioOf(msOf(results, 'raw'), msOf(results, name)),
      },
    })),
  };
}

function close(contestants: readonly Contestant[], wire: Wire): void {
  for (const contestant of contestants) contestant.close();
  wire.close();
}

/** CPU time and throughput of copying one document, compared to the lower bound and other tools. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Figure, ratioOf, type Section, type SectionResult, spreadOf, type Table } from '../figures.ts';
import { newDocument } from '../wire/contents.ts';
import { type Certificate, makeCertificate, startWire, type Wire } from '../wire/start.ts';
import {
  boto3Contender,
  type Contender,
  commandContender,
  installedPeers,
  nodeContender,
} from './contenders.ts';
import type { ImplementationName } from './implementations.ts';
import type { Measurement } from './worker.ts';

const roundsOf = { short: 5, full: 9 };

interface Race {
  bytes: number;
  concurrency: number;
  /** Documents per load and contender. */
  documents: number;
  rounds: number;
}

export const copySection: Section = {
  name: 'copy',
  title: 'Copying one document to S3: CPU time and throughput compared to the lower bound and other tools',
  short: true,
  run: async ({ full, report }) => {
    const directory = await mkdtemp(join(tmpdir(), 'bench-copy-'));
    try {
      const certificate = makeCertificate(directory);
      const plain = await overPlainHttp(full, report);
      const secure = certificate && (await overTls(certificate, full, report));
      return {
        figures: [...plain.figures, ...(secure?.figures ?? [])],
        tables: [...(plain.tables ?? []), ...(secure?.tables ?? [])],
        notes: [
          ...(plain.notes ?? []),
          ...(secure ? [] : ['TLS was not measured: openssl is required to create a certificate.']),
        ],
      };
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  },
};

async function overPlainHttp(full: boolean, report: (what: string) => void): Promise<SectionResult> {
  const rounds = full ? roundsOf.full : roundsOf.short;
  const wire = await startWire();
  const { versions, missing } = installedPeers();
  const ours: ImplementationName[] = full
    ? [
        'raw',
        'raw with default heap',
        'raw without hash',
        'raw with the SDK',
        'copy',
        'archive',
        'naive',
        'lib-storage',
      ]
    : ['raw', 'raw with the SDK', 'copy', 'archive', 'naive'];
  const warm = ours.map((implementation) => nodeContender(implementation, wire));
  if (versions.boto3 !== undefined) {
    warm.push(boto3Contender('put_object', wire));
    if (full) warm.push(boto3Contender('upload_fileobj', wire));
  }
  const commands = !full
    ? []
    : [
        ...(versions.rclone === undefined ? [] : [commandContender('rclone copyurl', wire)]),
        ...(versions.aws === undefined || versions.curl === undefined
          ? []
          : [commandContender('curl | aws s3 cp', wire)]),
      ];
  const race = (bytes: number, concurrency: number, documents: number) => {
    report(`${bytes / 1e6} MB, concurrency ${concurrency}`);
    return run({ bytes, concurrency, documents, rounds }, warm, commands);
  };
  try {
    const small = await race(100_000, 1, 150);
    const middle = await race(1_000_000, 1, 40);
    const large = await race(20_000_000, 1, 3);
    const tenLarge = await race(20_000_000, 10, 10);
    const cpu = (of: Results, implementation: string, to: string) =>
      ratioOf(cpuOf(of, implementation), cpuOf(of, to));
    const throughput = (of: Results) => ratioOf(msOf(of, 'raw'), msOf(of, 'copy'));
    const figures: Figure[] = [
      {
        name: 'CPU relative to raw, 100 kB',
        unit: '×',
        value: cpu(small, 'copy', 'raw'),
        target: { atMost: 2 },
      },
      {
        name: 'CPU relative to raw, 1 MB',
        unit: '×',
        value: cpu(middle, 'copy', 'raw'),
        target: { atMost: 1.3 },
      },
      {
        name: 'CPU relative to raw, 20 MB',
        unit: '×',
        value: cpu(large, 'copy', 'raw'),
        target: { atMost: 1.3 },
      },
      {
        name: 'Throughput relative to raw, 20 MB',
        unit: '×',
        value: throughput(large),
        target: { atLeast: 0.75 },
      },
      {
        name: 'Throughput relative to raw, 10 × 20 MB concurrently',
        unit: '×',
        value: throughput(tenLarge),
        target: { atLeast: 0.75 },
      },
      {
        name: 'CPU relative to the SDK alone, 100 kB',
        unit: '×',
        value: cpu(small, 'copy', 'raw with the SDK'),
      },
      {
        name: 'CPU relative to the SDK alone, 1 MB',
        unit: '×',
        value: cpu(middle, 'copy', 'raw with the SDK'),
      },
      {
        name: 'CPU relative to naive, 1 MB',
        unit: '×',
        value: cpu(middle, 'copy', 'naive'),
        target: { atMost: 0.7 },
      },
      {
        name: 'CPU relative to naive, 20 MB',
        unit: '×',
        value: cpu(large, 'copy', 'naive'),
        target: { atMost: 0.7 },
      },
      ...(large.has('boto3 put_object')
        ? [
            {
              name: 'CPU relative to boto3 put_object, 20 MB',
              unit: '×',
              value: cpu(large, 'copy', 'boto3 put_object'),
              target: { atMost: 1 },
            },
          ]
        : []),
    ];
    const tables = [
      tableOf('100 kB', small),
      tableOf('1 MB', middle),
      tableOf('20 MB', large),
      tableOf('10 × 20 MB concurrently', tenLarge),
    ];
    return { figures, tables, notes: missing.map((name) => `Skipped because it is not installed: ${name}.`) };
  } finally {
    close(warm, wire);
  }
}

async function overTls(
  tls: Certificate,
  full: boolean,
  report: (what: string) => void,
): Promise<SectionResult> {
  const rounds = full ? roundsOf.full : roundsOf.short;
  const wire = await startWire({ tls });
  const implementations: ImplementationName[] = full ? ['raw', 'copy', 'naive'] : ['raw', 'copy'];
  const warm = implementations.map((implementation) => nodeContender(implementation, wire));
  try {
    const results: [string, Results][] = [];
    for (const [title, bytes, documents] of [
      ['1 MB over TLS', 1_000_000, 40],
      ['20 MB over TLS', 20_000_000, 3],
    ] as const) {
      report(title);
      results.push([title, await run({ bytes, concurrency: 1, documents, rounds }, warm, [])]);
    }
    return {
      figures: results.map(([title, of]) => ({
        name: `CPU relative to raw, ${title}`,
        unit: '×',
        value: ratioOf(cpuOf(of, 'copy'), cpuOf(of, 'raw')),
        target: { atMost: 1.25 },
      })),
      tables: results.map(([title, of]) => tableOf(title, of)),
    };
  } finally {
    close(warm, wire);
  }
}

/** Measurements per document of each contender, by round. */
type Results = Map<string, Measurement[]>;

/** Runs all contenders in turn, starting with a different one each round. The first round is a warm-up and is not counted. */
async function run(race: Race, warm: readonly Contender[], commands: readonly Contender[]): Promise<Results> {
  const results: Results = new Map();
  const all = [...warm, ...commands];
  for (let round = 0; round <= race.rounds; round += 1) {
    const first = round % all.length;
    for (const contender of [...all.slice(first), ...all.slice(0, first)]) {
      const documents = commands.includes(contender) ? 1 : race.documents;
      const load = Array.from({ length: documents }, () => newDocument(race.bytes));
      const { cpuMs, ms } = await contender.copy({ documents: load, concurrency: race.concurrency });
      const measurement = { cpuMs: cpuMs / documents, ms: ms / documents };
      if (round > 0) results.set(contender.name, [...(results.get(contender.name) ?? []), measurement]);
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
    rows: [...results].map(([name, measurement]) => ({
      name,
      values: {
        'CPU ms': spreadOf(measurement.map(({ cpuMs }) => cpuMs)),
        '× raw': ratioOf(cpuOf(results, name), cpuOf(results, 'raw')),
        ms: spreadOf(measurement.map(({ ms }) => ms)),
        'throughput × raw': ratioOf(msOf(results, 'raw'), msOf(results, name)),
      },
    })),
  };
}

function close(contenders: readonly Contender[], wire: Wire): void {
  for (const contender of contenders) contender.close();
  wire.close();
}

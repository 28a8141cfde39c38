/** What holds the rooms apart: docs/architecture.md tells why they are, this that they stay so. */
import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { isBuiltin } from 'node:module';
import { basename, join, posix, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import project from '../package.json' with { type: 'json' };

const root = fileURLToPath(new URL('..', import.meta.url));

/** Text of each source file by its path from the root. */
type Sources = ReadonlyMap<string, string>;

const neighbours = ['functions/telnyx', 'functions/queue', 'functions/bucket'];
const cliRooms = ['cli/audit', 'cli/backfill', 'cli/dead-letters', 'cli/export', 'cli/target'];
/** What each room may import besides itself. A room of `functions/` that is not named here may import nothing. */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  // errors, limits, settings, log, metrics, time, http, uuid: what all of them need.
  functions: [],
  'functions/queue': ['functions'],
  'functions/telnyx': ['functions'],
  'functions/bucket': ['functions'],
  // It holds no secret, and may only send messages.
  'functions/webhook': ['functions', 'functions/queue'],
  'functions/discover': ['functions', ...neighbours],
  'functions/archive': ['functions', ...neighbours],
  // Judges the archive. A command runs it.
  'functions/audit': ['functions', ...neighbours],
  // Only what both sides need: numbers, names, codes, key prefixes, environment variables, the check of the public key.
  infra: [
    'functions/limits.ts',
    'functions/metrics.ts',
    'functions/errors.ts',
    'functions/settings.ts',
    'functions/document-settings.ts',
    'functions/uuid.ts',
    'functions/bucket/keys.ts',
    'functions/archive/download-hosts.ts',
    'functions/archive/settings.ts',
    'functions/discover/settings.ts',
    'functions/webhook/settings.ts',
    'functions/webhook/verify.ts',
  ],
  // What a person sees in a terminal; knows nothing of the archiver.
  terminal: [],
  local: ['functions', 'terminal'],
  // What a command is, what all commands need, and the list of commands.
  cli: ['cli/commands', 'cli/target', 'functions', 'local/queue-depth.ts', 'terminal'],
  'cli/commands': [...cliRooms, 'cli', 'functions', 'local/s3/file-errors.ts', 'terminal'],
  // The only room that knows whether the archiver is deployed or local.
  'cli/target': ['cli', 'functions', 'local', 'terminal'],
  'cli/backfill': ['cli', 'cli/dead-letters', 'cli/target', 'functions', 'terminal'],
  'cli/dead-letters': ['cli', 'cli/target', 'functions', 'terminal'],
  'cli/export': ['functions', 'local/s3/file-errors.ts'],
  'cli/audit': ['cli', 'cli/report', 'cli/target', 'functions', 'terminal'],
  'cli/report': ['cli', 'cli/audit', 'cli/dead-letters', 'functions', 'terminal'],
  bench: ['functions', 'local', 'cli', 'infra', 'terminal'],
  // Whatever they like.
  test: [],
};

function roomOf(path: string): string {
  const parts = path.split('/').slice(0, -1);
  return parts.slice(0, parts[0] === 'functions' || parts[0] === 'cli' ? 2 : 1).join('/');
}

interface Import {
  /** The path from the root of a file of the project, or the specifier of anything else. */
  target: string;
  typeOnly: boolean;
}

/**
 * All that a file imports or re-exports, whatever the form. A comment that looks like an import counts as well: the
 * error is on the safe side. What is imported is to stand there as a text, so anything computed is named `?`.
 */
function importsOf(path: string, source: string): Import[] {
  const statements = source.matchAll(
    /(?:\b(?:import|export)\s+(?<type>type\b)?[^'"`;()]*?\bfrom\s*|\bimport\s*)(?<quote>['"`])(?<name>[^'"`]+)\k<quote>/g,
  );
  const calls = source.matchAll(
    /\b(?:import|require)\s*\(\s*(?:(?<quote>['"`])(?<name>[^'"`$]+)\k<quote>)?/g,
  );
  return [...statements, ...calls].map(({ groups }) => {
    const name = groups?.name ?? '?';
    const target = name.startsWith('.') ? posix.join(posix.dirname(path), name) : name;
    return { target, typeOnly: groups?.type !== undefined };
  });
}

const topOf = (path: string) => path.replace(/\/.*/, '');
const ofProject = (target: string) => target.includes('/') && topOf(target) in mayImport;

function runBackwards(sources: Sources): string[] {
  return [...sources].flatMap(([path, source]) => {
    const room = roomOf(path);
    if (room === 'test') return [];
    const allowed = [room, ...(mayImport[room] ?? [])];
    // What may import all of the functions from outside may import each of their rooms.
    const whole = allowed.filter((name) => name !== topOf(room));
    return importsOf(path, source)
      .map(({ target }) => target)
      .filter((target) => ofProject(target) || target.startsWith('..'))
      .filter(
        (target) =>
          !allowed.includes(target) && !allowed.includes(roomOf(target)) && !whole.includes(topOf(target)),
      )
      .map((target) => `${path} imports ${target}`);
  });
}

/** Packages that a deployed function would look for in vain, or that nobody has declared. */
function undeclared(sources: Sources): string[] {
  const declared = Object.keys(project.dependencies);
  return [...sources]
    .filter(([path]) => path.startsWith('functions/'))
    .flatMap(([path, source]) =>
      importsOf(path, source)
        .filter(({ target, typeOnly }) => !typeOnly && !ofProject(target) && !isBuiltin(target))
        .filter(({ target }) => !declared.some((name) => target === name || target.startsWith(`${name}/`)))
        .map(({ target }) => `${path} imports ${target}`),
    );
}

/** All that is loaded with these files, types aside: files of the project, and other specifiers. */
function loadedWith(sources: Sources, entries: readonly string[]): Set<string> {
  const loaded = new Set(entries);
  for (const path of loaded) {
    for (const { target, typeOnly } of importsOf(path, sources.get(path) ?? '')) {
      if (!typeOnly) loaded.add(target);
    }
  }
  return loaded;
}

function inCircles(sources: Sources): string[] {
  return [...sources.keys()].filter((path) => {
    const imported = importsOf(path, sources.get(path) ?? '').filter(({ typeOnly }) => !typeOnly);
    return loadedWith(
      sources,
      imported.map(({ target }) => target),
    ).has(path);
  });
}

/** A room of such a name fills with what has no place. */
function meaningless(paths: Iterable<string>): string[] {
  const filler = /(^|-)(utils?|utilities|helpers?|common|managers?|shared|misc)(-|$)|^index$/i;
  return [...paths].filter((path) => path.split('/').some((part) => filler.test(part.split('.')[0] ?? '')));
}

/** Names that more than one product file exports. Every function exports its `handler`, as Lambda requires. */
function duplicateExports(sources: Sources): string[] {
  const owners = new Map<string, number>();
  for (const [path, source] of sources) {
    if (/^(test|bench)\//.test(path)) continue;
    for (const [, name = ''] of source.matchAll(
      /^export (?:declare )?(?:abstract )?(?:async )?(?:const|let|function\*?|class|type|interface|enum) (\w+)/gm,
    )) {
      owners.set(name, (owners.get(name) ?? 0) + 1);
    }
  }
  return [...owners]
    .filter(([name, count]) => count > 1 && name !== 'handler')
    .map(([name]) => name)
    .toSorted();
}

/** Files that are tests, by name or by what they do, but that vitest does not list. */
function neverRun(sources: Sources, listed: ReadonlySet<string>): string[] {
  return [...sources]
    .filter(
      ([path, source]) =>
        /[._](test|spec)\.\w+$/.test(path) || /^(describe|it|test)(\.\w+)*\s*[(`]/m.test(source),
    )
    .map(([path]) => path)
    .filter((path) => !listed.has(path));
}

/** A browser is the one thing that a test may do without. */
const excused = "context.skip('There is no Chromium on this machine.')";

function notRunAtAll(sources: Sources): string[] {
  const marks =
    /\b(describe|it|test|suite|context|ctx)\b(\.\w+)*\.(skip|only|todo|skipIf|runIf|fails)\b|\b[xf](describe|it|test)\s*\(|\b(skip|only|todo):\s*true\b/;
  return [...sources]
    .filter(([path, source]) => path.startsWith('test/') && marks.test(source.replace(excused, '')))
    .map(([path]) => path);
}

const made = new Set(['node_modules', 'coverage', 'cdk.out', 'output']);

async function* filesBelow(folder: string): AsyncGenerator<string> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (entry.name.startsWith('.') || made.has(entry.name)) continue;
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* filesBelow(path);
    else yield relative(root, path);
  }
}

const everything: string[] = [];
const sources = new Map<string, string>();

beforeAll(async () => {
  for await (const path of filesBelow(root)) {
    everything.push(path);
    const isSource = /\.[cm]?[jt]s$/.test(path) && path.includes('/');
    if (isSource) sources.set(path, await readFile(join(root, path), 'utf8'));
  }
});

describe('imports', () => {
  it('run one way: function, neighbours, what all of them need; nothing deployed knows cli, local or tests', () => {
    expect(runBackwards(sources)).toEqual([]);
  });

  it('are of rooms that this test knows', () => {
    const rooms = new Set([...sources.keys()].map(roomOf));

    expect([...rooms].filter((room) => !(room in mayImport))).toEqual([]);
    expect(sources.size).toBeGreaterThan(100);
  });

  it('of the functions are of packages that are deployed with them', () => {
    expect(undeclared(sources)).toEqual([]);
  });

  it('never come back to where they began', () => {
    expect(inCircles(sources)).toEqual([]);
  });

  it('are none in the files of numbers and names', () => {
    for (const path of ['functions/limits.ts', 'functions/metrics.ts']) {
      expect([...loadedWith(sources, [path])]).toEqual([path]);
    }
  });

  it('of the infrastructure bring in no code that a function works with', () => {
    const entries = (mayImport.infra ?? []).filter((path) => sources.has(path));
    const others = [...loadedWith(sources, entries)].filter((target) => !entries.includes(target));

    expect(entries).toEqual(mayImport.infra);
    expect(others.filter((target) => !isBuiltin(target))).toEqual([]);
  });

  const planted: [string, string, string][] = [
    [
      'functions/archive/x.ts',
      "import { a } from '../discover/discover.ts';",
      'functions/discover/discover.ts',
    ],
    ['functions/webhook/x.ts', "import type { A } from '../telnyx/client.ts';", 'functions/telnyx/client.ts'],
    ['functions/bucket/x.ts', "export { a } from '../archive/copy.ts';", 'functions/archive/copy.ts'],
    ['functions/queue/x.ts', 'export * from "../bucket/keys.ts";', 'functions/bucket/keys.ts'],
    ['functions/telnyx/x.ts', "import { a } from '../queue/messages.ts';", 'functions/queue/messages.ts'],
    ['functions/bucket/x.ts', "import type { A } from '../queue/send.ts';", 'functions/queue/send.ts'],
    ['functions/x.ts', "import\n  './queue/send.ts'", 'functions/queue/send.ts'],
    ['functions/archive/x.ts', "const { a } = await import('../../local/stack.ts');", 'local/stack.ts'],
    ['functions/archive/x.ts', 'import a from `../../cli/archiver.ts`;', 'cli/archiver.ts'],
    ['functions/tomorrow/x.ts', "import { a } from '../limits.ts';", 'functions/limits.ts'],
    ['functions/x.ts', "import { a } from '../infra/stage.ts';", 'infra/stage.ts'],
    [
      'infra/x.ts',
      "import {\n  a,\n  type B,\n} from '../functions/telnyx/client.ts';",
      'functions/telnyx/client.ts',
    ],
    ['infra/x.ts', "import { a } from '../local/stack.ts';", 'local/stack.ts'],
    ['infra/x.ts', "import { a } from '../cli/archiver.ts';", 'cli/archiver.ts'],
    ['local/x.ts', "import { a } from '../cli/archiver.ts';", 'cli/archiver.ts'],
    ['local/s3/x.ts', "const a = require('../../infra/stage.ts');", 'infra/stage.ts'],
    ['terminal/x.ts', "import { a } from '../functions/time.ts';", 'functions/time.ts'],
    ['cli/target/x.ts', "import { a } from '../commands/send.ts';", 'cli/commands/send.ts'],
    ['cli/export/x.ts', "import { a } from '../../local/stack.ts';", 'local/stack.ts'],
    ['cli/audit/x.ts', "import { a } from '../../test/archive/world.ts';", 'test/archive/world.ts'],
    ['cli/x.ts', "import { a } from '../../elsewhere/a.ts';", '../elsewhere/a.ts'],
  ];
  it.each(planted)('that run backwards are found: in %s, %s', (path, source, target) => {
    const withOne = new Map(sources).set(path, `/** Text. */\n${source}\n`);

    expect(runBackwards(withOne)).toEqual([`${path} imports ${target}`]);
  });

  it.each([
    ["import { a } from 'fast-check';", 'fast-check'],
    ["import { a } from 'aws-cdk-lib/aws-s3';", 'aws-cdk-lib/aws-s3'],
    ["import a from 'p-retry-of-another';", 'p-retry-of-another'],
    ['const a = await import(name);', '?'],
  ])('of packages that are not deployed are found: %s', (source, target) => {
    const withOne = new Map(sources).set('functions/queue/x.ts', source);

    expect(undeclared(withOne)).toEqual([`functions/queue/x.ts imports ${target}`]);
  });

  it('that go round in a circle are found', () => {
    const withTwo = new Map(sources)
      .set('functions/x.ts', "import './y.ts';")
      .set('functions/y.ts', "import { a } from './x.ts';\nimport type { B } from './errors.ts';");

    expect(inCircles(withTwo)).toEqual(['functions/x.ts', 'functions/y.ts']);
  });
});

describe('names', () => {
  it('say what is in a file or folder', () => {
    expect(meaningless(everything)).toEqual([]);
  });

  it('that say nothing are found, wherever they stand', () => {
    const bad = [
      'functions/utils/a.ts',
      'test/helpers.ts',
      'local/s3/index.ts',
      'cli/common.test.ts',
      'infra/shared/x.ts',
      'functions/queue-manager.ts',
      'docs/Util.md',
    ];

    expect(meaningless([...everything, ...bad])).toEqual(bad);
  });
});

/** Paths from the root of the files that a run has. @param mode of `vitest.config.ts` */
async function filesOfRun(mode: string): Promise<string[]> {
  const vitest = join(root, 'node_modules/vitest/vitest.mjs');
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [vitest, 'list', '--filesOnly', '--json', '--root', root, '--mode', mode],
    { cwd: root },
  );
  return (JSON.parse(stdout) as { file: string }[]).map(({ file }) => relative(root, file));
}

describe('an exported name', () => {
  it('has one owner', () => {
    expect(duplicateExports(sources)).toEqual([]);
  });

  it('with two owners is found', () => {
    const withTwo = new Map([
      ['functions/x.ts', 'export const twice = 1;\nexport const handler = 1;\nconst inner = 1;'],
      ['functions/queue/y.ts', 'export async function twice() {}\nexport const handler = 2;\n'],
      ['cli/z.ts', 'const twice = 1;\nexport const inner = 1;'],
      ['local/s3/z.ts', 'export interface Other {}'],
      ['infra/z.ts', 'export type Other = 1;'],
      ['test/z.ts', 'export type inner = 1;'],
    ]);

    expect(duplicateExports(withTwo)).toEqual(['Other', 'twice']);
  });
});

describe('every test', () => {
  let quick: string[];
  let long: string[];
  beforeAll(async () => {
    [quick, long] = await Promise.all([filesOfRun('test'), filesOfRun('long')]);
  });

  it('is run by npm test or by npm run test:long', () => {
    expect(quick).toContain(`test/${basename(import.meta.filename)}`);
    expect(new Set(quick).size).toBe(quick.length);
    expect(new Set(long).size).toBe(long.length);
    expect(neverRun(sources, new Set([...quick, ...long]))).toEqual([]);
  });

  it('whose quick run has fewer cases is in the long run as well', () => {
    const fewer = [...sources]
      .filter(([path, source]) => path.endsWith('.test.ts') && /\b(?:fuzz|property)Runs\(/.test(source))
      .map(([path]) => path);

    expect(fewer.length).toBeGreaterThan(20);
    expect(fewer.filter((path) => !long.includes(path))).toEqual([]);
  });

  it('that is not run is found, wherever it hides', () => {
    const listed = new Set([...sources.keys()].filter((path) => path.endsWith('.test.ts')));
    const hidden = new Map([
      ['functions/queue/send.test.ts', ''],
      ['test/queue/send.spec.ts', ''],
      ['test/queue/send.test.mts', ''],
      ['test/queue/more-sends.ts', "import { it } from 'vitest';\n\nit('sends', () => undefined);\n"],
      ['test/queue/many-sends.ts', "describe.each([1])('sends', () => undefined);\n"],
    ]);

    expect(neverRun(new Map([...sources, ...hidden]), listed)).toEqual([...hidden.keys()]);
  });

  it('is neither skipped nor focused', () => {
    expect(notRunAtAll(sources)).toEqual([]);
  });

  it.each([
    ['it', 'only'],
    ['describe', 'skip'],
    ['test', 'todo'],
    ['it', 'skipIf'],
    ['it.concurrent', 'only'],
    ['context', 'skip'],
  ])('that is marked with %s and %s is found', (name, mark) => {
    const source = `  ${name}.${mark}('sends', () => undefined);`;

    expect(notRunAtAll(new Map([['test/x.test.ts', source]]))).toEqual(['test/x.test.ts']);
  });

  it.each(['x', 'f'])('that is crossed out or picked out with a letter is found: %s', (letter) => {
    expect(notRunAtAll(new Map([['test/x.test.ts', `${letter}it('sends');`]]))).toEqual(['test/x.test.ts']);
  });
});

/** Checks the dependencies between folders that docs/architecture.md describes, the names of files, and the tests. */
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

const services = ['functions/telnyx', 'functions/queue', 'functions/bucket'];
const cliFolders = [
  'cli/audit',
  'cli/backfill',
  'cli/dead-letters',
  'cli/erasure',
  'cli/export',
  'cli/find',
  'cli/prove',
  'cli/target',
];
/** What the files of each folder may import, besides files of the same folder: folders, or single files. */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  // What all functions need: errors, limits, settings, log, metrics, time, HTTP, UUIDs.
  functions: [],
  'functions/queue': ['functions'],
  'functions/telnyx': ['functions'],
  'functions/bucket': ['functions'],
  // Has no secret and may only send messages.
  'functions/webhook': ['functions', 'functions/queue'],
  'functions/discover': ['functions', ...services],
  'functions/archive': ['functions', ...services],
  // Checks the archive. The command `audit` runs it.
  'functions/audit': ['functions', ...services],
  // Only what both sides need: numbers, names, codes, key prefixes, environment variables, the check of the public key.
  infra: [
    'functions/limits.ts',
    'functions/metrics.ts',
    'functions/errors.ts',
    'functions/settings.ts',
    'functions/document-settings.ts',
    'functions/uuid.ts',
    'functions/audit-names.ts',
    'functions/bucket/keys.ts',
    'functions/archive/download-hosts.ts',
    'functions/archive/settings.ts',
    'functions/audit/settings.ts',
    'functions/discover/settings.ts',
    'functions/webhook/settings.ts',
    'functions/webhook/verify.ts',
  ],
  // Terminal input and output, without any knowledge of the archiver.
  terminal: [],
  // The local stack, assembled from the stand-ins in its folders.
  local: ['functions', 'local/lambda', 'local/s3', 'local/telnyx', 'terminal'],
  // Event source mapping, invocations and the webhook's port, for any handler.
  'local/lambda': ['functions/limits.ts', 'functions/time.ts', 'local/loopback.ts'],
  // An S3 server, and `functions/bucket` as its client.
  'local/s3': [
    'functions/bucket',
    'functions/errors.ts',
    'functions/settings.ts',
    'functions/time.ts',
    'local/loopback.ts',
    'local/programs.ts',
  ],
  // A Telnyx server. It decides which faults its storage, a bucket of the local S3, has.
  'local/telnyx': [
    'functions/http.ts',
    'functions/limits.ts',
    'functions/time.ts',
    'local/loopback.ts',
    'local/s3/faults.ts',
  ],
  // What all commands need, and the list of commands.
  cli: ['cli/commands', 'cli/target', 'functions', 'local/main.ts', 'local/programs.ts', 'terminal'],
  'cli/commands': [...cliFolders, 'cli', 'functions', 'local/s3/file-errors.ts', 'terminal'],
  // The only folder of `cli/` that knows whether the archiver is deployed or local.
  'cli/target': [
    'cli',
    'functions',
    'local/catalogue-folder.ts',
    'local/lambda/metrics-port.ts',
    'local/s3/archive-bucket.ts',
    'local/s3/archive-folder.ts',
    'local/s3/server.ts',
    'local/programs.ts',
    'local/session.ts',
    'terminal',
  ],
  'cli/backfill': ['cli', 'cli/dead-letters', 'cli/target', 'functions', 'terminal'],
  'cli/dead-letters': ['cli', 'cli/target', 'functions', 'terminal'],
  'cli/erasure': ['cli', 'cli/target', 'functions', 'terminal'],
  // Writes files as the local S3 does: without following links, also where there are no hard links.
  'cli/export': [
    'functions',
    'local/s3/file-errors.ts',
    'local/s3/untrusted-folder.ts',
    'local/s3/scratch.ts',
  ],
  'cli/prove': [
    'cli',
    'cli/export',
    'cli/report',
    'cli/target',
    'functions',
    'local/s3/file-errors.ts',
    'local/s3/scratch.ts',
    'local/s3/untrusted-folder.ts',
    'terminal',
  ],
  'cli/find': ['functions', 'local/s3/file-errors.ts', 'terminal'],
  'cli/audit': ['cli', 'cli/report', 'cli/target', 'functions', 'terminal'],
  'cli/report': ['cli', 'cli/audit', 'cli/dead-letters', 'functions', 'local/programs.ts', 'terminal'],
  // Only names what it bundles.
  build: [],
  // The virtual clock shows how long many requests take together.
  bench: ['build', 'functions', 'local', 'cli', 'infra', 'terminal', 'test/fakes/clock.ts'],
  // Tests may import anything.
  test: [],
};

/** Folders whose subfolders have rules of their own. */
const divided = new Set(['functions', 'cli', 'local']);

/** The key of a file in `mayImport`. */
function folderOf(path: string): string {
  const parts = path.split('/').slice(0, -1);
  return parts.slice(0, divided.has(parts[0] ?? '') ? 2 : 1).join('/');
}

interface Import {
  /** Path from the root for a file of the project, otherwise the specifier. */
  target: string;
  typeOnly: boolean;
}

/**
 * All imports and re-exports of a file, in any form. A comment that looks like an import counts as well, which can only
 * fail the test, never hide an import. An import with a computed specifier has the target `?`.
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

function forbiddenImports(sources: Sources): string[] {
  return [...sources].flatMap(([path, source]) => {
    const folder = folderOf(path);
    if (folder === 'test') return [];
    const allowed = [folder, ...(mayImport[folder] ?? [])];
    // From outside, permission for a folder includes its subfolders.
    const whole = allowed.filter((name) => name !== topOf(folder));
    return importsOf(path, source)
      .map(({ target }) => target)
      .filter((target) => ofProject(target) || target.startsWith('..'))
      .filter(
        (target) =>
          !allowed.includes(target) && !allowed.includes(folderOf(target)) && !whole.includes(topOf(target)),
      )
      .map((target) => `${path} imports ${target}`);
  });
}

/** Development dependencies that only the bundles of the functions need, which hold them. */
const bundled = ['@aws-sdk/credential-provider-env'];

/** Imports in `functions/` of packages that are not among the dependencies of `package.json`. */
function undeclaredPackages(sources: Sources): string[] {
  const declared = [...Object.keys(project.dependencies), ...bundled];
  return [...sources]
    .filter(([path]) => path.startsWith('functions/'))
    .flatMap(([path, source]) =>
      importsOf(path, source)
        .filter(({ target, typeOnly }) => !typeOnly && !ofProject(target) && !isBuiltin(target))
        .filter(({ target }) => !declared.some((name) => target === name || target.startsWith(`${name}/`)))
        .map(({ target }) => `${path} imports ${target}`),
    );
}

/** Everything that is loaded with these files, except for types: files of the project and other specifiers. */
function loadedWith(sources: Sources, entries: readonly string[]): Set<string> {
  const loaded = new Set(entries);
  for (const path of loaded) {
    for (const { target, typeOnly } of importsOf(path, sources.get(path) ?? '')) {
      if (!typeOnly) loaded.add(target);
    }
  }
  return loaded;
}

function circularImports(sources: Sources): string[] {
  return [...sources.keys()].filter((path) => {
    const imported = importsOf(path, sources.get(path) ?? '').filter(({ typeOnly }) => !typeOnly);
    return loadedWith(
      sources,
      imported.map(({ target }) => target),
    ).has(path);
  });
}

/** Files and folders with a name that says nothing about their content. */
function meaninglessNames(paths: Iterable<string>): string[] {
  const filler = /(^|-)(utils?|utilities|helpers?|common|managers?|shared|misc)(-|$)|^index$/i;
  return [...paths].filter((path) => path.split('/').some((part) => filler.test(part.split('.')[0] ?? '')));
}

/** Names that more than one file exports, tests aside. Every function exports its `handler`, as Lambda requires. */
function duplicateExports(sources: Sources): string[] {
  const owners = new Map<string, number>();
  for (const [path, source] of sources) {
    if (path.startsWith('test/')) continue;
    for (const [, name = ''] of source.matchAll(
      /^export (?:declare )?(?:abstract )?(?:async )?(?:const|let|function\*?|class|type|interface|enum) (\w+)/gm,
    )) {
      owners.set(name, (owners.get(name) ?? 0) + 1);
    }
    for (const [, list = ''] of source.matchAll(/^export (?:type )?\{([^}]*)\}/gm)) {
      for (const item of list.split(',').filter((text) => text.trim() !== '')) {
        const name = item.trim().replace(/^.*\s/, '');
        owners.set(name, (owners.get(name) ?? 0) + 1);
      }
    }
  }
  return [...owners]
    .filter(([name, count]) => count > 1 && name !== 'handler')
    .map(([name]) => name)
    .toSorted();
}

/** Files that are tests, by name or content, but that Vitest does not run. */
function neverRun(sources: Sources, listed: ReadonlySet<string>): string[] {
  return [...sources]
    .filter(
      ([path, source]) =>
        /[._](test|spec)\.\w+$/.test(path) || /^(describe|it|test)(\.\w+)*\s*[(`]/m.test(source),
    )
    .map(([path]) => path)
    .filter((path) => !listed.has(path));
}

/** The only test that may be skipped: one that needs a browser. */
const allowedSkip = "context.skip('There is no Chromium on this machine.')";

function skippedOrFocused(sources: Sources): string[] {
  const marks =
    /\b(describe|it|test|suite|context|ctx)\b(\.\w+)*\.(skip|only|todo|skipIf|runIf|fails)\b|\b[xf](describe|it|test)\s*\(|\b(skip|only|todo):\s*true\b/;
  return [...sources]
    .filter(([path, source]) => path.startsWith('test/') && marks.test(source.replace(allowedSkip, '')))
    .map(([path]) => path);
}

const generated = new Set(['node_modules', 'coverage', 'cdk.out', 'dist', 'output']);

async function* filesBelow(folder: string): AsyncGenerator<string> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (entry.name.startsWith('.') || generated.has(entry.name)) continue;
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
  it('follow the rules of each folder', () => {
    expect(forbiddenImports(sources)).toEqual([]);
  });

  it('are checked in every folder', () => {
    const folders = new Set([...sources.keys()].map(folderOf));

    expect([...folders].filter((folder) => !(folder in mayImport))).toEqual([]);
    expect(sources.size).toBeGreaterThan(100);
  });

  it('in functions/ are of declared packages only', () => {
    expect(undeclaredPackages(sources)).toEqual([]);
  });

  it('are not circular', () => {
    expect(circularImports(sources)).toEqual([]);
  });

  it('do not exist in limits.ts and metrics.ts', () => {
    for (const path of ['functions/limits.ts', 'functions/metrics.ts']) {
      expect([...loadedWith(sources, [path])]).toEqual([path]);
    }
  });

  it('in infra/ load only the files of functions/ that are listed here', () => {
    const entries = (mayImport.infra ?? []).filter((path) => sources.has(path));
    const others = [...loadedWith(sources, entries)].filter((target) => !entries.includes(target));

    expect(entries).toEqual(mayImport.infra);
    expect(others.filter((target) => !isBuiltin(target))).toEqual([]);
  });

  const forbidden: [string, string, string][] = [
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
    ['local/s3/x.ts', "import { a } from '../telnyx/server.ts';", 'local/telnyx/server.ts'],
    ['local/s3/x.ts', "import { a } from '../stack.ts';", 'local/stack.ts'],
    ['local/s3/x.ts', "import { a } from '../../functions/queue/send.ts';", 'functions/queue/send.ts'],
    ['local/telnyx/x.ts', "import { a } from '../s3/server.ts';", 'local/s3/server.ts'],
    ['local/telnyx/x.ts', "import type { A } from '../lambda/invoke.ts';", 'local/lambda/invoke.ts'],
    [
      'local/lambda/x.ts',
      "import { a } from '../../functions/archive/handler.ts';",
      'functions/archive/handler.ts',
    ],
    ['local/lambda/x.ts', "import { a } from '../queues.ts';", 'local/queues.ts'],
    ['local/s3/x.ts', "const a = require('../../infra/stage.ts');", 'infra/stage.ts'],
    ['terminal/x.ts', "import { a } from '../functions/time.ts';", 'functions/time.ts'],
    ['cli/target/x.ts', "import { a } from '../commands/send.ts';", 'cli/commands/send.ts'],
    ['cli/x.ts', "import { a } from '../local/queues.ts';", 'local/queues.ts'],
    ['cli/target/x.ts', "import { a } from '../../local/s3/key-index.ts';", 'local/s3/key-index.ts'],
    ['cli/export/x.ts', "import { a } from '../../local/stack.ts';", 'local/stack.ts'],
    ['cli/audit/x.ts', "import { a } from '../../test/archive/world.ts';", 'test/archive/world.ts'],
    ['cli/x.ts', "import { a } from '../../elsewhere/a.ts';", '../elsewhere/a.ts'],
  ];
  it.each(forbidden)('are reported if they break a rule: in %s, %s', (path, source, target) => {
    const withOne = new Map(sources).set(path, `/** Text. */\n${source}\n`);

    expect(forbiddenImports(withOne)).toEqual([`${path} imports ${target}`]);
  });

  it.each([
    ["import { a } from 'fast-check';", 'fast-check'],
    ["import { a } from 'aws-cdk-lib/aws-s3';", 'aws-cdk-lib/aws-s3'],
    ["import a from 'p-retry-of-another';", 'p-retry-of-another'],
    ['const a = await import(name);', '?'],
  ])('are reported if their package is not declared: %s', (source, target) => {
    const withOne = new Map(sources).set('functions/queue/x.ts', source);

    expect(undeclaredPackages(withOne)).toEqual([`functions/queue/x.ts imports ${target}`]);
  });

  it('are reported if they are circular', () => {
    const withTwo = new Map(sources)
      .set('functions/x.ts', "import './y.ts';")
      .set('functions/y.ts', "import { a } from './x.ts';\nimport type { B } from './errors.ts';");

    expect(circularImports(withTwo)).toEqual(['functions/x.ts', 'functions/y.ts']);
  });
});

describe('the name of a file or folder', () => {
  it('says something about its content', () => {
    expect(meaninglessNames(everything)).toEqual([]);
  });

  it('is reported if it says nothing, at any depth', () => {
    const bad = [
      'functions/utils/a.ts',
      'test/helpers.ts',
      'local/s3/index.ts',
      'cli/common.test.ts',
      'infra/shared/x.ts',
      'functions/queue-manager.ts',
      'docs/Util.md',
    ];

    expect(meaninglessNames([...everything, ...bad])).toEqual(bad);
  });
});

/** Test files of a run, as paths from the root. @param mode of `vitest.config.ts` */
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
  it('is exported by one file only', () => {
    expect(duplicateExports(sources)).toEqual([]);
  });

  it('is reported if two files export it', () => {
    const withTwo = new Map([
      ['functions/x.ts', 'export const twice = 1;\nexport const handler = 1;\nconst inner = 1;'],
      ['functions/queue/y.ts', 'export async function twice() {}\nexport const handler = 2;\n'],
      ['bench/y.ts', "export { a as renamed, type B } from './b.ts';"],
      ['terminal/y.ts', 'export type { B };\nexport const renamed = 1;'],
      ['cli/z.ts', 'const twice = 1;\nexport const inner = 1;'],
      ['local/s3/z.ts', 'export interface Other {}'],
      ['infra/z.ts', 'export type Other = 1;'],
      ['test/z.ts', 'export type inner = 1;'],
    ]);

    expect(duplicateExports(withTwo)).toEqual(['B', 'Other', 'renamed', 'twice']);
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

  it('with fewer cases in the quick run is in the long run as well', () => {
    const fewer = [...sources]
      .filter(([path, source]) => path.endsWith('.test.ts') && /\b(?:fuzz|property)Runs\(/.test(source))
      .map(([path]) => path);

    expect(fewer.length).toBeGreaterThan(20);
    expect(fewer.filter((path) => !long.includes(path))).toEqual([]);
  });

  it('is reported if it is not run', () => {
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
    expect(skippedOrFocused(sources)).toEqual([]);
  });

  it.each([
    ['it', 'only'],
    ['describe', 'skip'],
    ['test', 'todo'],
    ['it', 'skipIf'],
    ['it.concurrent', 'only'],
    ['context', 'skip'],
  ])('is reported if it is marked with %s.%s', (name, mark) => {
    const source = `  ${name}.${mark}('sends', () => undefined);`;

    expect(skippedOrFocused(new Map([['test/x.test.ts', source]]))).toEqual(['test/x.test.ts']);
  });

  it.each(['x', 'f'])('is reported if its function has the prefix %s', (letter) => {
    expect(skippedOrFocused(new Map([['test/x.test.ts', `${letter}it('sends');`]]))).toEqual([
      'test/x.test.ts',
    ]);
  });
});

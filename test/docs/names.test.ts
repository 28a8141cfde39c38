import { existsSync, globSync, readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import packageJson from '../../package.json' with { type: 'json' };
import { settings, synthesize } from '../infra/deployments.ts';

const source = globSync('{functions,infra,cli,local}/**/*.ts')
  .map((path) => readFileSync(path, 'utf8'))
  .join('\n');
let templates: string;

beforeAll(() => {
  templates = JSON.stringify(synthesize(settings.minimal).templates);
});

/** Source that declares the options of a command. */
function sourceOf(command: string): string {
  const shared = [
    'cli/archiver.ts',
    'cli/command.ts',
    'cli/audit/options.ts',
    'cli/erasure/each-document.ts',
  ];
  return [...shared, `cli/commands/${command}.ts`].map((path) => readFileSync(path, 'utf8')).join('\n');
}

const pages = [
  'docs/runbook.md',
  'docs/architecture.md',
  'docs/erasure.md',
  'docs/find.md',
  'events/README.md',
];

describe.each(pages)('%s', (path) => {
  // The upgrade notes also name what was removed.
  const page = readFileSync(path, 'utf8').split('\n## Upgrade from')[0] ?? '';
  const inCode = [...page.matchAll(/`([^`\n]+)`/g)].map(([, text = '']) => text);

  it('names only npm scripts that exist', () => {
    const scripts = [...page.matchAll(/\bnpm run ([\w:-]+)/g)].map(([, script = '']) => script);

    expect(scripts.filter((script) => !(script in packageJson.scripts))).toEqual([]);
  });

  it('names only commands and options that exist', () => {
    const commands =
      /(?:archiver -- |`)(status|redrive|backfill|audit|doctor|send|export|erase|find|hold|release)\b([^`\n]*)/g;
    const options = [...page.matchAll(commands)].flatMap(([, command = '', rest = '']) =>
      [...rest.matchAll(/--[a-z-]+/g)].map(([option]) => ({ command, option })),
    );
    const common = ['--stack', '--local', '--json', '--help'];

    const unknown = options.filter(
      ({ command, option }) => !common.includes(option) && !sourceOf(command).includes(`'${option}`),
    );

    expect(unknown).toEqual([]);
  });

  it('names only files that exist', () => {
    const files = inCode.filter((text) => /^(functions|infra|cli|local|docs|events|test)\/\S+$/.test(text));

    expect(files.filter((file) => !existsSync(file))).toEqual([]);
  });

  it('names only alarms, metrics, error codes, settings, queues and fields that exist', () => {
    const names = inCode.filter((text) => /^[A-Za-z][A-Za-z-]+$/.test(text));

    expect(names.filter((name) => !source.includes(name) && !templates.includes(name))).toEqual([]);
  });

  it('names only dashboard widgets that exist', () => {
    const titles = inCode.filter((text) => /^[A-Z][a-z]+ [a-z]+[a-z ,]+$/.test(text));

    expect(titles.filter((title) => !templates.includes(title))).toEqual([]);
  });
});

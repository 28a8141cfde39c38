import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import project from '../../package.json' with { type: 'json' };

const pages = ['.', 'docs', 'events'].flatMap((folder) =>
  readdirSync(folder)
    .filter((name) => name.endsWith('.md'))
    .map((name) => join(folder, name)),
);

/** The anchors that GitHub derives from a page's headings. */
function anchorsOf(page: string): string[] {
  return [...readFileSync(page, 'utf8').matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}_ -]/gu, '')
      .replaceAll(' ', '-'),
  );
}

function brokenLinks(page: string): string[] {
  const targets = [...readFileSync(page, 'utf8').matchAll(/\]\(([^)\s]+)\)/g)].map(
    ([, target = '']) => target,
  );
  return targets
    .filter((target) => !/^(?:https?|mailto):/.test(target))
    .filter((target) => {
      const [path = '', anchor] = target.split('#');
      const file = path === '' ? page : join(dirname(page), path);
      if (!existsSync(file)) return true;
      return anchor !== undefined && !anchorsOf(file).includes(anchor);
    });
}

/** Paths of the project in backticks, such as `functions/limits.ts`; patterns and placeholders are not paths. */
function missingFiles(page: string): string[] {
  const paths = [
    ...readFileSync(page, 'utf8').matchAll(
      /`((?:functions|infra|cli|local|terminal|events|test|bench|docs)\/[\w./-]+)`/g,
    ),
  ].map(([, path = '']) => path);
  return paths.filter(
    (path) => !['', '.ts', '.test.ts', '.long.test.ts'].some((ending) => existsSync(path + ending)),
  );
}

function unknownScripts(page: string): string[] {
  const scripts = [...readFileSync(page, 'utf8').matchAll(/\bnpm run (?:-s |--silent )?([\w:-]+)/g)].map(
    ([, script = '']) => script,
  );
  return scripts.filter((script) => !(script in project.scripts));
}

describe.each(pages)('%s', (page) => {
  it('links only to files and headings that exist', () => {
    expect(brokenLinks(page)).toEqual([]);
  });

  it('names only files of the project that exist', () => {
    expect(missingFiles(page)).toEqual([]);
  });

  it('names only npm scripts that exist', () => {
    expect(unknownScripts(page)).toEqual([]);
  });
});

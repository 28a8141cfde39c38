import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { auditBugs } from '../simulation/audit-bugs.ts';
import { auditFaults, faults } from '../simulation/faults.ts';
import { invariants } from '../simulation/invariants.ts';
import { seededBugs } from '../simulation/seeded-bugs.ts';
import { socketBugs } from '../soak/socket-guards.ts';

const page = readFileSync('docs/guarantees.md', 'utf8');
/** Without the table headers: their second line starts with dashes. */
const rows = page
  .split('\n')
  .filter((line) => line.startsWith('| ') && !line.startsWith('| Guarantee |'))
  .map((line) => line.split('|').map((cell) => cell.trim()))
  .map(([, guarantee = '', breakers = '', proofs = '']) => ({ guarantee, breakers, proofs }));

const codeIn = (text: string) => [...text.matchAll(/`([^`]+)`/g)].map(([, code = '']) => code);
const quotesIn = (text: string) => [...text.matchAll(/"([^"]+)"/g)].map(([, quote = '']) => quote);
const bugs = new Set<string>([...seededBugs, ...auditBugs, ...socketBugs].map(({ name }) => name));

/** The titles of a row, each with the file that is named before it. */
function titlesIn(proofs: string): { path: string; title: string }[] {
  const [, ...parts] = proofs.split(/\[(?=test\/)/);
  return parts.flatMap((part) => {
    const path = /^([^\]]+)\]/.exec(part)?.[1] ?? '';
    return quotesIn(part).map((title) => ({ path, title }));
  });
}

/** Whether the file has the title as a whole string. */
function hasTitle({ path, title }: { path: string; title: string }): boolean {
  const source = existsSync(path) ? readFileSync(path, 'utf8') : '';
  return [`'${title}'`, `"${title}"`, `\`${title}\``].some((text) => source.includes(text));
}

describe('docs/guarantees.md', () => {
  it('has at least one proof in each row', () => {
    expect(rows.length).toBeGreaterThan(30);
    const unproven = rows.filter(({ proofs }) => codeIn(proofs).length + titlesIn(proofs).length === 0);
    expect(unproven).toEqual([]);
  });

  it('names only bugs that are applied in tests', () => {
    const quoted = rows.flatMap(({ breakers }) => quotesIn(breakers));

    expect(quoted.filter((name) => !bugs.has(name))).toEqual([]);
    expect(quoted.length).toBeGreaterThan(30);
  });

  it('names only faults that the simulation injects', () => {
    const named = rows.flatMap(({ breakers }) => codeIn(breakers));

    expect(named.filter((name) => !Object.hasOwn({ ...faults, ...auditFaults }, name))).toEqual([]);
    expect(named.length).toBeGreaterThan(20);
  });

  it('names every invariant of the simulation and no other', () => {
    const named = new Set(rows.flatMap(({ proofs }) => codeIn(proofs)));

    expect([...named].sort()).toEqual(Object.keys(invariants).sort());
  });

  it('names only files that exist, with a link', () => {
    const paths = [...page.matchAll(/`((?:test|functions)\/[^`]*)`/g)].map(([, path = '']) => path);
    const links = [...page.matchAll(/\[([^\]]+)\]\(([^)]+)\)/g)];

    expect(paths.filter((path) => !existsSync(path))).toEqual([]);
    expect(links.filter(([, path = '', target]) => target !== `../${path}` || !existsSync(path))).toEqual([]);
    expect(links.length).toBeGreaterThan(30);
  });

  it('quotes only titles that are in the named file', () => {
    expect(rows.flatMap(({ proofs }) => titlesIn(proofs)).filter((entry) => !hasTitle(entry))).toEqual([]);
  });

  it('detects a title that is only part of another title', () => {
    const whole = {
      path: 'test/docs/audit.test.ts',
      title: 'docs/audit.md explains every code that an audit can find, with its mark',
    };

    expect(hasTitle(whole)).toBe(true);
    expect(hasTitle({ ...whole, title: whole.title.slice(0, -1) })).toBe(false);
  });
});

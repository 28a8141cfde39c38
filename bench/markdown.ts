/** Findings as Markdown, within a page that people write: `npm run bench -- --markdown docs/performance.md`. */
import { type Findings, reached, type Table } from './figures.ts';
import { reach, short } from './print.ts';

/** What a run came to, and on what. */
export interface Report {
  /** ISO 8601, UTC. */
  measuredAt: string;
  node: string;
  machine: string;
  full: boolean;
  peers: Record<string, string>;
  sections: Record<string, Findings & { seconds: number }>;
}

/**
 * The page with what stands between `<!-- figures <section> -->` or `<!-- tables <section> -->` and the next
 * `<!-- end -->` replaced by what was measured, and `<!-- machine -->` likewise. Sections that were not run, and all
 * other text, stay as they are.
 */
export function bringUpToDate(page: string, report: Report): string {
  return page.replace(
    /(<!-- (figures|tables|machine) ?(\S*) -->\n)[\s\S]*?(?=<!-- end -->)/g,
    (whole, mark: string, kind: string, name: string) => {
      if (kind === 'machine') return `${mark}${machineOf(report)}\n`;
      const findings = report.sections[name];
      if (findings === undefined) return whole;
      const rows = kind === 'figures' ? figureRows(findings) : (findings.tables ?? []).flatMap(tableRows);
      return `${mark}\n${rows.join('\n')}\n`;
    },
  );
}

function machineOf({ measuredAt, node, machine, peers }: Report): string {
  const names = Object.entries(peers).map((peer) => peer.join(' '));
  return `Measured on ${measuredAt.slice(0, 10)}, Node ${node}, ${machine}; peers: ${names.join(', ')}.`;
}

function figureRows({ figures }: Findings): string[] {
  const rows = figures.map((figure) => [
    figure.name,
    `${short(figure.value)} ${figure.unit}`,
    reach(figure),
    reached(figure, { met: 'yes', missed: '**no**' }),
  ]);
  return [...markdownTable(['figure', 'median (spread)', 'to reach', 'reached'], rows), ''];
}

function tableRows({ title, rows }: Table): string[] {
  const columns = [...new Set(rows.flatMap(({ values }) => Object.keys(values)))];
  const cells = rows.map(({ name, values }) => [
    name,
    ...columns.map((column) => (values[column] === undefined ? '' : short(values[column]))),
  ]);
  return [...markdownTable([title, ...columns], cells), ''];
}

function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), `|${'---|'.repeat(head.length)}`, ...rows.map(line)];
}

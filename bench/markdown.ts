/** Updates the tables of a Markdown page: `npm run bench -- --markdown docs/performance.md`. */
import { type SectionResult, type Table, targetResult } from './figures.ts';
import { short, target } from './print.ts';

/** Results of a run and its environment. */
export interface Report {
  /** ISO 8601, UTC. */
  measuredAt: string;
  node: string;
  machine: string;
  full: boolean;
  peers: Record<string, string>;
  sections: Record<string, SectionResult & { seconds: number }>;
}

/**
 * Replaces the text between `<!-- figures <section> -->`, `<!-- tables <section> -->` or `<!-- machine -->` and the next
 * `<!-- end -->` with the results. Sections that were not run, and all other text, are not changed.
 */
export function updatePage(page: string, report: Report): string {
  return page.replace(
    /(<!-- (figures|tables|machine) ?(\S*) -->\n)[\s\S]*?(?=<!-- end -->)/g,
    (whole, mark: string, kind: string, name: string) => {
      if (kind === 'machine') return `${mark}${machineOf(report)}\n`;
      const result = report.sections[name];
      if (result === undefined) return whole;
      const rows = kind === 'figures' ? figureRows(result) : (result.tables ?? []).flatMap(tableRows);
      return `${mark}\n${rows.join('\n')}\n`;
    },
  );
}

function machineOf({ measuredAt, node, machine, peers }: Report): string {
  const names = Object.entries(peers).map((peer) => peer.join(' '));
  return `Measured on ${measuredAt.slice(0, 10)}, Node ${node}, ${machine}; peers: ${names.join(', ')}.`;
}

function figureRows({ figures }: SectionResult): string[] {
  const rows = figures.map((figure) => [
    figure.name,
    `${short(figure.value)} ${figure.unit}`,
    target(figure),
    targetResult(figure, { met: 'yes', missed: '**no**' }),
  ]);
  return [...markdownTable(['figure', 'median (spread)', 'target', 'met'], rows), ''];
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

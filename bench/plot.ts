/** Draws tables as an SVG bar chart: `npm run bench -- --svg <file>`. */
import type { Table } from './figures.ts';
import { amount } from './print.ts';

const rowHeight = 22;
const headHeight = 34;
const labelWidth = 170;
const barWidth = 420;
const width = labelWidth + barWidth + 130;
/** Longer bars are cut: implementations that start a process per document take hundreds of times longer. */
const maxValue = 8;
const ours = '#00806a';
const others = '#9aa5b1';

/**
 * Draws one group of bars per table that has the column, in ascending order, with whiskers from the lowest to the highest
 * round.
 *
 * @param own names of the rows to highlight
 */
export function plot(
  title: string,
  column: string,
  tables: readonly Table[],
  own: readonly string[],
): string {
  const charts = tables.filter(({ rows }) => rows.some(({ values }) => values[column]));
  let top = headHeight;
  const parts: string[] = [];
  for (const { title: heading, rows } of charts) {
    parts.push(text(0, top + 16, heading, 'font-weight="bold"'));
    top += rowHeight + 4;
    const bars = rows
      .flatMap(({ name, values }) => {
        const value = values[column];
        return value === undefined ? [] : [{ name, value }];
      })
      .toSorted((a, b) => a.value.median - b.value.median);
    const most = Math.min(maxValue, Math.max(...bars.map(({ value }) => value.high)));
    const at = (value: number) => labelWidth + (Math.min(value, most) / most) * barWidth;
    for (const { name, value } of bars) {
      const middle = top + rowHeight / 2;
      parts.push(
        text(labelWidth - 8, middle + 4, name, 'text-anchor="end"'),
        `<rect x="${labelWidth}" y="${top + 3}" width="${round(at(value.median) - labelWidth)}" height="${rowHeight - 6}" fill="${own.includes(name) ? ours : others}"/>`,
        `<line x1="${round(at(value.low))}" x2="${round(at(value.high))}" y1="${middle}" y2="${middle}" stroke="#222"/>`,
        text(
          round(at(value.high)) + 8,
          middle + 4,
          `${amount(value.median)}${value.median > most ? ' →' : ''}`,
        ),
      );
      top += rowHeight;
    }
    top += 14;
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 ${width} ${top}" width="${width}" height="${top}" font-family="system-ui, sans-serif" font-size="13">
<title>${escaped(title)}</title>
<rect width="100%" height="100%" fill="#fff"/>
${text(0, 18, title, 'font-size="15" font-weight="bold"')}
${parts.join('\n')}
</svg>
`;
}

function text(x: number, y: number, content: string, attributes = ''): string {
  return `<text x="${x === 0 ? 4 : x}" y="${y}" ${attributes}>${escaped(content)}</text>`;
}

function escaped(content: string): string {
  return content.replace(/[&<>]/g, (character) => `&#${character.charCodeAt(0)};`);
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

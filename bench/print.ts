/** Findings as tables on the terminal. */
import CliTable from 'cli-table3';
import { type Figure, type Findings, reached, type Spread, type Table } from './figures.ts';

export function printFindings({ figures, tables = [], notes = [] }: Findings): void {
  for (const table of tables) printTable(table);
  if (figures.length > 0) printFigures(figures);
  for (const note of notes) console.log(`  ${note}`);
}

function printTable({ title, rows }: Table): void {
  const columns = Object.keys(rows[0]?.values ?? {});
  const table = new CliTable({
    head: [title, ...columns],
    style,
    colAligns: ['left', ...columns.map(toRight)],
  });
  for (const { name, values } of rows) {
    table.push([
      name,
      ...columns.map((column) => (values[column] === undefined ? '' : short(values[column]))),
    ]);
  }
  console.log(table.toString());
}

function printFigures(figures: readonly Figure[]): void {
  const head = ['figure', 'median', 'spread', 'reach', ''];
  const table = new CliTable({ head, style, chars, colAligns: ['left', 'right', 'right', 'right', 'left'] });
  for (const figure of figures) {
    table.push([
      figure.name,
      `${amount(figure.value.median)} ${figure.unit}`,
      spread(figure.value),
      reach(figure),
      reached(figure, { met: 'met', missed: 'MISSED' }),
    ]);
  }
  console.log(table.toString());
}

const style = { head: [], border: [] };
/** No lines between the rows. */
const chars = { mid: '', 'left-mid': '', 'mid-mid': '', 'right-mid': '' };

function toRight(): 'right' {
  return 'right';
}

export function short(value: Spread): string {
  return value.low === value.high ? amount(value.median) : `${amount(value.median)} (${spread(value)})`;
}

function spread({ low, high }: Spread): string {
  return low === high ? '' : `${amount(low)}–${amount(high)}`;
}

export function reach({ reach, unit }: Figure): string {
  if (reach === undefined) return '';
  return 'atMost' in reach ? `≤ ${amount(reach.atMost)} ${unit}` : `≥ ${amount(reach.atLeast)} ${unit}`;
}

/** Three digits that count. */
export function amount(value: number): string {
  if (Number.isInteger(value)) return value.toLocaleString('en');
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  return value.toLocaleString('en', { maximumFractionDigits: Math.min(digits, 2) });
}

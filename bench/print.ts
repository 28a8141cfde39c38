/** Prints results as tables on the terminal. */
import CliTable from 'cli-table3';
import { type Figure, type SectionResult, type Spread, type Table, targetResult } from './figures.ts';

export function printResults({ figures, tables = [], notes = [] }: SectionResult): void {
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
  const head = ['figure', 'median', 'spread', 'target', ''];
  const table = new CliTable({ head, style, chars, colAligns: ['left', 'right', 'right', 'right', 'left'] });
  for (const figure of figures) {
    table.push([
      figure.name,
      `${amount(figure.value.median)} ${figure.unit}`,
      spread(figure.value),
      target(figure),
      targetResult(figure, { met: 'met', missed: 'MISSED' }),
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

export function target({ target, unit }: Figure): string {
  if (target === undefined) return '';
  return 'atMost' in target ? `≤ ${amount(target.atMost)} ${unit}` : `≥ ${amount(target.atLeast)} ${unit}`;
}

/** Formats with three significant digits. */
export function amount(value: number): string {
  if (Number.isInteger(value)) return value.toLocaleString('en');
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  return value.toLocaleString('en', { maximumFractionDigits: Math.min(digits, 2) });
}

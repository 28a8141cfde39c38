import Table from 'cli-table3';
import { asStyled, type Printable, StyledText } from './styled.ts';

export interface TableColumn {
  head: string;
  align: 'left' | 'right';
  /** In characters; longer cells are cut. @default as wide as the longest cell */
  width?: number;
  /** In characters; `fitColumns` may cut the cells down to this. @default they are not cut */
  minWidth?: number;
}

/** Names and values in two columns, one line each. */
export function formatPairs(pairs: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(...pairs.map(([name]) => name.length));
  return pairs.map(([name, value]) => `${name.padEnd(width)}  ${value}`);
}

/** A table with a header row and plain borders. */
export function formatTable(
  columns: readonly TableColumn[],
  rows: readonly (readonly (Printable | number)[])[],
): StyledText {
  const draw = (of: 'plain' | 'coloured') => {
    const table = new Table({
      head: columns.map(({ head }) => head),
      style: { head: [], border: [], compact: true },
      colAligns: columns.map(({ align }) => align),
      // Includes a space on both sides. Null: as wide as needed.
      colWidths: columns.map(({ width }) => (width === undefined ? null : width + 2)),
    });
    for (const row of rows)
      table.push(row.map((cell) => (typeof cell === 'number' ? cell : asStyled(cell)[of])));
    return table.toString();
  };
  return new StyledText(draw('plain'), draw('coloured'));
}

/**
 * Narrows columns until the table fits, the widest of those with a `minWidth` first.
 *
 * @param room in characters; undefined if there is no limit
 */
export function fitColumns(
  columns: readonly TableColumn[],
  rows: readonly (readonly string[])[],
  room: number | undefined,
): TableColumn[] {
  const fitted = columns.map((column, position) => {
    // Number of UTF-8 bytes, which is never less than the width of a text on the screen.
    const cells = rows.map((row) => Buffer.byteLength(asStyled(row[position] ?? '').plain));
    return { ...column, width: Math.max(column.head.length, ...cells) };
  });
  // Each column has a border before it and a space on both sides; the last has a border after it.
  let excess = fitted.reduce((sum, { width }) => sum + width + 3, 1) - (room ?? Number.POSITIVE_INFINITY);
  if (excess <= 0) return [...columns];
  while (excess > 0) {
    const [widest] = fitted
      .filter(({ width, minWidth = width }) => width > minWidth)
      .sort((a, b) => b.width - a.width);
    if (!widest) break;
    widest.width -= 1;
    excess -= 1;
  }
  return fitted;
}

import Table from 'cli-table3';
import { asStyled, type Printable, StyledText } from './styled.ts';

export interface TableColumn {
  head: string;
  align: 'left' | 'right';
  /** In characters; longer cells are cut. @default as wide as the longest cell */
  width?: number;
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

import Table from 'cli-table3';

export interface TableColumn {
  head: string;
  align: 'left' | 'right';
  /** In characters; longer cells are cut. @default as wide as the longest cell */
  width?: number;
}

/** A table with a header row and plain borders. Cells are not escaped: pass untrusted text through `printable` first. */
export function formatTable(
  columns: readonly TableColumn[],
  rows: readonly (readonly (string | number)[])[],
): string {
  const table = new Table({
    head: columns.map(({ head }) => head),
    style: { head: [], border: [], compact: true },
    colAligns: columns.map(({ align }) => align),
    // Includes a space on both sides. Null: as wide as needed.
    colWidths: columns.map(({ width }) => (width === undefined ? null : width + 2)),
  });
  for (const row of rows) table.push([...row]);
  return table.toString();
}

/** Finds the matching rows in the text of a shard. Parses only lines that contain the traces of all criteria. */
import { type CatalogueRow, parseRow, shardOf } from '../../functions/bucket/catalogue-rows.ts';
import type { Criterion } from './match.ts';

export interface RowFilter {
  matches(row: CatalogueRow): boolean;
  /**
   * @param text of a shard: JSON Lines
   * @throws RangeError if a line that may match is not a row of this shard
   */
  scan(text: Buffer, shard: string): CatalogueRow[];
}

/** @param criteria of which a row must match all, the rarest first: its trace decides which lines are looked at */
export function createRowFilter(criteria: readonly Criterion[]): RowFilter {
  const matches = (row: CatalogueRow) => criteria.every((criterion) => criterion.matches(row));
  // Without a trace, the empty pattern matches every line.
  const [first = '', ...others] = criteria.flatMap(({ trace }) => trace ?? []);
  const firstTrace = new RegExp(first, 'gi');
  const otherTraces = others.map((trace) => new RegExp(trace, 'i'));
  return {
    matches,
    scan: (text, shard) => {
      // Latin-1 has one character per byte, so positions in `bytes` and `text` are the same.
      const bytes = text.toString('latin1');
      const rows: CatalogueRow[] = [];
      firstTrace.lastIndex = 0;
      for (let found = firstTrace.exec(bytes); found; found = firstTrace.exec(bytes)) {
        if (found.index === bytes.length) break;
        const start = bytes.lastIndexOf('\n', found.index - 1) + 1;
        const end = bytes.indexOf('\n', found.index);
        if (end === -1) throw new RangeError('The last line of a shard has no end.');
        firstTrace.lastIndex = end + 1;
        const line = bytes.slice(start, end);
        if (!otherTraces.every((trace) => trace.test(line))) continue;
        const row = parseRow(text.toString('utf8', start, end));
        if (shardOf(row.id) !== shard) throw new RangeError('A row is in the wrong shard.');
        if (matches(row)) rows.push(row);
      }
      return rows;
    },
  };
}

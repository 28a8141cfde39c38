import { expect, it } from 'vitest';
import { fitColumns, formatTable, type TableColumn } from '../../terminal/tables.ts';

const columns: TableColumn[] = [
  { head: 'id', align: 'left' },
  { head: 'name', align: 'left', minWidth: 5 },
  { head: 'owner', align: 'left', minWidth: 5 },
];
const rows = [
  ['12345678', 'a long file name, größer', 'an owner'],
  ['2', '日本語.pdf', ''],
];

function widthOfTable(room: number | undefined): number {
  const lines = formatTable(fitColumns(columns, rows, room), rows).plain.split('\n');
  return Math.max(...lines.map((line) => line.length));
}

it.each([60, 40, 30, 28])('fits a table into %i characters by cutting the widest columns', (room) => {
  expect(widthOfTable(room)).toBeLessThanOrEqual(room);
});

it('cuts no column without a minimum, and none below it', () => {
  expect(fitColumns(columns, rows, 10).map(({ width }) => width)).toEqual([8, 5, 5]);
});

it('cuts nothing without a limit', () => {
  expect(formatTable(fitColumns(columns, rows, undefined), rows).plain).toContain('a long file name, größer');
});

/** Prints the documents that were found: a table, CSV or JSON. */
import type { CatalogueRow, Relation } from '../../functions/bucket/catalogue-rows.ts';
import { formatCount } from '../../terminal/counts.ts';
import { csvLine } from '../../terminal/csv.ts';
import { type StyledText, styled } from '../../terminal/styled.ts';
import { fitColumns, formatTable, type TableColumn } from '../../terminal/tables.ts';

const tableColumns: readonly TableColumn[] = [
  { head: 'document', align: 'left' },
  { head: 'archived', align: 'left' },
  { head: 'file name', align: 'left', minWidth: 8 },
  { head: 'for', align: 'left', minWidth: 8 },
];

/** @param width of the terminal in characters; undefined if the output is not a terminal */
export function foundTable(rows: readonly CatalogueRow[], width: number | undefined): StyledText {
  const cells = rows.map((row) => [row.id, describeState(row), row.name ?? '', describeOwner(row)]);
  return formatTable(fitColumns(tableColumns, cells, width), cells);
}

function describeState({ state, archived, held }: CatalogueRow): string {
  const words = [state === 'erased' ? 'erased' : (archived ?? '').slice(0, 10), ...(held ? ['held'] : [])];
  return words.join(' ');
}

function describeOwner({ reference, relations = [] }: CatalogueRow): string {
  const parts = relations.flatMap(({ kind, type, id, reference: ofOrder, numbers = [] }) => [
    ofOrder ?? `${(type ?? kind).replace(/[_-]/g, ' ')} ${id}`,
    ...numbers.slice(0, 1),
    ...(numbers.length > 1 ? [formatCount(numbers.length - 1, 'more number')] : []),
  ]);
  return [...new Set([...(reference === undefined ? [] : [reference]), ...parts])].join(' · ');
}

/** By column head. A document can have several relations: a column about them has the texts of all. */
const csvColumns: Readonly<Record<string, (row: CatalogueRow) => string | number | undefined>> = {
  document: ({ id }) => id,
  state: ({ state }) => state,
  held: ({ held }) => (held ? 'held' : undefined),
  archived: ({ archived }) => archived,
  created: ({ created }) => created,
  'file name': ({ name }) => name,
  reference: ({ reference }) => reference,
  'content type': ({ type }) => type,
  bytes: ({ bytes }) => bytes,
  sha256: ({ sha256 }) => sha256,
  trigger: ({ trigger }) => trigger,
  'belongs to': ({ relations }) => joined(relations, ({ kind, type, id }) => [`${type ?? kind}:${id}`]),
  'order references': ({ relations }) => joined(relations, ({ reference }) => [reference], '; '),
  // A URI (RFC 3966), because a spreadsheet reads a number with a leading plus sign as a formula.
  numbers: ({ relations }) =>
    joined(relations, ({ numbers = [] }) => numbers.map((number) => `tel:${number}`)),
};

function joined(
  relations: readonly Relation[] = [],
  textsOf: (relation: Relation) => (string | undefined)[],
  separator = ' ',
): string {
  return [...new Set(relations.flatMap(textsOf).filter((text) => text !== undefined))].join(separator);
}

/** CSV by RFC 4180, with a header line. The escape filter leaves no line break within a cell. */
export function* foundCsv(rows: readonly CatalogueRow[]): Generator<StyledText> {
  yield csvText(Object.keys(csvColumns));
  for (const row of rows) yield csvText(Object.values(csvColumns).map((cell) => cell(row)));
}

function csvText(cells: Parameters<typeof csvLine>[0]): StyledText {
  return styled`${csvLine(cells)}\r`;
}

/** A line of `--json`. */
export function foundRecord({
  id,
  state,
  held,
  name,
  reference,
  type,
  bytes,
  sha256,
  created,
  archived,
  trigger,
  relations,
}: CatalogueRow): object {
  return {
    type: 'found',
    documentId: id,
    state,
    held,
    fileName: name,
    customerReference: reference,
    contentType: type,
    bytes,
    sha256,
    createdAt: created,
    archivedAt: archived,
    trigger,
    relations,
  };
}

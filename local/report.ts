/** Final output of `npm start`: a table of documents and a summary. */
import { receiptKey } from '../functions/bucket/keys.ts';
import type { Receipt } from '../functions/bucket/receipts.ts';
import type { Bucket } from '../functions/bucket/store.ts';
import { formatBytes } from '../terminal/bytes.ts';
import { formatCount } from '../terminal/counts.ts';
import { asStyled, type StyledText, styled } from '../terminal/styled.ts';
import { formatTable } from '../terminal/tables.ts';
import type { Change, Entry, Ledger, State } from './ledger.ts';

const maxRows = 40;

const stateNames: Record<State, string> = {
  archived: 'archived',
  'already-archived': 'already archived',
  waiting: 'waiting',
  'dead-lettered': 'dead letter',
};

/** Reads the file names of the documents in the table from their receipts. */
export async function namesFromReceipts(
  ledger: Ledger,
  bucket: Bucket,
): Promise<ReadonlyMap<string, string>> {
  const names = new Map<string, string>();
  const signal = new AbortController().signal;
  for (const [id, entry] of rowsToShow(ledger)) {
    if (!isArchived(entry)) continue;
    const receipt = await bucket.read(receiptKey(id), signal);
    const { telnyx }: Pick<Receipt, 'telnyx'> = JSON.parse(receipt?.toString('utf8') ?? '{"telnyx":{}}');
    if (typeof telnyx.filename === 'string') names.set(id, telnyx.filename);
  }
  return names;
}

interface Column {
  head: string;
  align: 'left' | 'right';
  cell: (id: string, entry: Entry) => string;
}

/** On a narrow terminal, columns are dropped from the right, and the last one is truncated to at least this width. */
const minLastColumn = 20;

/**
 * One row per document, at most 40, failures first.
 *
 * @param width of the terminal, in characters; undefined if the output is not a terminal
 */
export function documentTable(
  ledger: Ledger,
  names: ReadonlyMap<string, string>,
  width = Number.POSITIVE_INFINITY,
): StyledText {
  const rows = rowsToShow(ledger);
  if (rows.length === 0) return styled``;
  const columns: Column[] = [
    { head: 'document', align: 'left', cell: (id) => id },
    { head: 'outcome', align: 'left', cell: (_id, { state }) => stateNames[state] },
    { head: 'receives', align: 'right', cell: (_id, { receives }) => String(receives) },
    {
      head: 'size',
      align: 'right',
      cell: (_id, { state, bytes }) => (state === 'archived' ? formatBytes(bytes) : ''),
    },
    {
      head: 'seconds',
      align: 'right',
      cell: (_id, entry) => (isArchived(entry) ? (entry.ms / 1_000).toFixed(2) : ''),
    },
  ];
  const last: Column = {
    head: 'file name or code',
    align: 'left',
    cell: (id, entry) => entry.code ?? names.get(id) ?? nameOfKind(entry),
  };
  // Number of UTF-8 bytes, which is never less than the width of a text on the screen.
  const widthOf = ({ head, cell }: Column) =>
    Math.max(head.length, ...rows.map(([id, entry]) => Buffer.byteLength(asStyled(cell(id, entry)).plain)));
  // Each column has a border before it and a space on both sides; the last has a border after it.
  const remainingWidth = () => width - columns.reduce((sum, column) => sum + widthOf(column) + 3, 4);
  while (columns.length > 2 && remainingWidth() < minLastColumn) columns.pop();

  const shown = [...columns, last];
  const widths = [
    ...columns.map(widthOf),
    Math.min(widthOf(last), Math.max(minLastColumn, remainingWidth())),
  ];
  const table = formatTable(
    shown.map(({ head, align }, position) => {
      const places = widths[position];
      return Number.isFinite(width) && places !== undefined
        ? { head, align, width: places }
        : { head, align };
    }),
    rows.map(([id, entry]) => shown.map(({ cell }) => cell(id, entry))),
  );
  const more = ledger.entries.size - rows.length;
  return more > 0 ? styled`${table}\n… and ${more} more` : table;
}

/** One line for a document whose state has changed. */
export function changeLine(change: Change): string {
  const { document, state, bytes, code, receives } = change;
  const parts = [
    `${document}  ${stateNames[state]}${code === undefined ? '' : `: ${code}`}`,
    ...(state === 'archived' ? [formatBytes(bytes)] : []),
    ...(receives > 1 ? [formatCount(receives, 'receive')] : []),
    ...(change.kind === 'document' ? [] : [nameOfKind(change)]),
  ];
  return parts.join(', ');
}

/** Counts, dead letters with their reasons, and where the archive is. */
export function summaryOf(ledger: Ledger, archive: string): string[] {
  const totals = ledger.totals();
  const lines = [
    `${totals.archived} archived (${formatBytes(totals.bytes)}), ` +
      `${Math.max(totals.alreadyArchived, totals.found - totals.documents + totals.alreadyArchived)} already archived, ` +
      `${formatCount(totals.deadLettered, 'dead letter')}${totals.waiting > 0 ? `, ${totals.waiting} waiting` : ''}.`,
  ];
  for (const [id, { state, code, reason }] of ledger.entries) {
    if (state === 'dead-lettered') lines.push(`  ${id}  ${code}: ${reason}`);
  }
  lines.push(`Archive: ${archive}`);
  return lines;
}

function isArchived({ state }: Entry): boolean {
  return state === 'archived' || state === 'already-archived';
}

function nameOfKind({ kind }: Entry): string {
  return kind === 'document' ? '' : `message of kind ${kind}`;
}

function rowsToShow(ledger: Ledger): [string, Entry][] {
  return [...ledger.entries].toSorted(([, a], [, b]) => priority(b) - priority(a)).slice(0, maxRows);
}

/** Failures first, then documents that took several receives. */
function priority({ state, receives }: Entry): number {
  return (state === 'dead-lettered' ? 2_000 : state === 'waiting' ? 1_000 : 0) + receives;
}

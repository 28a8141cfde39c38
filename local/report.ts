/** What `npm start` prints for people: lines while it runs, a table of documents and a summary. */
import { receiptKey } from '../functions/bucket/keys.ts';
import type { Receipt } from '../functions/bucket/receipts.ts';
import type { Bucket } from '../functions/bucket/store.ts';
import { formatBytes } from '../terminal/bytes.ts';
import { formatCount } from '../terminal/counts.ts';
import { asStyled, type StyledText, styled } from '../terminal/styled.ts';
import { formatTable } from '../terminal/tables.ts';
import type { Change, Entry, Ledger, State } from './ledger.ts';
import type { StartEventOf } from './start-lines.ts';

const maxRows = 40;

const stateNames: Record<State, string> = {
  archived: 'archived',
  'already-archived': 'already archived',
  erased: 'erased',
  waiting: 'waiting',
  'dead-lettered': 'dead letter',
};

/**
 * File names of the documents in the table.
 *
 * @param fileNameOf for a document without a receipt; undefined if its name is not known
 */
export async function fileNamesOf(
  ledger: Ledger,
  bucket: Pick<Bucket, 'read'>,
  fileNameOf: (documentId: string) => string | undefined | Promise<string | undefined>,
): Promise<ReadonlyMap<string, string>> {
  const names = new Map<string, string>();
  const signal = new AbortController().signal;
  for (const [id, entry] of rowsToShow(ledger)) {
    if (entry.kind !== 'document') continue;
    const name = isArchived(entry) ? await nameFromReceipt(id, bucket, signal) : await fileNameOf(id);
    if (name !== undefined) names.set(id, name);
  }
  return names;
}

async function nameFromReceipt(
  id: string,
  bucket: Pick<Bucket, 'read'>,
  signal: AbortSignal,
): Promise<string | undefined> {
  const receipt = await bucket.read(receiptKey(id), signal);
  // Since erased: a tombstone has no record.
  const { telnyx }: Partial<Pick<Receipt, 'telnyx'>> = JSON.parse(receipt?.toString('utf8') ?? '{}');
  return typeof telnyx?.filename === 'string' ? telnyx.filename : undefined;
}

interface Column {
  head: string;
  align: 'left' | 'right';
  cell: (id: string, entry: Entry) => string;
}

/** In characters, if the output is not a terminal, which states its width. */
const defaultWidth = 100;
/** On a narrow terminal, columns are dropped from the right, and the file name is cut to at least this width. */
const minNameWidth = 15;

/**
 * One row per document, at most 40, failures first. Undefined without documents.
 *
 * @param width of the terminal, in characters
 */
export function documentTable(
  ledger: Ledger,
  names: ReadonlyMap<string, string>,
  width = defaultWidth,
): StyledText | undefined {
  const rows = rowsToShow(ledger);
  if (rows.length === 0) return undefined;
  const code: Column = { head: 'code', align: 'left', cell: (_id, entry) => entry.code ?? '' };
  const columns: Column[] = [
    { head: 'document', align: 'left', cell: (id) => id },
    { head: 'outcome', align: 'left', cell: (_id, { state }) => stateNames[state] },
    ...(rows.some(([, entry]) => entry.code !== undefined) ? [code] : []),
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
  const name: Column = {
    head: 'file name',
    align: 'left',
    cell: (id, entry) =>
      entry.kind === 'document' ? (names.get(id) ?? 'not known') : nameOfKind(entry.kind),
  };
  // Number of UTF-8 bytes, which is never less than the width of a text on the screen.
  const widthOf = ({ head, cell }: Column) =>
    Math.max(head.length, ...rows.map(([id, entry]) => Buffer.byteLength(asStyled(cell(id, entry)).plain)));
  // Each column has a border before it and a space on both sides; the last has a border after it.
  const remainingWidth = () => width - columns.reduce((sum, column) => sum + widthOf(column) + 3, 4);
  while (columns.length > 2 && remainingWidth() < minNameWidth) columns.pop();

  const shown = [...columns, name];
  const widths = [...columns.map(widthOf), Math.min(widthOf(name), Math.max(minNameWidth, remainingWidth()))];
  const table = formatTable(
    shown.map(({ head, align }, position) => ({ head, align, width: widths[position] ?? minNameWidth })),
    rows.map(([id, entry]) => shown.map(({ cell }) => cell(id, entry))),
  );
  const more = ledger.entries.size - rows.length;
  return more > 0 ? styled`${table}\n… and ${more} more` : table;
}

/** One line for a document, or another message, whose state has changed. */
export function changeLine(change: Change): string {
  const { document, state, bytes, code, reason, receives, kind, lane } = change;
  const parts = [
    `${document}  ${stateNames[state]}`,
    ...(kind === 'document' ? [] : [nameOfKind(kind)]),
    ...(code === undefined ? [] : [lane]),
    ...(state === 'archived' ? [formatBytes(bytes)] : []),
    ...(receives > 1 ? [formatCount(receives, 'receive')] : []),
  ];
  return `${parts.join(', ')}${code === undefined ? '' : `: ${code}${reason === undefined ? '' : `: ${reason}`}`}`;
}

const outcomeNames: Record<StartEventOf<'webhook'>['outcome'], string> = {
  accepted: 'accepted',
  ignored: 'ignored',
  deferred: 'not queued; Telnyx would send it again',
  refused: 'refused',
};

/** One line for a request to the webhook. */
export function webhookLine(event: StartEventOf<'webhook'>): string {
  const { status, outcome, reason, eventType, queued } = event;
  const what = [
    `webhook  ${status ?? '   '} ${outcomeNames[outcome]}`,
    ...(reason === undefined ? [] : [`: ${reason}`]),
    ...(eventType === undefined ? [] : [`, ${eventType}`]),
    ...(outcome === 'accepted' && queued !== undefined ? [`, ${queued} queued`] : []),
  ];
  return what.join('');
}

/** One line for a completed run of the audit. */
export function auditLine({ run, documents, findings }: StartEventOf<'audit'>): string {
  return `audit  ${run}: ${formatCount(documents, 'document')}, ${formatCount(findings, 'finding')}`;
}

/** Counts, dead letters with their reasons, and where the archive is. */
export function summaryOf(ledger: Ledger, archive: string): string[] {
  const totals = ledger.totals();
  const counts = [
    `${totals.archived} archived (${formatBytes(totals.bytes)})`,
    `${Math.max(totals.alreadyArchived, totals.found - totals.documents + totals.alreadyArchived)} already archived`,
    ...(totals.erased > 0 ? [`${totals.erased} erased`] : []),
    formatCount(totals.deadLettered, 'dead letter'),
    ...(totals.waiting > 0 ? [`${totals.waiting} waiting`] : []),
  ];
  const lines = [`${counts.join(', ')}.`];
  for (const [id, { state, code, reason }] of ledger.entries) {
    if (state === 'dead-lettered') lines.push(`  ${id}  ${code}: ${reason}`);
  }
  if (!totals.listed)
    lines.push("Telnyx's list of documents was not read to its end: documents may be missing.");
  if (totals.unreadable) lines.push('Telnyx listed rows without a valid document ID.');
  lines.push(`Archive: ${archive}`);
  return lines;
}

function isArchived({ state }: Entry): boolean {
  return state === 'archived' || state === 'already-archived';
}

function nameOfKind(kind: string): string {
  return `${kind} message`;
}

function rowsToShow(ledger: Ledger): [string, Entry][] {
  return [...ledger.entries].toSorted(([, a], [, b]) => priority(b) - priority(a)).slice(0, maxRows);
}

/** Failures first, then documents that took several receives. */
function priority({ state, receives }: Entry): number {
  return (state === 'dead-lettered' ? 2_000 : state === 'waiting' ? 1_000 : 0) + receives;
}

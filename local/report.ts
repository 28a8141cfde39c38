/** What a person reads at the end: a table of documents, and one sentence that says whether all is well. */
import Table from 'cli-table3';
import { receiptKey } from '../functions/bucket/keys.ts';
import type { Receipt } from '../functions/bucket/receipts.ts';
import type { Bucket } from '../functions/bucket/store.ts';
import type { Change, Entry, Ledger, State } from './ledger.ts';
import { formatBytes } from './progress.ts';

const longestTable = 40;

const words: Record<State, string> = {
  queued: 'queued',
  archived: 'archived',
  'already-archived': 'was archived already',
  waiting: 'waiting',
  'dead-lettered': 'dead letter',
};

/** The file names of the documents that the table will show, as their receipts have them. */
export async function namesFromReceipts(
  ledger: Ledger,
  bucket: Bucket,
): Promise<ReadonlyMap<string, string>> {
  const names = new Map<string, string>();
  const signal = new AbortController().signal;
  for (const [id, { state }] of mostTelling(ledger)) {
    if (state !== 'archived' && state !== 'already-archived') continue;
    const receipt = await bucket.read(receiptKey(id), signal);
    const { telnyx }: Pick<Receipt, 'telnyx'> = JSON.parse(receipt?.toString('utf8') ?? '{"telnyx":{}}');
    if (typeof telnyx.filename === 'string') names.set(id, telnyx.filename);
  }
  return names;
}

/** One row per document, those that need a person first; at most forty rows. */
export function documentTable(ledger: Ledger, names: ReadonlyMap<string, string>): string {
  const rows = mostTelling(ledger);
  if (rows.length === 0) return '';
  const table = new Table({
    head: ['document', 'file name', 'size', 'outcome', 'seconds', 'key'],
    style: { head: [], border: [], compact: true },
    colAligns: ['left', 'left', 'right', 'left', 'right', 'left'],
  });
  for (const [id, entry] of rows) {
    const archived = entry.state === 'archived' || entry.state === 'already-archived';
    table.push([
      id,
      shortened(names.get(id) ?? ''),
      entry.state === 'archived' ? formatBytes(entry.bytes) : '',
      outcomeOf(entry),
      archived ? (entry.ms / 1_000).toFixed(2) : '',
      archived ? `documents/${id}` : '',
    ]);
  }
  const more = ledger.entries.size - rows.length;
  return `${table.toString()}${more > 0 ? `\n… and ${more} more` : ''}`;
}

/** One line for what has just become of a document. */
export function changeLine(change: Change): string {
  const size = change.state === 'archived' ? `, ${formatBytes(change.bytes)}` : '';
  return `${change.document}  ${outcomeOf(change)}${size}`;
}

/** One sentence per fact; the last says what to do where something is to be done. */
export function summary(ledger: Ledger, archive: string): string {
  const totals = ledger.totals();
  const lines = [
    `${totals.archived} archived (${formatBytes(totals.bytes)}), ` +
      `${Math.max(totals.alreadyArchived, totals.found - totals.documents + totals.alreadyArchived)} had a receipt already, ` +
      `${totals.deadLettered} dead letters${totals.waiting > 0 ? `, ${totals.waiting} waiting` : ''}.`,
  ];
  for (const [id, { state, code, reason }] of ledger.entries) {
    if (state === 'dead-lettered') lines.push(`  ${id}  ${code}: ${reason}`);
  }
  lines.push(`The archive is in ${archive}`);
  return lines.join('\n');
}

function outcomeOf({ state, code, receives }: Entry): string {
  const tries = receives > 1 ? `, ${receives} receives` : '';
  return code === undefined ? `${words[state]}${tries}` : `${words[state]}: ${code}${tries}`;
}

function mostTelling(ledger: Ledger): [string, Entry][] {
  return [...ledger.entries].toSorted(([, a], [, b]) => weight(b) - weight(a)).slice(0, longestTable);
}

/** What failed comes first, then what took several receives. */
function weight({ state, receives }: Entry): number {
  return (state === 'dead-lettered' ? 2_000 : state === 'waiting' ? 1_000 : 0) + receives;
}

function shortened(name: string): string {
  const characters = [...name];
  return characters.length > 36
    ? `${characters.slice(0, 20).join('')}…${characters.slice(-15).join('')}`
    : name;
}

/**
 * Compares the listings of a run with those of the last run. A cell is the documents whose IDs begin with the same digits.
 * A run records no listing, only a fingerprint of each cell. If the fingerprint of a cell has changed, its documents are
 * read.
 */
import { createHash } from 'node:crypto';
import type { ListedKey } from '../bucket/listing.ts';
import type { SourceRow } from './sources.ts';

/** 4,096 cells: 244 documents each among a million. */
const cellDigits = 3;
/** Characters of base64url: 96 bits. */
const fingerprintLength = 16;

/** Fingerprints by name of the cell. The name of a cell that a part covers only partly includes the part's bounds. */
export type Cells = Record<string, string>;

export interface Stretch {
  /** First ID or a prefix, inclusive. */
  from: string;
  /** Exclusive; empty: no bound. */
  before: string;
}

/** What the last run recorded about a stretch. */
export interface LastListing {
  cells: ReadonlyMap<string, string>;
  /** The fingerprints do not cover what was modified at this time or later. Milliseconds since the Unix epoch. */
  newFrom: number;
  /** IDs of documents with problems: they are read again every night until they have none. */
  problems: ReadonlySet<string>;
}

export interface MarkedRow {
  row: SourceRow;
  /** Whether the listing shows the document as it did in the last run. */
  unchanged: boolean;
}

/** Whether an ID or a prefix is before the end of a stretch. */
export function isBefore(id: string, before: string): boolean {
  return before === '' || id < before;
}

/** Marks each row as unchanged or not. Holds the rows of one cell in memory. @param rows sorted by ID, of this stretch */
export async function* markUnchanged(
  rows: AsyncIterable<SourceRow>,
  stretch: Stretch,
  last: LastListing | undefined,
): AsyncGenerator<MarkedRow> {
  let cell: SourceRow[] = [];
  const mark = (): MarkedRow[] => {
    const [first] = cell;
    if (!first || !last) return cell.map((row) => ({ row, unchanged: false }));
    const fingerprints = new Fingerprints(last.newFrom);
    for (const row of cell) fingerprints.add(row);
    const name = nameOf(cellOf(first.id), stretch);
    const isSame = fingerprints.of(stretch)[name] === last.cells.get(name);
    return cell.map((row) => ({
      row,
      unchanged: isSame && !isNew(row, last.newFrom) && !last.problems.has(row.id),
    }));
  };
  for await (const row of rows) {
    if (cell[0] && cellOf(cell[0].id) !== cellOf(row.id)) {
      yield* mark();
      cell = [];
    }
    cell.push(row);
  }
  yield* mark();
}

/** Collects the fingerprints of a part. */
export class Fingerprints {
  readonly #newFrom: number;
  readonly #hashes = new Map<string, ReturnType<typeof createHash>>();

  /** @param newFrom what was modified at this time or later is left out. Milliseconds since the Unix epoch */
  constructor(newFrom: number) {
    this.#newFrom = newFrom;
  }

  /** @param row the rows are added in the order of their IDs */
  add(row: SourceRow): void {
    const { id, object, receipt } = row;
    if ((!object && !receipt) || isNew(row, this.#newFrom)) return;
    const cell = cellOf(id);
    const hash = this.#hashes.get(cell) ?? createHash('sha256');
    this.#hashes.set(cell, hash);
    hash.update(`${id} ${describe(object)} ${describe(receipt)}\n`);
  }

  /** @param stretch what the part has covered */
  of(stretch: Stretch): Cells {
    return Object.fromEntries(
      [...this.#hashes].map(([cell, hash]) => [
        nameOf(cell, stretch),
        hash.copy().digest('base64url').slice(0, fingerprintLength),
      ]),
    );
  }
}

function cellOf(id: string): string {
  return id.slice(0, cellDigits);
}

function nameOf(cell: string, { from, before }: Stretch): string {
  const isCut = from > cell && from.startsWith(cell);
  const endsWithin = before > cell && before.startsWith(cell);
  if (!isCut && !endsWithin) return cell;
  return `${cell}:${isCut ? from : ''}:${endsWithin ? before : ''}`;
}

function isNew({ object, receipt }: SourceRow, newFrom: number): boolean {
  return [object, receipt].some((listed) => listed?.current && listed.current.modified >= newFrom);
}

function describe(listed: ListedKey | undefined): string {
  if (!listed) return '-';
  const { current, otherVersions, deleteMarkers } = listed;
  const { versionId, etag, bytes } = current ?? {};
  return [versionId, etag, bytes, otherVersions, deleteMarkers].join('/');
}

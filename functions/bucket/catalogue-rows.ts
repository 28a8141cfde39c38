/**
 * The rows of the catalogue: one for each archived or erased document, made from its receipt, contexts and hold records. The
 * format is JSON Lines, sorted by ID, which Athena can read.
 */
import { createHash } from 'node:crypto';
import * as v from 'valibot';
import { uuidPattern } from '../uuid.ts';
import type { ListedKey } from './listing.ts';

/** An order or a resource that a document belongs to, as a context states it. */
const relation = v.strictObject({
  kind: v.picklist(['porting-order', 'port-out', 'number-order', 'link']),
  /** ID of the order or of the linked resource. */
  id: v.string(),
  /** Type of the linked resource, such as `porting_order`. */
  type: v.optional(v.string()),
  /** Customer reference of the order. */
  reference: v.optional(v.string()),
  /** Phone numbers whose requirement the document meets. */
  numbers: v.optional(v.array(v.string())),
});
export type Relation = v.InferOutput<typeof relation>;

const row = v.strictObject({
  id: v.pipe(v.string(), v.regex(uuidPattern)),
  state: v.picklist(['archived', 'erased']),
  /** Identifies the versions of receipt, contexts and hold records from which the row was made: see `stampOf`. */
  stamp: v.string(),
  /** File name. */
  name: v.optional(v.string()),
  /** Customer reference. */
  reference: v.optional(v.string()),
  /** Content type. */
  type: v.optional(v.string()),
  bytes: v.optional(v.number()),
  /** Lower-case hex. */
  sha256: v.optional(v.string()),
  /** When Telnyx created the document. ISO 8601 in UTC. */
  created: v.optional(v.string()),
  /** When it was archived. ISO 8601 in UTC. */
  archived: v.optional(v.string()),
  trigger: v.optional(v.string()),
  held: v.optional(v.literal(true)),
  relations: v.optional(v.array(relation)),
});
const rowJson = v.pipe(v.string(), v.parseJson(), row);

/** The row of an erased document has only ID, state, stamp and, if it is on hold, `held`. */
export type CatalogueRow = v.InferOutput<typeof row>;

/** The records from which a row is made, as a listing shows them. */
export interface ListedRecords {
  receipt: ListedKey;
  contexts: readonly ListedKey[];
  /** Oldest first. */
  holds: readonly ListedKey[];
}

/** Characters of base64url: 96 bits. */
const stampLength = 16;

/** A hash of the listed versions of the records: it changes if one of them does. Never empty. */
export function stampOf({ receipt, contexts, holds }: ListedRecords): string {
  const hash = createHash('sha256');
  for (const { key, current } of [receipt, ...contexts, ...holds]) {
    const { versionId, etag, bytes } = current ?? {};
    hash.update(`${JSON.stringify([key, versionId, etag, bytes])}\n`);
  }
  return hash.digest('base64url').slice(0, stampLength);
}

/** The row that an erasure writes. Its empty stamp makes the next audit read the tombstone. */
export function erasedRow(id: string): CatalogueRow {
  return { id, state: 'erased', stamp: '' };
}

/** The rows of a shard have IDs that begin with the same digits, this many. */
const shardDigits = 3;

/** The name of a document's shard: `000` to `fff`. */
export function shardOf(id: string): string {
  return id.slice(0, shardDigits);
}

/** @param rows of one shard, sorted by ID */
export function formatRows(rows: readonly CatalogueRow[]): string {
  return rows.map((each) => `${JSON.stringify(each)}\n`).join('');
}

/** @throws RangeError if the archiver did not write the line in this form */
export function parseRow(line: string): CatalogueRow {
  const parsed = v.safeParse(rowJson, line);
  if (parsed.success) return parsed.output;
  throw new RangeError('A line of the catalogue is not a row.');
}

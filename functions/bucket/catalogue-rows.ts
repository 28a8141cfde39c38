/**
 * The rows of the catalogue: one for each settled document, made from its receipt, contexts and holds, which stay the
 * truth. Text format: JSON Lines, sorted by ID, so that Athena can read it as it is.
 */
import { createHash } from 'node:crypto';
import * as v from 'valibot';
import { uuidPattern } from '../uuid.ts';
import type { ListedKey } from './listing.ts';

/** What is known about whose document it is. */
const relation = v.strictObject({
  kind: v.picklist(['porting-order', 'port-out', 'number-order', 'link']),
  /** Of the order or resource. */
  id: v.string(),
  /** Type of the resource of a link. */
  type: v.optional(v.string()),
  /** Customer reference of the order. */
  reference: v.optional(v.string()),
  numbers: v.optional(v.array(v.string())),
});
export type Relation = v.InferOutput<typeof relation>;

const row = v.strictObject({
  id: v.pipe(v.string(), v.regex(uuidPattern)),
  state: v.picklist(['archived', 'erased']),
  /** From which versions of receipt, contexts and holds the row was made: see `stampOf`. */
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
  /** ISO 8601 in UTC. */
  archived: v.optional(v.string()),
  trigger: v.optional(v.string()),
  held: v.optional(v.literal(true)),
  relations: v.optional(v.array(relation)),
});
const rowJson = v.pipe(v.string(), v.parseJson(), row);

/** An erased document has nothing but ID, state, stamp and, if it is held, that. */
export type CatalogueRow = v.InferOutput<typeof row>;

/** What a listing has of the records that a row is made from. */
export interface ListedRecords {
  receipt: ListedKey;
  contexts: readonly ListedKey[];
  /** Oldest first. */
  holds: readonly ListedKey[];
}

/** Characters of base64url: 96 bits. */
const stampLength = 16;

/** Differs if the listing of one of the records does. Never empty. */
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

/** Digits of the ID that rows of one shard share. */
const shardDigits = 3;

/** `000` to `fff` */
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

/** The sources of an audit side by side: one row for each document that one of them has. */
import {
  contextPrefix,
  documentIdOfContext,
  documentIdOfContextTombstone,
  documentIdOfHold,
  documentIdOfObject,
  documentIdOfReceipt,
  documentPrefix,
  holdPrefix,
  parseAuditKey,
  receiptPrefix,
} from '../bucket/keys.ts';
import { type KeyRange, type ListedKey, type ListingOptions, listVersions } from '../bucket/listing.ts';
import { parseManifestKey } from '../bucket/manifest-text.ts';
import type { Stretch } from './cells.ts';
import { type ManifestClaims, mergeManifests, type ReadableManifest } from './manifest-claims.ts';
import { type MergedRow, mergeById } from './merge-by-id.ts';
import type { ListedDocument } from './telnyx-documents.ts';

/** What the listings and the manifests say about one document. */
export interface SourceRow {
  id: string;
  object?: ListedKey & { id: string };
  receipt?: ListedKey & { id: string };
  telnyx?: ListedDocument;
  manifests?: ManifestClaims;
  /** Hold records, oldest first. */
  hold?: { id: string; records: ListedKey[] };
  /** Its contexts, and the tombstone that an erasure leaves in their place. */
  contexts?: { id: string; records: ListedKey[]; tombstone?: ListedKey };
  /** Whether object and receipt were not listed and must be looked up. */
  notListed?: boolean;
}

export interface AuditSources {
  listing: ListingOptions;
  /** Only documents whose IDs are in this stretch, and the objects whose keys would be. @default the whole bucket */
  stretch?: Stretch;
  /** Sorted by ID. */
  telnyx: Iterable<ListedDocument>;
  /** Oldest first. */
  manifests: readonly ReadableManifest[];
  /** Called for each record of a run of the audit function. A stretch has none. */
  onRecord?: (object: ListedKey) => void;
  /** Called for each object that the archiver did not write, judged by its key. */
  onForeign: (object: ListedKey) => void;
}

/** The key ranges of the listings. */
type Ranges = Record<'contexts' | 'objects' | 'holds' | 'receipts', KeyRange>;

/** Together these cover the whole bucket, so no object is overlooked. */
const wholeBucket: Ranges = {
  contexts: { before: documentPrefix },
  objects: { from: documentPrefix, before: holdPrefix },
  holds: { from: holdPrefix, before: receiptPrefix },
  receipts: { from: receiptPrefix },
};

function rangesOf({ from, before }: Stretch): Ranges {
  const range = (prefix: string): KeyRange => ({
    prefix,
    from: prefix + from,
    ...(before !== '' && { before: prefix + before }),
  });
  return {
    contexts: range(contextPrefix),
    objects: range(documentPrefix),
    holds: range(holdPrefix),
    receipts: range(receiptPrefix),
  };
}

/** Merges all sources, sorted by ID. @throws ArchiverError the errors of `listVersions` */
export function mergeSources({
  listing,
  stretch,
  telnyx,
  manifests,
  ...others
}: AuditSources): AsyncGenerator<SourceRow> {
  const ranges = stretch ? rangesOf(stretch) : wholeBucket;
  const contexts = listVersions(listing, ranges.contexts);
  const objects = listVersions(listing, ranges.objects);
  const holds = listVersions(listing, ranges.holds);
  const receipts = listVersions(listing, ranges.receipts);
  type Streams = MergedRow<{
    [Name in keyof Omit<SourceRow, 'id' | 'notListed'>]-?: NonNullable<SourceRow[Name]>;
  }>;
  const rows: AsyncGenerator<Streams> = mergeById({
    object: withIds(objects, documentIdOfObject, others),
    receipt: withIds(receipts, documentIdOfReceipt, others),
    telnyx,
    manifests: mergeManifests(manifests),
    hold: groupedById(withIds(holds, documentIdOfHold, others)),
    contexts: withTombstones(groupedById(withIds(contexts, documentIdBelowContexts, others))),
  });
  return rows;
}

function documentIdBelowContexts(key: string): string | undefined {
  return documentIdOfContext(key) ?? documentIdOfContextTombstone(key);
}

async function* withTombstones(
  groups: AsyncIterable<NonNullable<SourceRow['hold']>>,
): AsyncGenerator<NonNullable<SourceRow['contexts']>> {
  for await (const { id, records } of groups) {
    // The tombstone's key sorts before those of the contexts.
    const [first, ...others] = records;
    if (first && documentIdOfContextTombstone(first.key)) yield { id, records: others, tombstone: first };
    else yield { id, records };
  }
}

async function* withIds(
  listed: AsyncIterable<ListedKey>,
  idOf: (key: string) => string | undefined,
  { onRecord, onForeign }: Pick<AuditSources, 'onRecord' | 'onForeign'>,
): AsyncGenerator<ListedKey & { id: string }> {
  for await (const row of listed) {
    const id = idOf(row.key);
    if (id !== undefined) yield { ...row, id };
    else if (parseAuditKey(row.key)) onRecord?.(row);
    else if (!parseManifestKey(row.key)) onForeign(row);
  }
}

async function* groupedById(
  listed: AsyncIterable<ListedKey & { id: string }>,
): AsyncGenerator<NonNullable<SourceRow['hold']>> {
  let group: SourceRow['hold'];
  for await (const { id, ...record } of listed) {
    if (group?.id === id) group.records.push(record);
    else {
      if (group) yield group;
      group = { id, records: [record] };
    }
  }
  // Stryker disable next-line ConditionalExpression: an undefined entry ends the stream as well.
  if (group) yield group;
}

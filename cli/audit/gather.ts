/** Brings together what listings, Telnyx and manifest hold of one document. */
import { documentIdOfReceipt, documentPrefix, receiptPrefix } from '../../functions/bucket/keys.ts';
import { uuidPattern } from '../../functions/uuid.ts';
import { type Aligned, align } from './align.ts';
import type { Listed } from './inspect.ts';
import { type ListedObject, type ListingOptions, listObjects } from './listing.ts';
import { documentsIn, manifestOfKey } from './manifest-text.ts';
import type { TelnyxDocument } from './telnyx-documents.ts';

export interface Sources {
  listing: ListingOptions;
  /** Sorted by id. */
  telnyx: Iterable<TelnyxDocument>;
  /** Path of a manifest on this machine. */
  manifest: string | undefined;
  /** Told of each object whose key is none of the archiver's. */
  onForeign: (object: ListedObject) => void;
}

/** Every document that anybody knows of, sorted by id. @throws ArchiverError those of `listObjects` */
export function gather({ listing, telnyx, manifest, onForeign }: Sources): AsyncGenerator<Listed> {
  // Together these two listings are the whole bucket, so that nothing in it goes unseen.
  const objects = listObjects(listing, { before: receiptPrefix });
  const receipts = listObjects(listing, { from: receiptPrefix });
  type Streams = Aligned<{ [Name in keyof Omit<Listed, 'id'>]-?: NonNullable<Listed[Name]> }>;
  const rows: AsyncGenerator<Streams> = align({
    objects: withIds(objects, documentIdOfObject, onForeign),
    receipts: withIds(receipts, documentIdOfReceipt, onForeign),
    telnyx,
    named: manifest === undefined ? [] : documentsIn(manifest),
  });
  return rows;
}

async function* withIds(
  listed: AsyncIterable<ListedObject>,
  idOf: (key: string) => string | undefined,
  onForeign: (object: ListedObject) => void,
): AsyncGenerator<ListedObject & { id: string }> {
  for await (const object of listed) {
    const id = idOf(object.key);
    if (id !== undefined) yield { ...object, id };
    else if (!manifestOfKey(object.key)) onForeign(object);
  }
}

function documentIdOfObject(key: string): string | undefined {
  const id = key.startsWith(documentPrefix) ? key.slice(documentPrefix.length) : '';
  return uuidPattern.test(id) ? id : undefined;
}

/** Which documents are on hold according to the records under `holds/`. */
import { parseHoldRecord } from '../functions/bucket/holds.ts';
import { documentIdOfHold, holdPrefix } from '../functions/bucket/keys.ts';
import { listArchive } from '../functions/bucket/listing.ts';
import { createStorageRetry } from '../functions/bucket/storage-retry.ts';
import { ArchiverError } from '../functions/errors.ts';
import { mapConcurrently } from '../functions/map-concurrently.ts';
import type { CommandContext } from './command.ts';

export interface HeldDocuments {
  ids: ReadonlySet<string>;
  /** Why there may be more, in words; undefined if all records were read. */
  incomplete: string | undefined;
}

/** Records that are read at the same time. */
const recordsAtOnce = 16;

/**
 * A document is on hold if its newest record says so. Requires s3:ListBucket, and s3:GetObject on holds/*: without them,
 * and with a record that is not valid, the result is incomplete.
 *
 * @throws the signal's reason
 */
export async function findHeld({ target, time, random, signal }: CommandContext): Promise<HeldDocuments> {
  const { s3, name, bucket } = await target.bucket();
  const retry = createStorageRetry({ time, random, signal });
  const ids = new Set<string>();
  let incomplete: string | undefined;
  const addReason = (error: unknown) => {
    signal.throwIfAborted();
    if (!(error instanceof ArchiverError)) throw error;
    incomplete ??= error.message;
  };
  const newest = new Map<string, string>();
  try {
    const listing = { s3, name, time, retry, onRequest: () => undefined };
    for await (const { key } of listArchive(listing, { prefix: holdPrefix })) {
      const id = documentIdOfHold(key);
      // The keys of one document sort by time.
      if (id !== undefined) newest.set(id, key);
    }
  } catch (error) {
    addReason(error);
  }
  await mapConcurrently([...newest], recordsAtOnce, signal, async ([id, key], limited) => {
    try {
      const body = await retry(() => bucket.read(key, limited));
      if (body && parseHoldRecord(key, body).action === 'hold') ids.add(id);
    } catch (error) {
      addReason(error);
    }
  });
  return { ids, incomplete };
}

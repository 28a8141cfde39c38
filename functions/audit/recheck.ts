import type { StorageRetry } from '../bucket/storage-retry.ts';
import type { Bucket } from '../bucket/store.ts';
import { withoutReceipt } from '../bucket/unarchived.ts';
import type { Inspection } from './inspect.ts';

/** Documents per lookup, so that each needs few listings. */
const batchSize = 5_000;

export interface Recheck {
  /** Adds a document that seems to be missing. Looks up a full batch at once. */
  add(inspection: Inspection): Promise<void>;
  /** Looks up the remaining documents. */
  end(): Promise<void>;
}

/**
 * By the end of an audit, the listings are minutes old. So a document that seems to be missing is looked up again: the
 * archiver may have archived it in the meantime.
 *
 * @param onChecked called for each document after the lookup
 */
export function createRecheck(
  bucket: Pick<Bucket, 'list'>,
  retry: StorageRetry,
  onChecked: (inspection: Inspection, isMissing: boolean) => void,
): Recheck {
  let waiting: Inspection[] = [];
  const lookUp = async () => {
    const ids = waiting.map(({ evidence }) => evidence.documentId);
    const missing = new Set(await retry((signal) => withoutReceipt(ids, bucket, signal)));
    for (const inspection of waiting) onChecked(inspection, missing.has(inspection.evidence.documentId));
    waiting = [];
  };
  return {
    add: async (inspection) => {
      waiting.push(inspection);
      if (waiting.length >= batchSize) await lookUp();
    },
    end: lookUp,
  };
}

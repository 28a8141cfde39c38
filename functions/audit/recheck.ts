import type { StorageRetry } from '../bucket/storage-retry.ts';
import type { Bucket } from '../bucket/store.ts';
import { withoutReceipt } from '../bucket/unarchived.ts';
import type { Inspected } from './inspect.ts';

/** So many are looked up together, with few listings. */
const together = 5_000;

export interface Recheck {
  /** Takes a document that seems to be missing. */
  add(inspected: Inspected): Promise<void>;
  /** Looks at those that are left. */
  end(): Promise<void>;
}

/**
 * The listings are minutes old when the last of Telnyx's documents is compared with them. What seems to be missing
 * is looked up once more, since the archiver may have archived it meanwhile.
 */
export function createRecheck(
  bucket: Pick<Bucket, 'list'>,
  retry: StorageRetry,
  told: (inspected: Inspected, isMissing: boolean) => void,
): Recheck {
  let waiting: Inspected[] = [];
  const look = async () => {
    const ids = waiting.map(({ evidence }) => evidence.documentId);
    const missing = new Set(await retry((signal) => withoutReceipt(ids, bucket, signal)));
    for (const inspected of waiting) told(inspected, missing.has(inspected.evidence.documentId));
    waiting = [];
  };
  return {
    add: async (inspected) => {
      waiting.push(inspected);
      if (waiting.length >= together) await look();
    },
    end: async () => {
      if (waiting.length > 0) await look();
    },
  };
}

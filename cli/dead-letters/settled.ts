/** Failures whose document has been settled since: another message, or a redrive, has succeeded. */

import { createStorageRetry } from '../../functions/bucket/storage-retry.ts';
import { withoutReceipt } from '../../functions/bucket/unarchived.ts';
import { formatCount } from '../../terminal/counts.ts';
import type { CommandContext } from '../command.ts';
import { type Failure, lettersOf } from './failures.ts';

export interface ByReceipt {
  /** Failures that are still to be dealt with. */
  open: Failure[];
  /** Failures whose document has a receipt, so that its dead letters have nothing to say any more. */
  settled: Failure[];
}

/** Looks the receipts up with few listings. @throws ArchiverError those of `Bucket` */
export async function splitByReceipt(
  failures: readonly Failure[],
  { target, time, random, signal }: CommandContext,
): Promise<ByReceipt> {
  const ids = failures.filter(({ isDocument }) => isDocument).map(({ id }) => id);
  if (ids.length === 0) return { open: [...failures], settled: [] };
  const { bucket } = await target.bucket();
  const retry = createStorageRetry({ time, random, signal });
  const missing = new Set(await retry((limited) => withoutReceipt(ids, bucket, limited)));
  const isSettled = ({ id, isDocument }: Failure) => isDocument && !missing.has(id);
  return {
    open: failures.filter((failure) => !isSettled(failure)),
    settled: failures.filter(isSettled),
  };
}

/** `3 documents have been archived since; their 5 dead letters are cleared.` @param when before or after clearing them */
export function describeArchived(settled: readonly Failure[], when: 'before' | 'after'): string {
  const letters = lettersOf(settled).length;
  const [has, whose] = settled.length === 1 ? ['has', 'its'] : ['have', 'their'];
  const what = `${whose} ${formatCount(letters, 'dead letter')}`;
  const outcome =
    when === 'before'
      ? `redrive clears ${what} without sending anything.`
      : `${what} ${letters === 1 ? 'is' : 'are'} cleared.`;
  return `${formatCount(settled.length, 'document')} ${has} been archived since; ${outcome}`;
}

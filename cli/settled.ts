/** Failures whose document has been settled since: another message, or a redrive, has succeeded. */
import { withoutReceipt } from '../functions/bucket/unarchived.ts';
import { formatCount } from '../terminal/counts.ts';
import { createInsist } from './audit/patience.ts';
import type { Surroundings } from './deployment.ts';
import { type Failure, lettersOf } from './failures.ts';

export interface BySettled {
  /** Failures that are still to be dealt with. */
  open: Failure[];
  /** Failures whose document has a receipt, so that its dead letters have nothing to say any more. */
  settled: Failure[];
}

/** Looks the receipts up with few listings. @throws ArchiverError those of `Bucket` */
export async function bySettled(
  failures: readonly Failure[],
  { deployment, time, random, signal }: Surroundings,
): Promise<BySettled> {
  const ids = failures.filter(({ isDocument }) => isDocument).map(({ id }) => id);
  if (ids.length === 0) return { open: [...failures], settled: [] };
  const { bucket } = await deployment.bucket();
  const insist = createInsist({ time, random, signal });
  const missing = new Set(await insist((limited) => withoutReceipt(ids, bucket, limited)));
  const isSettled = ({ id, isDocument }: Failure) => isDocument && !missing.has(id);
  return {
    open: failures.filter((failure) => !isSettled(failure)),
    settled: failures.filter(isSettled),
  };
}

/** `3 documents have been archived since; their 5 dead letters are cleared.` @param when before or after clearing them */
export function describeSettled(settled: readonly Failure[], when: 'before' | 'after'): string {
  const letters = lettersOf(settled).length;
  const [has, whose] = settled.length === 1 ? ['has', 'its'] : ['have', 'their'];
  const what = `${whose} ${formatCount(letters, 'dead letter')}`;
  const outcome =
    when === 'before'
      ? `redrive clears ${what} without sending anything.`
      : `${what} ${letters === 1 ? 'is' : 'are'} cleared.`;
  return `${formatCount(settled.length, 'document')} ${has} been archived since; ${outcome}`;
}

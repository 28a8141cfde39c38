/** Finds failures whose document has been archived since, by another message or a redrive, or erased. */

import { formatCount } from '../../terminal/counts.ts';
import type { CommandContext } from '../command.ts';
import { findUnarchived } from '../unarchived.ts';
import { type Failure, lettersOf } from './failures.ts';

export interface ByReceipt {
  /** Failures whose document is not archived. */
  open: Failure[];
  /** Failures whose document has a receipt or a tombstone, so that their dead letters are obsolete. */
  archived: Failure[];
}

/** Looks up the receipts with few list requests. @throws ArchiverError as `Bucket` */
export async function splitByReceipt(
  failures: readonly Failure[],
  context: CommandContext,
): Promise<ByReceipt> {
  const ids = failures.filter(({ isDocument }) => isDocument).map(({ id }) => id);
  const unarchived = await findUnarchived(ids, context);
  const isArchived = ({ id, isDocument }: Failure) => isDocument && !unarchived.has(id);
  return {
    open: failures.filter((failure) => !isArchived(failure)),
    archived: failures.filter(isArchived),
  };
}

/** `3 documents have been archived or erased since; their 5 dead letters are cleared.` @param when before or after clearing */
export function describeArchived(archived: readonly Failure[], when: 'before' | 'after'): string {
  const letters = lettersOf(archived).length;
  const [has, whose] = archived.length === 1 ? ['has', 'its'] : ['have', 'their'];
  const what = `${whose} ${formatCount(letters, 'dead letter')}`;
  const outcome =
    when === 'before'
      ? `redrive clears ${what} without sending anything.`
      : `${what} ${letters === 1 ? 'is' : 'are'} cleared.`;
  return `${formatCount(archived.length, 'document')} ${has} been archived or erased since; ${outcome}`;
}

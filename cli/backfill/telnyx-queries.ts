/** Queries to Telnyx before a backfill sends its messages. */
import * as v from 'valibot';
import { clockSkewMs } from '../../functions/limits.ts';
import { listDocuments } from '../../functions/telnyx/lists.ts';
import type { RetryingTelnyx } from '../../functions/telnyx/retrying-telnyx.ts';
import { readWindow } from '../../functions/telnyx/window.ts';
import type { Span } from './spans.ts';

const secondMs = 1_000;
const dayMs = 24 * 3_600 * secondMs;
/** Telnyx was founded in 2009, so no document is older. */
const firstDay = Date.UTC(2009, 0, 1);

const countedPage = v.object({
  data: v.array(v.unknown()),
  meta: v.optional(v.looseObject({ total_results: v.optional(v.number()) })),
});

/** Number of documents created in the span, as stated by Telnyx; undefined if not stated. Only for display. */
export async function countCreated(telnyx: RetryingTelnyx, { from, to }: Span): Promise<number | undefined> {
  const result = await readFirstRow(telnyx, { after: from - secondMs, before: to });
  return result?.meta?.total_results;
}

/**
 * Midnight UTC of the day on which the oldest document was created. Binary search, about twenty requests: a cache or
 * proxy may return an empty page, which would hide all older documents, so it counts only if a second request
 * confirms it.
 */
export async function oldestDay(telnyx: RetryingTelnyx, before: number): Promise<number> {
  const isEmptyBefore = async (day: number): Promise<boolean> => {
    for (let request = 1; request <= 2; request += 1) {
      const result = await readFirstRow(telnyx, {
        after: firstDay - secondMs,
        before: firstDay + day * dayMs,
      });
      if (result?.data.length !== 0) return false;
    }
    return true;
  };
  let emptyDays = 0;
  let filledDays = Math.ceil((before - firstDay) / dayMs);
  while (filledDays - emptyDays > 1) {
    const middle = Math.floor((emptyDays + filledDays) / 2);
    if (await isEmptyBefore(middle)) emptyDays = middle;
    else filledDays = middle;
  }
  return firstDay + emptyDays * dayMs;
}

/** @throws ArchiverError as `readWindow` */
export async function idsOfReference(
  telnyx: RetryingTelnyx,
  reference: string,
  now: number,
): Promise<string[]> {
  const ids = new Set<string>();
  const window = { from: firstDay, to: now + clockSkewMs };
  for await (const candidates of readWindow(window, (created, page) =>
    listDocuments(telnyx, created, page, reference),
  )) {
    for (const { id } of candidates) if (id !== undefined) ids.add(id);
  }
  return [...ids];
}

async function readFirstRow(telnyx: RetryingTelnyx, { after, before }: { after: number; before: number }) {
  const query = new URLSearchParams({
    'filter[created_at][gt]': new Date(after).toISOString(),
    'filter[created_at][lt]': new Date(before).toISOString(),
    'page[number]': '1',
    'page[size]': '1',
  });
  const result = v.safeParse(countedPage, await telnyx.get('documents', query, 'UnexpectedResponse'));
  return result.success ? result.output : undefined;
}

/** What a backfill asks Telnyx before it sends anything. */
import * as v from 'valibot';
import { listDocuments } from '../../functions/telnyx/lists.ts';
import type { RetryingTelnyx } from '../../functions/telnyx/retrying-telnyx.ts';
import { readWindow } from '../../functions/telnyx/window.ts';
import type { Span } from './spans.ts';

const secondMs = 1_000;
const dayMs = 24 * 3_600 * secondMs;
/** Telnyx was founded in 2009: there is no older document. */
const firstDay = Date.UTC(2009, 0, 1);
/** Telnyx's clock may be ahead of this machine's. */
const clockSkewMs = 5 * 60 * secondMs;

const countedAnswer = v.object({
  data: v.array(v.unknown()),
  meta: v.optional(v.looseObject({ total_results: v.optional(v.number()) })),
});

/** How many documents Telnyx says it has of that time; undefined where it does not say. For a person only. */
export async function countCreated(telnyx: RetryingTelnyx, { from, to }: Span): Promise<number | undefined> {
  const answer = await askFor(telnyx, { after: from - secondMs, before: to });
  return answer?.meta?.total_results;
}

/** Beginning of the day, in UTC, on which the oldest document was created; a dozen requests. */
export async function oldestDay(telnyx: RetryingTelnyx, before: number): Promise<number> {
  let none = 0;
  let some = Math.ceil((before - firstDay) / dayMs);
  while (some - none > 1) {
    const middle = Math.floor((none + some) / 2);
    const answer = await askFor(telnyx, { after: firstDay - secondMs, before: firstDay + middle * dayMs });
    if (answer && answer.data.length === 0) none = middle;
    else some = middle;
  }
  return firstDay + none * dayMs;
}

/** @throws ArchiverError those of `readWindow` */
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

async function askFor(telnyx: RetryingTelnyx, { after, before }: { after: number; before: number }) {
  const query = new URLSearchParams({
    'filter[created_at][gt]': new Date(after).toISOString(),
    'filter[created_at][lt]': new Date(before).toISOString(),
    'page[number]': '1',
    'page[size]': '1',
  });
  const result = v.safeParse(countedAnswer, await telnyx.get('documents', query, 'UnexpectedResponse'));
  return result.success ? result.output : undefined;
}

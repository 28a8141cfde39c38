/** Reads all documents created within a window of time from a list that changes while it is read. */
import { ArchiverError } from '../errors.ts';
import { type ConfirmingReader, createConfirmingReader } from './confirm.ts';
import type { Candidate, CreatedBetween, ListRow, Page } from './lists.ts';
import { readPages, smallestFullPage } from './pages.ts';

/** Milliseconds since the Unix epoch. Whole seconds are read, both ends included: adjacent windows leave no gap. */
export interface Window {
  from: number;
  to: number;
}

export type ListCreated = (created: CreatedBetween, pageNumber: number) => Promise<Page>;

const second = 1_000;
/** Target for how full the page of the next slice is, so that few slices turn out too large. */
const targetFill = 0.75;

/**
 * Reads all documents created within the window, newest first, slice by slice, each slice from a single response.
 *
 * Page numbers are not reliable. Whenever a document disappears, all documents behind it move forward, and one of
 * them moves onto a page that was already read. Nor is it known how Telnyx orders documents of the same instant. A
 * single response, however, describes a single moment. So the window is cut by `created_at`, which never changes, into
 * slices so narrow that each fits into one page. A document that exists the whole time is in its slice when the slice
 * is requested, and it is in the response, because the response is not full. Documents that appear, disappear or change
 * places meanwhile do no harm.
 *
 * A page is full if it has as many rows as the longest page so far, and at least 20, Telnyx's default page size. So
 * it does no harm either if Telnyx ignores the requested page size, and totals are not used. A full slice is halved;
 * the slices after it follow the density found.
 *
 * Each request covers one more second at either end, and only documents of the slice's own seconds are kept. So it
 * does not matter whether Telnyx's bounds are inclusive, or whether it truncates or rounds fractions.
 *
 * Documents of a single second that do not fit into a page are read by page number (`readPages`). This is the only
 * place where the list must keep its order.
 *
 * @param read the same reader for windows read one after the other, since a response may repeat the previous window's.
 *   Default: a new one
 * @throws ArchiverError UnexpectedResponse if Telnyx ignores the filter, or if no row of the whole window has a
 *   readable ID; all that was found has been yielded by then. Also those of `list`
 */
export async function* readWindow(
  window: Window,
  list: ListCreated,
  read: ConfirmingReader = createConfirmingReader(),
): AsyncGenerator<Candidate[]> {
  const bottom = Math.floor(window.from / second) * second;
  let top = (Math.floor(window.to / second) + 1) * second;
  // Stryker disable next-line ArithmeticOperator: the first slice ends at the window's bottom, however wide.
  let width = top - bottom;
  let fullPage = smallestFullPage;
  let found = 0;
  let isAnyReadable = false;
  const kept = (candidates: Candidate[], slice: Window): Candidate[] => {
    const own = candidates.filter(({ createdAt }) => createdAt === undefined || isWithin(createdAt, slice));
    found += own.length;
    isAnyReadable ||= own.some(({ id }) => id !== undefined);
    return own;
  };

  while (top > bottom) {
    const slice = { from: Math.max(bottom, top - width), to: top };
    const created = { after: slice.from - second, before: slice.to + second };
    const readSlice = (request: () => Promise<Page>) => read(request, (row) => isNear(row, created));
    const confirmed = await readSlice(() => list(created, 1)).catch((error: unknown) => {
      // A narrower slice has fewer rows, so its response is smaller.
      if (isTooLarge(error) && slice.to - slice.from > second) return undefined;
      throw error;
    });
    if (confirmed === undefined) {
      width = halfOf(slice);
      continue;
    }
    const { page, matchesFilter } = confirmed;
    if (!matchesFilter) {
      yield candidatesOf(page);
      throw filterIgnored();
    }
    const full = page.length >= fullPage;
    fullPage = Math.max(fullPage, page.length);
    width = nextWidth(slice, page.length, fullPage);
    if (full && slice.to - slice.from > second) continue;
    if (full) {
      const readMatching: ConfirmingReader = async (request) => {
        const confirmed = await readSlice(request);
        if (!confirmed.matchesFilter) throw filterIgnored();
        return confirmed;
      };
      for await (const candidates of readPages((pageNumber) => list(created, pageNumber), readMatching)) {
        yield kept(candidates, slice);
      }
    } else {
      yield kept(candidatesOf(page), slice);
    }
    top = slice.from;
  }
  if (found > 0 && !isAnyReadable) {
    throw new ArchiverError(
      'UnexpectedResponse',
      `None of the ${found} documents that Telnyx lists has a valid ID (a lower-case UUID).`,
    );
  }
}

function isTooLarge(error: unknown): boolean {
  return error instanceof ArchiverError && error.code === 'AnswerTooLarge';
}

function filterIgnored(): ArchiverError {
  return new ArchiverError(
    'UnexpectedResponse',
    'Telnyx lists documents outside the requested time span: it ignores filter[created_at].',
  );
}

/** In whole seconds: half of a full slice, otherwise as wide as should fill the page as intended. */
function nextWidth({ from, to }: Window, rows: number, fullPage: number): number {
  if (rows >= fullPage) return halfOf({ from, to });
  const growth = Math.min(4, (targetFill * fullPage) / rows);
  return wholeSeconds((to - from) * growth);
}

function halfOf({ from, to }: Window): number {
  return wholeSeconds((to - from) / 2);
}

function wholeSeconds(ms: number): number {
  return Math.max(1, Math.floor(ms / second)) * second;
}

function candidatesOf(page: Page): Candidate[] {
  return page.map(({ candidate }) => candidate).filter((candidate) => candidate !== undefined);
}

function isWithin(createdAt: number, { from, to }: Window): boolean {
  return createdAt >= from && createdAt < to;
}

function isNear(row: ListRow, { after, before }: CreatedBetween): boolean {
  return candidatesOf([row]).every(
    ({ createdAt }) =>
      createdAt === undefined || (createdAt >= after - second && createdAt <= before + second),
  );
}

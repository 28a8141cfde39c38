/** All documents created within a window of time, out of a list that changes while it is read. */
import { ArchiverError } from '../errors.ts';
import { type Ask, createAsk } from './confirm.ts';
import type { Candidate, CreatedBetween, Page, Row } from './lists.ts';
import { readPages, smallestFullPage } from './pages.ts';

/** In milliseconds since the Unix epoch. Read are whole seconds, and both ends: windows that touch leave no gap. */
export interface Window {
  from: number;
  to: number;
}

export type ListCreated = (created: CreatedBetween, pageNumber: number) => Promise<Page>;

const second = 1_000;
/** Slices are sized to fill a page to this part, so that few come out too full. */
const aimedFill = 0.75;

/**
 * Reads the window slice by slice, newest first, each slice in one answer.
 *
 * Page numbers cannot be relied on: whenever a document goes, all behind it move forward, one of them over the
 * edge of a page and out of sight; and nothing is known of how Telnyx orders documents of the same instant. But
 * one answer is of one moment. So the window is cut by `created_at`, which never changes, into slices so narrow
 * that each fits into one page. Whatever is in the window from beginning to end is in its slice when the slice is
 * asked for, and is in the answer, since the answer is not full. What comes, goes or is shuffled meanwhile does
 * not matter.
 *
 * An answer is full if it has as many rows as any before it, and at least the 20 of Telnyx's default page: so it
 * does not matter either whether the page size is heeded, and totals are not looked at. A full slice is halved;
 * the slices after it follow the density that was met.
 *
 * A slice is asked for with a second more at either end and keeps the documents of its own seconds only: so it
 * does not matter whether Telnyx's bounds are inclusive, or cut or round fractions.
 *
 * Documents of one second that do not fit into a page are read by page numbers (`readPages`), the only place
 * where the list must keep its order.
 *
 * @param ask the same for windows that are read one after the other: an answer may be that of the window before.
 *   @default one of its own
 * @throws ArchiverError UnexpectedResponse where Telnyx does not heed the filter, or no row of the whole window
 *   has a readable id; by then all that was seen has been yielded. And those of `list`
 */
export async function* readWindow(
  window: Window,
  list: ListCreated,
  ask: Ask = createAsk(),
): AsyncGenerator<Candidate[]> {
  const bottom = Math.floor(window.from / second) * second;
  let top = (Math.floor(window.to / second) + 1) * second;
  let width = top - bottom;
  let fullPage = smallestFullPage;
  let readable = 0;
  let unreadable = 0;
  const kept = (candidates: Candidate[], slice: Window): Candidate[] => {
    const own = candidates.filter(({ createdAt }) => createdAt === undefined || isWithin(createdAt, slice));
    readable += own.filter(({ id }) => id !== undefined).length;
    unreadable += own.filter(({ id }) => id === undefined).length;
    return own;
  };

  while (top > bottom) {
    const slice = { from: Math.max(bottom, top - width), to: top };
    const created = { after: slice.from - second, before: slice.to + second };
    const askHere = (question: () => Promise<Page>) => ask(question, (row) => isNear(row, created));
    const { page, heeded } = await askHere(() => list(created, 1));
    if (!heeded) {
      yield candidatesOf(page);
      throw notHeeded();
    }
    const full = page.length >= fullPage;
    fullPage = Math.max(fullPage, page.length);
    width = nextWidth(slice, page.length, fullPage);
    if (full && slice.to - slice.from > second) continue;
    if (full) {
      const askHeeded: Ask = async (question) => {
        const believed = await askHere(question);
        if (!believed.heeded) throw notHeeded();
        return believed;
      };
      for await (const candidates of readPages((pageNumber) => list(created, pageNumber), askHeeded)) {
        yield kept(candidates, slice);
      }
    } else {
      yield kept(candidatesOf(page), slice);
    }
    top = slice.from;
  }
  if (unreadable > 0 && readable === 0) {
    throw new ArchiverError(
      'UnexpectedResponse',
      `None of the ${unreadable} documents that Telnyx lists has an id as its API specification says.`,
    );
  }
}

function notHeeded(): ArchiverError {
  return new ArchiverError(
    'UnexpectedResponse',
    'Telnyx lists documents of another time than was asked for: filter[created_at] is not heeded.',
  );
}

/** Whole seconds: half of a slice that was full, else as wide as should fill the page as aimed. */
function nextWidth({ from, to }: Window, rows: number, fullPage: number): number {
  const growth = Math.min(4, (aimedFill * fullPage) / Math.max(1, rows));
  const factor = rows >= fullPage ? 0.5 : growth;
  return Math.max(1, Math.floor(((to - from) * factor) / second)) * second;
}

function candidatesOf(page: Page): Candidate[] {
  return page.map(({ candidate }) => candidate).filter((candidate) => candidate !== undefined);
}

function isWithin(createdAt: number, { from, to }: Window): boolean {
  return createdAt >= from && createdAt < to;
}

function isNear(row: Row, { after, before }: CreatedBetween): boolean {
  return candidatesOf([row]).every(
    ({ createdAt }) =>
      createdAt === undefined || (createdAt >= after - second && createdAt <= before + second),
  );
}

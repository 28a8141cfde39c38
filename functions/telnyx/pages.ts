import type { ConfirmingReader } from './confirm.ts';
import type { Candidate, Page } from './lists.ts';

/** A page with fewer rows is the last one. Telnyx's default page size, in case it ignores the requested one. */
export const smallestFullPage = 20;

/**
 * Reads a list by page number: forward to its end, then backward, and repeats both until a backward pass finds no new row.
 *
 * Rows may appear and disappear between two requests. When a row disappears, all rows behind it move forward by one,
 * and the first row of the next page moves onto the page that was just read: the forward pass misses it. In the backward
 * pass it moves onto a page that is still to be read. When a row appears in front, the reverse is true. So a row that
 * exists the whole time is read in one of the two passes, as long as the rows keep their order and no whole page of rows
 * appears or disappears in front of it at once.
 *
 * Ends at the first page that is confirmed to be empty or a repetition. Telnyx's page count is not used. The
 * invocation's time limits how long this runs.
 */
export async function* readPages(
  list: (pageNumber: number) => Promise<Page>,
  read: ConfirmingReader,
): AsyncGenerator<Candidate[]> {
  const seen = new Set<string>();
  const fresh = (page: Page): Candidate[] =>
    page.flatMap(({ key, candidate }) => {
      if (seen.has(key)) return [];
      seen.add(key);
      return candidate ?? [];
    });

  for (let known = -1; known < seen.size; ) {
    let pageNumber = 1;
    for (; ; pageNumber += 1) {
      const { page, nothingNew } = await read(() => list(pageNumber));
      yield fresh(page);
      if (pageNumber === 1 && page.length < smallestFullPage) return;
      if (pageNumber > 1 && nothingNew) break;
    }
    known = seen.size;
    for (pageNumber -= 1; pageNumber > 0; pageNumber -= 1) {
      yield fresh((await read(() => list(pageNumber))).page);
    }
  }
}

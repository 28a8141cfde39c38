import type { Ask } from './confirm.ts';
import type { Candidate, Page } from './lists.ts';

/**
 * The least that a page holds where more rows follow: Telnyx's default page size, should it not heed the one that
 * is asked for.
 */
export const smallestFullPage = 20;

/**
 * Reads a list by page numbers: upwards to its end, then downwards again, until a way down brings nothing new.
 *
 * Between two requests rows may go and come. Where one goes, all behind it move one place forward, and the first
 * row of the next page slips onto the page that was just read: on the way up it is missed. On the way down it
 * slips onto a page still to be read. Where one comes in front it is the other way round. So a row that is there
 * throughout is met on one of the two ways, as long as the rows keep their order among themselves and do not come
 * and go in front of it by whole pages at once.
 *
 * Ends at the first page, confirmed, that is empty or a repetition; how many pages Telnyx says there are is not
 * asked. Whatever else the list does, the invocation's time bounds it.
 */
export async function* readPages(
  list: (pageNumber: number) => Promise<Page>,
  ask: Ask,
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
      const { page, nothingNew } = await ask(() => list(pageNumber));
      yield fresh(page);
      if (pageNumber === 1 && page.length < smallestFullPage) return;
      if (pageNumber > 1 && nothingNew) break;
    }
    known = seen.size;
    for (pageNumber -= 1; pageNumber > 0; pageNumber -= 1) {
      yield fresh((await ask(() => list(pageNumber))).page);
    }
  }
}

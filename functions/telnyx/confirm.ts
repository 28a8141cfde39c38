/** Repeats a list request until its response can be trusted. */
import type { ListRow, Page } from './lists.ts';

interface Confirmed {
  page: Page;
  /** The page is empty, or holds exactly the rows of the page read before it. */
  nothingNew: boolean;
  /** Whether all rows of the page are ones that the request's filter selects. */
  matchesFilter: boolean;
}

/** Reads one page. `belongs` tells whether the request's filter selects a row (default: every row). */
export type ConfirmingReader = (
  request: () => Promise<Page>,
  belongs?: (row: ListRow) => boolean,
) => Promise<Confirmed>;

/** Maximum number of identical requests for one page. */
const maxRequests = 4;

/**
 * A cache or proxy may return an empty page or repeat an earlier one. An empty or repeated page is accepted only when
 * a second request confirms it, and a page with rows that do not belong is requested again. This works as long as at
 * most one of two consecutive responses is wrong. If two responses both bring nothing new, the longer page is taken: an
 * extra row does no harm.
 */
export function createConfirmingReader(): ConfirmingReader {
  let before: ReadonlySet<string> = new Set();
  const confirm = async (
    request: () => Promise<Page>,
    belongs: (row: ListRow) => boolean,
  ): Promise<Confirmed> => {
    // Stryker disable next-line ObjectLiteral,ArrayDeclaration,BooleanLiteral: the first response replaces it.
    let confirmed: Confirmed = { page: [], nothingNew: true, matchesFilter: false };
    for (let times = 1; times <= maxRequests; times += 1) {
      const page = await request();
      if (!page.every(belongs)) {
        if (!confirmed.matchesFilter) confirmed = { page, nothingNew: false, matchesFilter: false };
        continue;
      }
      if (page.length > 0 && !isSame(page, before)) return { page, nothingNew: false, matchesFilter: true };
      if (confirmed.matchesFilter) {
        return page.length > confirmed.page.length ? { ...confirmed, page } : confirmed;
      }
      confirmed = { page, nothingNew: true, matchesFilter: true };
    }
    return confirmed;
  };

  return async (request, belongs = () => true) => {
    const confirmed = await confirm(request, belongs);
    before = keysOf(confirmed.page);
    return confirmed;
  };
}

function keysOf(page: Page): ReadonlySet<string> {
  return new Set(page.map(({ key }) => key));
}

function isSame(page: Page, before: ReadonlySet<string>): boolean {
  const keys = keysOf(page);
  return keys.size === before.size && [...keys].every((key) => before.has(key));
}

/** When an answer of a list is taken for what the list holds. */
import type { Page, Row } from './lists.ts';

export interface Believed {
  page: Page;
  /** The list holds nothing here, or only the very rows of the question before. */
  nothingNew: boolean;
  /** Whether the answer is to the question that was asked. */
  heeded: boolean;
}

export type Ask = (question: () => Promise<Page>, belongs?: (row: Row) => boolean) => Promise<Believed>;

/** How often the same question is asked. */
const mostTimes = 4;

/**
 * Lists come empty, or with the rows of an earlier answer, when caches and proxies between are at fault. So an
 * answer that is empty or the same as the one before is believed only when a second one says nothing new either,
 * and one with rows that were not asked for is asked for again. Of two answers in a row, at most one may be at
 * fault for this to hold. Of two that say nothing new, the longer one is taken: a row too many does no harm.
 */
export function createAsk(): Ask {
  let before: ReadonlySet<string> = new Set();
  const answerOnce = async (
    question: () => Promise<Page>,
    belongs: (row: Row) => boolean,
  ): Promise<Believed> => {
    let believed: Believed = { page: [], nothingNew: true, heeded: false };
    for (let times = 1; times <= mostTimes; times += 1) {
      const page = await question();
      if (!page.every(belongs)) {
        if (!believed.heeded) believed = { page, nothingNew: false, heeded: false };
        continue;
      }
      if (page.length > 0 && !isSame(page, before)) return { page, nothingNew: false, heeded: true };
      if (believed.heeded) {
        return page.length > believed.page.length ? { ...believed, page } : believed;
      }
      believed = { page, nothingNew: true, heeded: true };
    }
    return believed;
  };

  return async (question, belongs = () => true) => {
    const believed = await answerOnce(question, belongs);
    before = keysOf(believed.page);
    return believed;
  };
}

function keysOf(page: Page): ReadonlySet<string> {
  return new Set(page.map(({ key }) => key));
}

function isSame(page: Page, before: ReadonlySet<string>): boolean {
  const keys = keysOf(page);
  return keys.size === before.size && [...keys].every((key) => before.has(key));
}

import { expect, it } from 'vitest';
import { createConfirmingReader } from '../../functions/telnyx/confirm.ts';
import type { Candidate, Page } from '../../functions/telnyx/lists.ts';
import { readPages } from '../../functions/telnyx/pages.ts';

const idsOf = (count: number) => Array.from({ length: count }, (_, number) => `document-${number}`);

/**
 * Reads a list of 20 rows per page, which `change` may change before each request.
 *
 * @param change `request` counts from 1
 */
async function readAll(ids: string[], change: (request: number) => void = () => undefined) {
  const requested: number[] = [];
  const list = async (pageNumber: number): Promise<Page> => {
    requested.push(pageNumber);
    if (requested.length > 100) throw new Error('The reading never ends.');
    change(requested.length);
    return ids
      .slice((pageNumber - 1) * 20, pageNumber * 20)
      .map((id) => ({ key: id, candidate: { id, createdAt: undefined } }));
  };
  const found: Candidate[] = [];
  for await (const candidates of readPages(list, createConfirmingReader())) found.push(...candidates);
  return { requested, found: found.map(({ id }) => id) };
}

it('requests only the first page if it is not full', async () => {
  const result = await readAll(idsOf(19));

  expect(result).toEqual({ requested: [1], found: idsOf(19) });
});

it('reads forward until a page is confirmed to be empty, then backward, and yields each row once', async () => {
  const result = await readAll(idsOf(45));

  expect(result).toEqual({ requested: [1, 2, 3, 4, 4, 3, 2, 1], found: idsOf(45) });
});

it('reads to the end of a list whose last page is full', async () => {
  const result = await readAll(idsOf(20));

  expect(result).toEqual({ requested: [1, 2, 2, 1], found: idsOf(20) });
});

it('finds a row that moved onto a page already read, and reads again until nothing new is found', async () => {
  const ids = idsOf(45);

  const { requested, found } = await readAll(ids, (request) => {
    if (request === 2) ids.shift();
  });

  const round = [1, 2, 3, 4, 4, 3, 2, 1];
  // The second round begins with the page that was read last, so this page is confirmed.
  expect(requested).toEqual([...round, 1, ...round]);
  expect([...found].sort()).toEqual(idsOf(45).sort());
});

it('yields no candidate for a row that is not about a document', async () => {
  const page: Page = [{ key: 'requirement', candidate: undefined }];

  const yielded: Candidate[][] = [];
  for await (const candidates of readPages(async () => page, createConfirmingReader())) {
    yielded.push(candidates);
  }

  expect(yielded).toEqual([[]]);
});

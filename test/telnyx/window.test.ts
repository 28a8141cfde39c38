import { describe, expect, it } from 'vitest';
import { ArchiverError } from '../../functions/errors.ts';
import type { Candidate, CreatedBetween, Page } from '../../functions/telnyx/lists.ts';
import { readWindow } from '../../functions/telnyx/window.ts';

const start = Date.parse('2026-11-24T12:00:00Z');
const at = (seconds: number) => start + seconds * 1_000;

interface Row {
  id?: string;
  createdAt?: number;
}

/** `count` documents, `interval` seconds apart, the first at `first`; the ID is the second. */
const documentsFrom = (first: number, count: number, interval = 1): Row[] =>
  Array.from({ length: count }, (_, number) => ({
    id: String(first + number * interval),
    createdAt: at(first + number * interval),
  }));

const toPage = (rows: Row[]): Page =>
  rows.map(({ id, createdAt }, position) => ({
    key: id ?? `row ${position}`,
    candidate: { id, createdAt },
  }));

interface Account {
  documents?: Row[];
  /** Documents per page. @default 20 */
  pageRows?: number;
  /** Replaces the response to a request, or throws. */
  answer?: (created: CreatedBetween, pageNumber: number) => Page | undefined;
}

/**
 * Reads a window, in seconds after `start`. `requested` has the bounds of each request for a first page, and the page
 * numbers of the others.
 */
async function read(from: number, to: number, account: Account) {
  const { documents = [], pageRows = 20, answer = () => undefined } = account;
  const requested: (number | string)[] = [];
  const found: Candidate[] = [];
  const list = async (created: CreatedBetween, pageNumber: number): Promise<Page> => {
    const bounds = [created.after, created.before].map((instant) => (instant - start) / 1_000);
    requested.push(pageNumber === 1 ? bounds.join(' to ') : pageNumber);
    if (requested.length > 200) throw new Error('The reading never ends.');
    const rows = documents
      .filter(({ createdAt = at(from) }) => createdAt > created.after && createdAt < created.before)
      .sort((a, b) => (b.createdAt ?? 0) - (a.createdAt ?? 0));
    return (
      answer(created, pageNumber) ?? toPage(rows.slice((pageNumber - 1) * pageRows, pageNumber * pageRows))
    );
  };
  let error: unknown;
  try {
    for await (const candidates of readWindow({ from: at(from), to: at(to) }, list)) {
      found.push(...candidates);
    }
  } catch (thrown) {
    error = thrown;
  }
  return { requested, found: found.map(({ id }) => id), error };
}

const newestFirst = (rows: Row[]) => rows.map(({ id }) => id).reverse();

describe('readWindow', () => {
  it('reads whole seconds with both ends, and requests one more second at either end', async () => {
    const documents = documentsFrom(-3, 19, 0.5);

    const result = await read(0.5, 4.5, { documents });

    expect(result).toEqual({
      requested: ['-1 to 6'],
      found: newestFirst(documentsFrom(0, 10, 0.5)),
      error: undefined,
    });
  });

  it('halves a full slice, and makes the next ones as wide as fills three quarters of a page', async () => {
    const documents = documentsFrom(0, 40);

    const result = await read(0, 39, { documents });

    expect(result).toEqual({
      // The second request returns the same 20 rows, so it is repeated.
      requested: ['-1 to 41', '19 to 41', '19 to 41', '29 to 41', '14 to 31', '0 to 16', '-1 to 2'],
      found: newestFirst(documents),
      error: undefined,
    });
  });

  it('makes a slice at most four times as wide as the one before', async () => {
    const documents = documentsFrom(980, 20);

    const { requested, found, error } = await read(0, 999, { documents });

    expect(requested.slice(-9)).toEqual([
      '969 to 986',
      ...['932 to 971', '932 to 971'],
      ...['784 to 934', '784 to 934'],
      ...['192 to 786', '192 to 786'],
      ...['-1 to 194', '-1 to 194'],
    ]);
    expect({ found, error }).toEqual({ found: newestFirst(documents), error: undefined });
  });

  it('takes the longest page so far for a full one', async () => {
    const documents = documentsFrom(0, 60);

    const result = await read(0, 59, { documents, pageRows: 50 });

    expect(result.requested).toEqual(['-1 to 61', '29 to 61', '-1 to 31']);
    expect(result.found).toEqual(newestFirst(documents));
  });

  it('reads an empty window without an error', async () => {
    const result = await read(0, 4, {});

    expect(result).toEqual({ requested: ['-1 to 6', '-1 to 6'], found: [], error: undefined });
  });

  it('reads a second with more documents than a page by page number, and then the seconds before it', async () => {
    const documents = [...documentsFrom(1, 1), ...documentsFrom(2, 45, 0.01)];

    const result = await read(1, 2, { documents });

    expect(result.requested.at(0)).toBe('0 to 4');
    // Twice, because the request for the second before includes this one.
    const pages = [2, 3, 4, 4, 3, 2];
    expect(result.requested.filter((request) => typeof request === 'number')).toEqual([...pages, ...pages]);
    expect(result.requested.at(-1)).toBe('0 to 3');
    expect([...result.found].sort()).toEqual(newestFirst(documents).sort());
    expect(result.error).toBeUndefined();
  });

  it('keeps only documents of its own second when it reads by page number', async () => {
    const documents = [...documentsFrom(1.5, 1), ...documentsFrom(2, 25, 0.01), ...documentsFrom(3, 1)];

    const result = await read(2, 2, { documents });

    expect([...result.found].sort()).toEqual(newestFirst(documentsFrom(2, 25, 0.01)).sort());
  });

  it('halves a slice whose response is too large, down to one second', async () => {
    const answer = () => {
      throw new ArchiverError('AnswerTooLarge', 'More than 32 MiB.');
    };

    const result = await read(0, 3, { answer });

    expect(result.requested).toEqual(['-1 to 5', '1 to 5', '2 to 5']);
    expect(result.error).toMatchObject({ code: 'AnswerTooLarge' });
  });

  it.each([
    ['code', new ArchiverError('RateLimited', 'Too many requests.')],
    ['class', Object.assign(new Error('A defect.'), { code: 'AnswerTooLarge' })],
  ])('throws an error of any other %s at the first request', async (_which, failure) => {
    const answer = () => {
      throw failure;
    };

    const result = await read(0, 3, { answer });

    expect(result).toEqual({ requested: ['-1 to 5'], found: [], error: failure });
  });

  it('accepts documents up to a second outside the requested bounds, and rows without an instant', async () => {
    const near = [{ id: 'a', createdAt: at(-2) }, { id: 'b', createdAt: at(7) }, { id: 'c' }];
    const page = [...toPage(near), { key: 'd', candidate: undefined }];

    const result = await read(0, 4, { answer: () => page });

    expect(result).toEqual({ requested: ['-1 to 6'], found: ['c'], error: undefined });
  });

  it.each([
    ['earlier', at(-2) - 1],
    ['later', at(7) + 1],
  ])('yields what was found and throws UnexpectedResponse if documents are %s', async (_which, createdAt) => {
    const page = [...toPage([{ id: 'a', createdAt }]), { key: 'd', candidate: undefined }];

    const result = await read(0, 4, { answer: () => page });

    expect(result).toMatchObject({
      requested: Array(4).fill('-1 to 6'),
      found: ['a'],
      error: {
        code: 'UnexpectedResponse',
        message: 'Telnyx lists documents outside the requested time span: it ignores filter[created_at].',
      },
    });
  });

  it('throws UnexpectedResponse if a further page of a single second ignores the filter', async () => {
    const documents = documentsFrom(2, 45, 0.01);
    const answer = (_created: CreatedBetween, pageNumber: number) =>
      pageNumber === 2 ? toPage([{ id: 'a', createdAt: at(100) }]) : undefined;

    const result = await read(2, 2, { documents, answer });

    expect(result.found).toHaveLength(20);
    expect(result.error).toMatchObject({
      code: 'UnexpectedResponse',
      message: expect.stringMatching('ignores filter'),
    });
  });

  it('throws UnexpectedResponse after the last slice if no document of the window has an ID', async () => {
    const documents = [{ createdAt: at(1) }, { createdAt: at(2) }];
    const readable = { id: 'a', createdAt: at(3) };

    const without = await read(0, 2, { documents: [...documents, readable] });
    const withOne = await read(0, 3, { documents: [...documents, readable] });

    expect(without).toMatchObject({
      found: [undefined, undefined],
      error: {
        code: 'UnexpectedResponse',
        message: 'None of the 2 documents that Telnyx lists has a valid ID (a lower-case UUID).',
      },
    });
    expect(withOne).toMatchObject({ found: ['a', undefined, undefined], error: undefined });
  });
});

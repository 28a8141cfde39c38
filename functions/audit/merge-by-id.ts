/** One row per ID: the ID, and the entry of each stream that has the ID. */
export type MergedRow<Streams extends Record<string, WithId>> = { id: string } & {
  [Name in keyof Streams]?: Streams[Name];
};

export interface WithId {
  id: string;
}

type Source<Item> = AsyncIterable<Item> | Iterable<Item>;

/**
 * Merges streams that are each sorted by ID into rows sorted by ID. Holds one entry of each stream at a time.
 *
 * @throws RangeError if a stream is not sorted or has an ID twice
 */
export async function* mergeById<Streams extends Record<string, WithId>>(
  streams: {
    [Name in keyof Streams]: Source<Streams[Name]>;
  },
): AsyncGenerator<MergedRow<Streams>> {
  const names = Object.keys(streams) as (keyof Streams & string)[];
  const cursors = names.map((name) => ({
    name,
    iterator: iterate(streams[name]),
    head: undefined as WithId | undefined,
  }));
  const advance = async (cursor: (typeof cursors)[number]) => {
    const { value, done } = await cursor.iterator.next();
    const head = done ? undefined : value;
    if (head && cursor.head && head.id <= cursor.head.id) {
      throw new RangeError(`The stream ${cursor.name} is not sorted by id.`);
    }
    cursor.head = head;
  };
  try {
    for (const cursor of cursors) await advance(cursor);
    for (;;) {
      let smallest: string | undefined;
      for (const { head } of cursors) {
        // Stryker disable next-line EqualityOperator: of two equal IDs, either one will do.
        if (head && (smallest === undefined || head.id < smallest)) smallest = head.id;
      }
      if (smallest === undefined) return;
      const row: Record<string, unknown> = { id: smallest };
      for (const cursor of cursors) {
        if (cursor.head?.id !== smallest) continue;
        row[cursor.name] = cursor.head;
        await advance(cursor);
      }
      yield row as MergedRow<Streams>;
    }
  } finally {
    for (const { iterator } of cursors) await iterator.return?.(undefined);
  }
}

function iterate(source: Source<WithId>): AsyncIterator<WithId> | Iterator<WithId> {
  return Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]();
}

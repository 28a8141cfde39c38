/** Sorted streams, read side by side. */

/** An id, and what each stream holds of it; a stream that does not know the id has no entry. */
export type Aligned<Streams extends Record<string, WithId>> = { id: string } & {
  [Name in keyof Streams]?: Streams[Name];
};

export interface WithId {
  id: string;
}

type Source<Item> = AsyncIterable<Item> | Iterable<Item>;

/**
 * Merges streams that are each sorted by id, every id once. Of each stream one entry is held at a time.
 *
 * @throws RangeError where a stream is not sorted or names an id twice
 */
export async function* align<Streams extends Record<string, WithId>>(
  streams: {
    [Name in keyof Streams]: Source<Streams[Name]>;
  },
): AsyncGenerator<Aligned<Streams>> {
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
      let least: string | undefined;
      for (const { head } of cursors) {
        if (head && (least === undefined || head.id < least)) least = head.id;
      }
      if (least === undefined) return;
      const row: Record<string, unknown> = { id: least };
      for (const cursor of cursors) {
        if (cursor.head?.id !== least) continue;
        row[cursor.name] = cursor.head;
        await advance(cursor);
      }
      yield row as Aligned<Streams>;
    }
  } finally {
    for (const { iterator } of cursors) await iterator.return?.(undefined);
  }
}

function iterate(source: Source<WithId>): AsyncIterator<WithId> | Iterator<WithId> {
  return Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]();
}

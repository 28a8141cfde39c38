import pLimit from 'p-limit';

/**
 * Works on the items of a stream side by side and gives the results in the order of the items. At most `atOnce` are
 * worked on at a time, and at most four times as many are held, should one take long.
 *
 * When the reader stops or an item fails, what is under way is told so and waited for: nothing is left running.
 *
 * @throws the first failure, or the signal's reason
 */
export async function* inOrder<Item, Result>(
  items: AsyncIterable<Item>,
  atOnce: number,
  signal: AbortSignal,
  work: (item: Item, signal: AbortSignal) => Promise<Result>,
): AsyncGenerator<Result> {
  const stop = new AbortController();
  const limited = AbortSignal.any([signal, stop.signal]);
  const limit = pLimit(atOnce);
  const held: Promise<Result>[] = [];
  try {
    for await (const item of items) {
      limited.throwIfAborted();
      const result = limit(() => {
        limited.throwIfAborted();
        return work(item, limited);
      });
      result.catch((error: unknown) => stop.abort(error));
      held.push(result);
      if (held.length >= 4 * atOnce) yield await (held.shift() as Promise<Result>);
    }
    while (held.length > 0) yield await (held.shift() as Promise<Result>);
  } finally {
    stop.abort(new Error('Nobody reads on.'));
    await Promise.allSettled(held);
  }
}

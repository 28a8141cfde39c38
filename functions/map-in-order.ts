import pLimit from 'p-limit';

/**
 * Maps the items of a stream concurrently and yields the results in the order of the items. At most `concurrency` items
 * are in progress, and at most four times as many are held while a slow one is waited for.
 *
 * When the consumer stops or an item fails, the signal of the items in progress aborts, and the generator waits until
 * they have ended: nothing keeps running.
 *
 * @throws the first failure, or the signal's reason
 */
export async function* mapInOrder<Item, Result>(
  items: AsyncIterable<Item>,
  concurrency: number,
  signal: AbortSignal,
  map: (item: Item, signal: AbortSignal) => Promise<Result>,
): AsyncGenerator<Result> {
  const stop = new AbortController();
  const limited = AbortSignal.any([signal, stop.signal]);
  const limit = pLimit(concurrency);
  const held: Promise<Result>[] = [];
  try {
    for await (const item of items) {
      limited.throwIfAborted();
      const result = limit(() => {
        limited.throwIfAborted();
        return map(item, limited);
      });
      result.catch((error: unknown) => stop.abort(error));
      held.push(result);
      if (held.length >= 4 * concurrency) yield await (held.shift() as Promise<Result>);
    }
    while (held.length > 0) yield await (held.shift() as Promise<Result>);
  } finally {
    stop.abort(new Error('The consumer stopped reading.'));
    await Promise.allSettled(held);
  }
}

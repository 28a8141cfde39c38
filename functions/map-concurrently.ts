import pLimit from 'p-limit';

/**
 * Runs `work` on all items, at most `concurrency` at a time. After the first failure the other calls are aborted and
 * awaited: no call is left running.
 *
 * @throws the first failure, or the signal's reason
 */
export async function mapConcurrently<Item, Result>(
  items: readonly Item[],
  concurrency: number,
  signal: AbortSignal,
  work: (item: Item, signal: AbortSignal) => Promise<Result>,
): Promise<Result[]> {
  const failure = new AbortController();
  const limited = AbortSignal.any([signal, failure.signal]);
  const limit = pLimit(concurrency);
  const tasks = items.map((item) =>
    limit(async () => {
      limited.throwIfAborted();
      try {
        return await work(item, limited);
      } catch (error) {
        failure.abort(error);
        throw error;
      }
    }),
  );
  await Promise.allSettled(tasks);
  limited.throwIfAborted();
  return Promise.all(tasks);
}

/**
 * Runs `work` on the items of a stream, at most `concurrency` at a time, and yields the results in the order of the
 * items. While one item takes long, at most four times as many results as `concurrency` are held.
 *
 * When the consumer stops or an item fails, the other calls are aborted and awaited: no call is left running.
 *
 * @throws the first failure, or the signal's reason
 */
export async function* mapStreamConcurrently<Item, Result>(
  items: AsyncIterable<Item>,
  concurrency: number,
  signal: AbortSignal,
  work: (item: Item, signal: AbortSignal) => Promise<Result>,
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
        return work(item, limited);
      });
      result.catch((error: unknown) => stop.abort(error));
      held.push(result);
      if (held.length >= 4 * concurrency) yield await (held.shift() as Promise<Result>);
    }
    while (held.length > 0) yield await (held.shift() as Promise<Result>);
  } finally {
    stop.abort(new Error('The results are no longer needed.'));
    await Promise.allSettled(held);
  }
}

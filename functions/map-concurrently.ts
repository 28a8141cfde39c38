import pLimit from 'p-limit';

/**
 * Runs `work` on all items, at most `atOnce` at a time. After the first failure the other calls are aborted and awaited:
 * nothing is left running.
 *
 * @throws the first failure, or the signal's reason
 */
export async function mapConcurrently<Item, Result>(
  items: readonly Item[],
  atOnce: number,
  signal: AbortSignal,
  work: (item: Item, signal: AbortSignal) => Promise<Result>,
): Promise<Result[]> {
  const failure = new AbortController();
  const limited = AbortSignal.any([signal, failure.signal]);
  const limit = pLimit(atOnce);
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

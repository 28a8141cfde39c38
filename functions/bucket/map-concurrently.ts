import pLimit from 'p-limit';

/**
 * Works on all items, at most `atOnce` at a time. At the first failure the others are told to stop and waited for:
 * nothing is left running.
 *
 * @throws the first failure, or the signal's reason
 */
export async function sideBySide<Item, Result>(
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

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
  const { run, limited } = createPool(concurrency, signal);
  const tasks = items.map((item) => run(() => work(item, limited)));
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
  const { run, limited, stop } = createPool(concurrency, signal);
  const held: Promise<Result>[] = [];
  try {
    for await (const item of items) {
      limited.throwIfAborted();
      const result = run(() => work(item, limited));
      // Prevents an unhandled rejection while earlier results are awaited.
      result.catch(() => undefined);
      held.push(result);
      if (held.length >= 4 * concurrency) yield await (held.shift() as Promise<Result>);
    }
    while (held.length > 0) yield await (held.shift() as Promise<Result>);
  } finally {
    stop(new Error('The results are no longer needed.'));
    await Promise.allSettled(held);
  }
}

interface Pool {
  /** Runs a call when fewer than `concurrency` others run. Its failure aborts `limited`. */
  run: <Result>(call: () => Promise<Result>) => Promise<Result>;
  /** Aborts with the caller's signal, on the first failure, and with `stop`. */
  limited: AbortSignal;
  stop: (reason: unknown) => void;
}

function createPool(concurrency: number, signal: AbortSignal): Pool {
  const controller = new AbortController();
  const limited = AbortSignal.any([signal, controller.signal]);
  const limit = pLimit(concurrency);
  const stop = (reason: unknown) => controller.abort(reason);
  return {
    run: (call) =>
      limit(async () => {
        limited.throwIfAborted();
        try {
          return await call();
        } catch (error) {
          stop(error);
          throw error;
        }
      }),
    limited,
    stop,
  };
}

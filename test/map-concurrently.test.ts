import { describe, expect, it } from 'vitest';
import { mapConcurrently, mapStreamConcurrently } from '../functions/map-concurrently.ts';
import { collected } from './collected.ts';

const never = new AbortController().signal;
const numbers = (count: number) => Array.from({ length: count }, (_, number) => number);

async function* streamOf<Item>(items: readonly Item[]): AsyncGenerator<Item> {
  yield* items;
}

/** Both functions, with the same signature. */
const variants: Record<string, typeof mapConcurrently> = {
  mapConcurrently,
  mapStreamConcurrently: (items, concurrency, signal, work) =>
    collected(mapStreamConcurrently(streamOf(items), concurrency, signal, work)),
};

/** Resolves after this many turns of the event loop, or rejects with the signal's reason. */
async function turns(count: number, signal: AbortSignal): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) {
    signal.throwIfAborted();
    await new Promise(setImmediate);
  }
  signal.throwIfAborted();
}

describe.each(Object.entries(variants))('%s', (_name, map) => {
  it('returns the results in the order of the items, whichever finishes first', async () => {
    const results = await map(numbers(20), 5, never, async (item, signal) => {
      await turns(item % 3, signal);
      return item * 2;
    });

    expect(results).toEqual(numbers(20).map((item) => item * 2));
  });

  it('runs as many calls at a time as allowed, and no more', async () => {
    let active = 0;
    let maxActive = 0;

    await map(numbers(20), 5, never, async (_item, signal) => {
      active += 1;
      maxActive = Math.max(maxActive, active);
      await turns(2, signal);
      active -= 1;
    });

    expect(maxActive).toBe(5);
  });

  it('rejects with the first failure, aborts the other calls with it, and starts no further one', async () => {
    const failure = new Error('The third item fails.');
    const aborted: unknown[] = [];
    let active = 0;
    let started = 0;

    const mapping = map(numbers(20), 5, never, async (item, signal) => {
      started += 1;
      active += 1;
      try {
        await turns(item === 2 ? 5 : 50, signal);
        if (item === 2) throw failure;
      } catch (error) {
        if (item !== 2) aborted.push(error);
        throw error;
      } finally {
        active -= 1;
      }
    });

    await expect(mapping).rejects.toBe(failure);
    expect(active).toBe(0);
    expect(started).toBe(5);
    expect(aborted).toEqual([failure, failure, failure, failure]);
  });

  it('rejects with the signal’s reason when it aborts, and leaves no call running', async () => {
    const controller = new AbortController();
    const reason = new Error('Interrupted.');
    let active = 0;

    const mapping = map(numbers(20), 5, controller.signal, async (item, signal) => {
      active += 1;
      try {
        if (item === 4) controller.abort(reason);
        await turns(50, signal);
      } finally {
        active -= 1;
      }
    });

    await expect(mapping).rejects.toBe(reason);
    expect(active).toBe(0);
  });

  it('starts no call if the signal is already aborted', async () => {
    const reason = new Error('Interrupted.');
    let started = 0;

    const mapping = map(numbers(3), 2, AbortSignal.abort(reason), async () => {
      started += 1;
    });

    await expect(mapping).rejects.toBe(reason);
    expect(started).toBe(0);
  });
});

describe('mapConcurrently', () => {
  it('rejects with the signal’s reason even if all calls ignore the signal', async () => {
    const controller = new AbortController();
    const reason = new Error('Interrupted.');

    const mapping = mapConcurrently(numbers(3), 3, controller.signal, async (item) => {
      if (item === 2) controller.abort(reason);
    });

    await expect(mapping).rejects.toBe(reason);
  });
});

describe('mapStreamConcurrently', () => {
  it('takes no further item after the signal aborts', async () => {
    const controller = new AbortController();
    const reason = new Error('Interrupted.');
    let taken = 0;
    async function* items() {
      for (const item of numbers(20)) {
        taken += 1;
        if (item === 3) controller.abort(reason);
        yield item;
      }
    }

    const mapping = collected(
      mapStreamConcurrently(items(), 10, controller.signal, (_item, signal) => turns(50, signal)),
    );

    await expect(mapping).rejects.toBe(reason);
    expect(taken).toBe(4);
  });

  it('holds at most four times as many results as calls may run at a time', async () => {
    let taken = 0;
    async function* items() {
      for (const item of numbers(100)) {
        taken += 1;
        yield item;
      }
    }
    const first = Promise.withResolvers<void>();

    const mapping = collected(
      mapStreamConcurrently(items(), 3, never, async (item) => {
        if (item === 0) await first.promise;
        return item;
      }),
    );
    await turns(50, never);
    const takenMeanwhile = taken;
    first.resolve();

    expect(await mapping).toEqual(numbers(100));
    expect(takenMeanwhile).toBe(12);
  });

  it('aborts and awaits the calls under way when the consumer stops', async () => {
    let active = 0;
    const aborted: unknown[] = [];

    for await (const item of mapStreamConcurrently(streamOf(numbers(20)), 4, never, async (each, signal) => {
      active += 1;
      try {
        if (each > 0) await turns(50, signal);
        return each;
      } catch (error) {
        aborted.push(error);
        throw error;
      } finally {
        active -= 1;
      }
    })) {
      expect(item).toBe(0);
      break;
    }

    expect(active).toBe(0);
    expect(aborted).toEqual(Array(4).fill(new Error('The results are no longer needed.')));
  });
});

import { describe, expect, it } from 'vitest';
import { nextTurn, sleep, systemTime, type Time, withDeadline } from '../functions/time.ts';
import { virtualTime } from './fakes/clock.ts';

/** Virtual time that counts the timers which are neither over nor cancelled. */
function countedTime(): Time & { running: () => number } {
  const time = virtualTime(0);
  const running = new Set<object>();
  return {
    ...time,
    running: () => running.size,
    after: (ms, callback) => {
      const timer = {};
      running.add(timer);
      const cancel = time.after(ms, () => {
        running.delete(timer);
        callback();
      });
      return () => {
        running.delete(timer);
        cancel();
      };
    },
  };
}

/** A signal of the test's own, and how many listen to it. */
function countedSignal() {
  const controller = new AbortController();
  const { signal } = controller;
  let listeners = 0;
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  signal.addEventListener = (...given: Parameters<typeof add>) => {
    listeners += 1;
    add(...given);
  };
  signal.removeEventListener = (...given: Parameters<typeof remove>) => {
    listeners -= 1;
    remove(...given);
  };
  return { controller, signal, listeners: () => listeners };
}

const ended = new Error('The invocation ends.');

describe('sleep', () => {
  it('lasts as long as it is told, by the clock that it is given', async () => {
    const time = countedTime();

    await sleep(time, 3_600_000);

    expect(time.monotonic()).toBe(3_600_000);
    expect(time.running()).toBe(0);
  });

  it('is never shorter by the machine’s clock, also by a fraction of a millisecond', async () => {
    const early = await Promise.all(
      Array.from({ length: 500 }, async (_, n) => {
        const ms = 1 + ((n * 37.31) % 40);
        const began = systemTime.monotonic();
        await sleep(systemTime, ms);
        return systemTime.monotonic() - began - ms;
      }),
    );

    expect(early.filter((late) => late < 0)).toEqual([]);
  });

  it('ends with the signal’s reason as soon as it aborts, and leaves no timer behind', async () => {
    const time = countedTime();
    const { controller, signal } = countedSignal();
    time.after(1_000, () => controller.abort(ended));

    await expect(sleep(time, 3_600_000, signal)).rejects.toBe(ended);

    expect(time.monotonic()).toBe(1_000);
    expect(time.running()).toBe(0);
  });

  it('does not begin once the signal has aborted', async () => {
    const time = countedTime();

    await expect(sleep(time, 0, AbortSignal.abort(ended))).rejects.toBe(ended);

    expect(time.monotonic()).toBe(0);
  });

  it('leaves no listener on a signal that outlives it', async () => {
    const { signal, listeners } = countedSignal();

    await sleep(countedTime(), 5, signal);

    expect(listeners()).toBe(0);
  });
});

describe('a deadline', () => {
  const expired = new Error('Too late.');
  const within = <Result>(
    time: Time,
    parent: AbortSignal,
    work: (signal: AbortSignal) => Promise<Result>,
  ): Promise<Result> => withDeadline(time, 10_000, parent, () => expired, work);
  const never = new AbortController().signal;

  it('does nothing to work that ends before it, and leaves neither timer nor listener behind', async () => {
    const time = countedTime();
    const { signal, listeners } = countedSignal();
    let given: AbortSignal | undefined;

    const result = await within(time, signal, async (limited) => {
      given = limited;
      await sleep(time, 9_999, limited);
      return 'done';
    });

    expect(result).toBe('done');
    expect([time.running(), listeners()]).toEqual([0, 0]);
    expect(given?.aborted).toBe(false);
  });

  it('ends the work with the reason that it was given', async () => {
    const time = countedTime();

    await expect(within(time, never, (signal) => sleep(time, 10_001, signal))).rejects.toBe(expired);

    expect(time.monotonic()).toBe(10_000);
    expect(time.running()).toBe(0);
  });

  it('ends the work with the parent’s reason where that comes first', async () => {
    const time = countedTime();
    const { controller, signal, listeners } = countedSignal();
    time.after(1_000, () => controller.abort(ended));

    await expect(within(time, signal, (limited) => sleep(time, 60_000, limited))).rejects.toBe(ended);

    expect(time.monotonic()).toBe(1_000);
    expect([time.running(), listeners()]).toEqual([0, 0]);
  });

  it('hands on a parent that has aborted already', async () => {
    const time = countedTime();
    const work = async (limited: AbortSignal) => limited.throwIfAborted();

    await expect(within(time, AbortSignal.abort(ended), work)).rejects.toBe(ended);

    expect(time.running()).toBe(0);
  });

  it('stands by its first reason', async () => {
    const time = countedTime();
    const { controller, signal } = countedSignal();
    const work = async (limited: AbortSignal) => {
      await sleep(time, 20_000);
      controller.abort(ended);
      return limited.reason;
    };

    expect(await within(time, signal, work)).toBe(expired);
  });

  it('lets an error of the work through as it is', async () => {
    const time = countedTime();
    const failed = new Error('Something else.');

    await expect(within(time, never, () => Promise.reject(failed))).rejects.toBe(failed);

    expect(time.running()).toBe(0);
  });
});

describe('the machine’s time', () => {
  it('is that of its clocks', () => {
    const [earlier, before] = [systemTime.monotonic(), Date.now()];

    expect(systemTime.now()).toBeGreaterThanOrEqual(before);
    expect(systemTime.monotonic()).toBeGreaterThanOrEqual(earlier);
  });

  it('calls back after the time that was asked for, unless cancelled', async () => {
    const began = systemTime.monotonic();
    const called: string[] = [];

    const cancel = systemTime.after(1, () => called.push('cancelled'));
    cancel();
    await new Promise<void>((resolve) => {
      systemTime.after(20, () => {
        called.push('called');
        resolve();
      });
    });

    expect(called).toEqual(['called']);
    // A timer of Node's may be up to one millisecond early.
    expect(systemTime.monotonic() - began).toBeGreaterThanOrEqual(19);
  });
});

describe('the next turn', () => {
  it('comes after all that the event loop has to tell by then', async () => {
    const told: string[] = [];
    setImmediate(() => told.push('what was due'));
    queueMicrotask(() => told.push('a promise'));

    await nextTurn();

    expect(told).toEqual(['a promise', 'what was due']);
  });
});

import { getEventListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import { isInstant, nextTurn, sleep, systemTime, type Time, withDeadline } from '../functions/time.ts';
import { virtualTime } from './fakes/clock.ts';

/** Virtual time that counts the running timers. */
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

const listenersOf = (signal: AbortSignal) => getEventListeners(signal, 'abort').length;

const ended = new Error('The invocation ends.');

describe('sleep', () => {
  it('resolves after the given time on the given clock', async () => {
    const time = countedTime();

    await sleep(time, 3_600_000);

    expect(time.monotonic()).toBe(3_600_000);
    expect(time.running()).toBe(0);
  });

  it('is never too short on the real clock, not even by a fraction of a millisecond', async () => {
    const lateMs = await Promise.all(
      Array.from({ length: 500 }, async (_, n) => {
        const ms = 1 + ((n * 37.31) % 40);
        const startedAt = systemTime.monotonic();
        await sleep(systemTime, ms);
        return systemTime.monotonic() - startedAt - ms;
      }),
    );

    expect(lateMs.filter((ms) => ms < 0)).toEqual([]);
  });

  it('rejects with the signal’s reason as soon as it aborts, and leaves neither a timer nor a listener behind', async () => {
    const time = countedTime();
    const controller = new AbortController();
    const { signal } = controller;
    time.after(1_000, () => controller.abort(ended));

    await expect(sleep(time, 3_600_000, signal)).rejects.toBe(ended);

    expect(time.monotonic()).toBe(1_000);
    expect([time.running(), listenersOf(signal)]).toEqual([0, 0]);
  });

  it('rejects at once if the signal has already aborted', async () => {
    const time = countedTime();

    await expect(sleep(time, 0, AbortSignal.abort(ended))).rejects.toBe(ended);

    expect(time.monotonic()).toBe(0);
  });

  it('removes its listener from the signal', async () => {
    const { signal } = new AbortController();

    await sleep(countedTime(), 5, signal);

    expect(listenersOf(signal)).toBe(0);
  });
});

describe('withDeadline', () => {
  const expired = new Error('Too late.');
  const runWithDeadline = <Result>(
    time: Time,
    parent: AbortSignal,
    work: (signal: AbortSignal) => Promise<Result>,
  ): Promise<Result> => withDeadline(time, 10_000, parent, () => expired, work);
  const never = new AbortController().signal;

  it('resolves with the result of work that ends in time, and leaves neither a timer nor a listener behind', async () => {
    const time = countedTime();
    const { signal } = new AbortController();
    let passed: AbortSignal | undefined;

    const result = await runWithDeadline(time, signal, async (limited) => {
      passed = limited;
      await sleep(time, 9_999, limited);
      return 'done';
    });

    expect(result).toBe('done');
    expect([time.running(), listenersOf(signal)]).toEqual([0, 0]);
    expect(passed?.aborted).toBe(false);
  });

  it('aborts the work with the given reason when the time is up', async () => {
    const time = countedTime();

    await expect(runWithDeadline(time, never, (signal) => sleep(time, 10_001, signal))).rejects.toBe(expired);

    expect(time.monotonic()).toBe(10_000);
    expect(time.running()).toBe(0);
  });

  it('aborts the work with the parent’s reason if the parent aborts first', async () => {
    const time = countedTime();
    const controller = new AbortController();
    const { signal } = controller;
    time.after(1_000, () => controller.abort(ended));

    await expect(runWithDeadline(time, signal, (limited) => sleep(time, 60_000, limited))).rejects.toBe(
      ended,
    );

    expect(time.monotonic()).toBe(1_000);
    expect([time.running(), listenersOf(signal)]).toEqual([0, 0]);
  });

  it('aborts the work at once if the parent has already aborted', async () => {
    const time = countedTime();
    const work = async (limited: AbortSignal) => limited.throwIfAborted();

    await expect(runWithDeadline(time, AbortSignal.abort(ended), work)).rejects.toBe(ended);

    expect(time.running()).toBe(0);
  });

  it('keeps the first abort reason', async () => {
    const time = countedTime();
    const controller = new AbortController();
    const { signal } = controller;
    const work = async (limited: AbortSignal) => {
      await sleep(time, 20_000);
      controller.abort(ended);
      return limited.reason;
    };

    expect(await runWithDeadline(time, signal, work)).toBe(expired);
  });

  it('rejects with the error of the work unchanged', async () => {
    const time = countedTime();
    const failed = new Error('Something else.');

    await expect(runWithDeadline(time, never, () => Promise.reject(failed))).rejects.toBe(failed);

    expect(time.running()).toBe(0);
  });
});

describe('systemTime', () => {
  it('reads the clocks of the machine', () => {
    const [earlier, before] = [systemTime.monotonic(), Date.now()];

    expect(systemTime.now()).toBeGreaterThanOrEqual(before);
    expect(systemTime.monotonic()).toBeGreaterThanOrEqual(earlier);
  });

  it('calls back after the given time, unless cancelled', async () => {
    const startedAt = systemTime.monotonic();
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
    // A timer of Node may fire up to one millisecond early.
    expect(systemTime.monotonic() - startedAt).toBeGreaterThanOrEqual(19);
  });
});

describe('isInstant', () => {
  it.each([
    '2026-11-24T00:00:00Z',
    '2026-11-24T23:59Z',
    '2026-11-24T00:00:00.1Z',
    '2026-11-24T00:00:00.123456789Z',
    '2026-11-24T00:00:00+01:00',
    '2026-11-24T00:00-09:30',
    '2024-02-29T12:00:00Z',
  ])('is true for a date-time with a time zone: %s', (text) => {
    expect(isInstant(text)).toBe(true);
  });

  it.each([
    '',
    'yesterday',
    '2026-11-24',
    '2026-11-24T00:00:00',
    '2026-11-24 00:00:00Z',
    '2026-11-24T00Z',
    '2026-11-24T0:00Z',
    '2026-11-24T00:0Z',
    '2026-11-24T00:00:0Z',
    '2026-11-24T00:00:00.Z',
    '2026-11-24T00:00:00.1234567890Z',
    '2026-11-24T00:00:00+01',
    '2026-11-24T00:00:00+1:00',
    '2026-11-24T00:00:00+01:0',
    '2026-11-24T00:00:00z',
    '226-11-24T00:00:00Z',
    '+012026-11-24T00:00:00Z',
    '2026-1-24T00:00:00Z',
    '2026-11-4T00:00:00Z',
    ' 2026-11-24T00:00:00Z',
    '(x) 2026-11-24T00:00:00Z',
    '2026-11-24T00:00:00Z ',
    '2026-11-24T00:00:00Z (x)',
    '2026-11-24T00:00:00Z\n',
    '2026-11-24T25:00:00Z',
    '2026-02-29T12:00:00Z',
    '2026-02-30T12:00:00Z',
    '2026-13-01T12:00:00Z',
    '2026-00-01T12:00:00Z',
  ])('is false for any other text: %j', (text) => {
    expect(isInstant(text)).toBe(false);
  });
});

describe('nextTurn', () => {
  it('resolves after the callbacks that are already due', async () => {
    const calls: string[] = [];
    setImmediate(() => calls.push('immediate'));
    queueMicrotask(() => calls.push('microtask'));

    await nextTurn();

    expect(calls).toEqual(['microtask', 'immediate']);
  });
});

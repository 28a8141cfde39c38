import type { Context } from 'aws-lambda';
import { describe, expect, it } from 'vitest';
import type { Time } from '../../../functions/time.ts';
import { invoke } from '../../../local/lambda/invoke.ts';

/** A clock that only `advance` moves. */
function createClock() {
  let nowMs = 0;
  const timers = new Set<{ at: number; callback: () => void }>();
  const time: Time = {
    now: () => nowMs,
    monotonic: () => nowMs,
    after: (ms, callback) => {
      const timer = { at: nowMs + ms, callback };
      timers.add(timer);
      return () => timers.delete(timer);
    },
  };
  const advance = (ms: number) => {
    nowMs += ms;
    for (const timer of timers) {
      if (timer.at > nowMs) continue;
      timers.delete(timer);
      timer.callback();
    }
  };
  return { time, advance, timers };
}

const cycle: { self?: unknown } = {};
cycle.self = cycle;

const archive = { functionName: 'archive', timeoutMs: 60_000 };

describe('invoke', () => {
  it('passes the event and a context as Lambda does', async () => {
    const { time } = createClock();
    const seen: { event: unknown; context: Context }[] = [];
    const handler = async (event: unknown, context: Context) => {
      seen.push({ event, context });
    };

    await invoke(handler, { Records: [] }, { ...archive, time });
    await invoke(handler, { Records: [] }, { ...archive, time });

    expect(seen[0]?.event).toEqual({ Records: [] });
    expect(seen[0]?.context).toMatchObject({
      functionName: 'archive',
      functionVersion: '$LATEST',
      invokedFunctionArn: 'arn:aws:lambda:us-east-1:000000000000:function:archive',
      logGroupName: '/aws/lambda/archive',
    });
    expect(seen[0]?.context.awsRequestId).not.toBe(seen[1]?.context.awsRequestId);
  });

  it('counts the remaining time down to 0', async () => {
    const { time, advance } = createClock();
    const remaining: number[] = [];

    await invoke(
      async (_event, { getRemainingTimeInMillis }) => {
        remaining.push(getRemainingTimeInMillis());
        advance(45_000.5);
        remaining.push(getRemainingTimeInMillis());
        advance(20_000);
        remaining.push(getRemainingTimeInMillis());
        throw new Error('ends here');
      },
      null,
      { ...archive, time },
    ).catch(() => undefined);

    expect(remaining).toEqual([60_000, 14_999, 0]);
  });

  it.each<[string, unknown, unknown]>([
    ['undefined', undefined, null],
    ['null', null, null],
    ['an object', { batchItemFailures: [] }, { batchItemFailures: [] }],
    ['a value that JSON changes', { at: new Date(0), gone: undefined }, { at: '1970-01-01T00:00:00.000Z' }],
  ])('returns %s after JSON serialisation', async (_what, value, expected) => {
    const { time } = createClock();

    const result = await invoke(async () => value, null, { ...archive, time });

    expect(result).toEqual(expected);
  });

  it.each<[string, unknown]>([
    ['a BigInt', { size: 1n }],
    ['a cycle', cycle],
    ['a function', () => 1],
  ])('throws when the result contains %s, which JSON does not support', async (_what, result) => {
    const { time } = createClock();

    await expect(invoke(async () => result, null, { ...archive, time })).rejects.toThrow();
  });

  it.each<[string, () => Promise<unknown>]>([
    ['rejects', () => Promise.reject(new Error('broken'))],
    [
      'throws before it returns a promise',
      () => {
        throw new Error('broken');
      },
    ],
  ])('throws the error of a handler that %s', async (_how, handler) => {
    const { time, timers } = createClock();

    await expect(invoke(handler, null, { ...archive, time })).rejects.toThrow('broken');

    expect(timers.size).toBe(0);
  });

  it('leaves no timer behind', async () => {
    const { time, timers } = createClock();

    await invoke(async () => null, null, { ...archive, time });

    expect(timers.size).toBe(0);
  });

  it.each<[string, (end: PromiseWithResolvers<unknown>) => void]>([
    ['succeeds', ({ resolve }) => resolve({ batchItemFailures: [] })],
    ['fails', ({ reject }) => reject(new Error('too late to matter'))],
  ])('throws after the timeout, even if the handler %s later', async (_how, end) => {
    const { time, advance } = createClock();
    const work = Promise.withResolvers<unknown>();
    const invocation = invoke(() => work.promise, null, { ...archive, time });

    advance(60_000);
    end(work);

    await expect(invocation).rejects.toThrow('archive timed out after 60 s.');
  });
});

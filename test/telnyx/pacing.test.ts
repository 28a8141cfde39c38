import { describe, expect, it, vi } from 'vitest';
import { ArchiverError } from '../../functions/errors.ts';
import { createPacer, type Pacer, type StatedRateLimit, unpaced } from '../../functions/telnyx/pacing.ts';
import { sleep, type Time } from '../../functions/time.ts';
import { virtualTime } from '../fakes/clock.ts';

const second = 1_000;
const never = new AbortController().signal;

/** Telnyx with so many requests a window, which begins anew for everybody at the same time. */
function telnyxAllowing(limit: number, windowMs: number, time: Time) {
  let window = -1;
  let used = 0;
  let refused = 0;
  const perWindow: number[] = [];
  return {
    perWindow,
    refused: () => refused,
    ask: async (): Promise<StatedRateLimit> => {
      await sleep(time, 30);
      const current = Math.floor(time.monotonic() / windowMs);
      if (current !== window) {
        window = current;
        used = 0;
      }
      used += 1;
      perWindow[window] = used;
      if (used > limit) refused += 1;
      return {
        limit,
        remaining: Math.max(0, limit - used),
        resetMs: (window + 1) * windowMs - time.monotonic(),
      };
    },
  };
}

const pacers = (invocations: number, time: Time) => {
  let state = 1;
  // Park and Miller's generator: the same numbers in every run.
  const random = () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
  return Array.from({ length: invocations }, () => createPacer({ invocations, time, random }));
};
const throughPacer = (pacer: Pacer, ask: () => Promise<StatedRateLimit>) =>
  pacer(ask, (answer) => answer, never);

/** Requests of ten milliseconds, and the most that were under way at once. */
function countedAsks(time: Time, stated: StatedRateLimit) {
  let underWay = 0;
  let most = 0;
  const ask = async () => {
    underWay += 1;
    most = Math.max(most, underWay);
    await sleep(time, 10);
    underWay -= 1;
    return stated;
  };
  return { ask, most: () => most };
}

describe('a low lane', () => {
  it.each([20, 100])(
    'leaves half of %i requests a second to live work, however much it has to do',
    async (limit) => {
      const time = virtualTime(0);
      const telnyx = telnyxAllowing(limit, second, time);

      await Promise.all(
        pacers(6, time).map(async (pacer) => {
          while (time.monotonic() < 30 * second) await throughPacer(pacer, telnyx.ask);
        }),
      );

      expect(Math.max(...telnyx.perWindow.map((used) => used ?? 0))).toBeLessThanOrEqual(limit / 2);
      const total = telnyx.perWindow.reduce((sum, used) => sum + (used ?? 0), 0);
      expect(total).toBeGreaterThan(30 * 5);
    },
  );

  it.each<[string, (resetMs: number) => number | undefined]>([
    ['rounded down to whole seconds', (resetMs) => Math.floor(resetMs / 1_000) * 1_000],
    ['rounded to whole seconds', (resetMs) => Math.round(resetMs / 1_000) * 1_000],
    ['rounded up to whole seconds', (resetMs) => Math.ceil(resetMs / 1_000) * 1_000],
    ['not stated', () => undefined],
  ])('leaves half of the limit to live work where the time to the reset is %s', async (_how, stated) => {
    const time = virtualTime(0);
    const telnyx = telnyxAllowing(20, second, time);
    const ask = async (): Promise<StatedRateLimit> => {
      const { resetMs = 0, ...rest } = await telnyx.ask();
      return { ...rest, resetMs: stated(resetMs) };
    };

    await Promise.all(
      pacers(6, time).map(async (pacer) => {
        while (time.monotonic() < 60 * second) await throughPacer(pacer, ask);
      }),
    );

    expect(Math.max(...Object.values(telnyx.perWindow))).toBeLessThanOrEqual(10);
    expect(telnyx.perWindow.reduce((sum, used) => sum + (used ?? 0), 0)).toBeGreaterThan(60);
  });

  it('shares out a limit that its first requests alone would use up over several windows', async () => {
    const time = virtualTime(0);
    const telnyx = telnyxAllowing(2, second, time);
    let asked = 0;

    await Promise.all(
      pacers(6, time).map(async (pacer) => {
        while (time.monotonic() < 120 * second) {
          try {
            await throughPacer(pacer, telnyx.ask);
            asked += 1;
          } catch (error) {
            expect(error).toMatchObject({ code: 'RateLimitReserved' });
            await sleep(time, (error as { retryAfterMs: number }).retryAfterMs);
          }
        }
      }),
    );

    expect(asked).toBeGreaterThan(60);
    expect(asked).toBeLessThan(160);
  });

  it('asks one request at a time until an answer states no limit, then any number', async () => {
    const time = virtualTime(0);
    const pacer = createPacer({ invocations: 6, time, random: () => 0.5 });
    const { ask, most } = countedAsks(time, { limit: undefined, remaining: undefined, resetMs: undefined });

    await Promise.all([throughPacer(pacer, ask), throughPacer(pacer, ask)]);
    const whileUnknown = most();
    await Promise.all(Array.from({ length: 5 }, () => throughPacer(pacer, ask)));

    expect(whileUnknown).toBe(1);
    expect(most()).toBe(5);
  });

  it.each([
    ['at once while more than half and one for each invocation are left', 13, 0],
    ['after the reset once no more than that is left', 12, 1_500],
  ])('asks %s', async (_when, remaining, waitedMs) => {
    const time = virtualTime(0);
    const pacer = createPacer({ invocations: 2, time, random: () => 0 });
    const ask = async (): Promise<StatedRateLimit> => ({ limit: 20, remaining, resetMs: 1_500 });

    await throughPacer(pacer, ask);
    await throughPacer(pacer, ask);

    expect(time.monotonic()).toBe(waitedMs);
  });

  it('asks one request at a time as long as answers state a limit', async () => {
    const time = virtualTime(0);
    const pacer = createPacer({ invocations: 2, time, random: () => 0 });
    const { ask, most } = countedAsks(time, { limit: 20, remaining: 19, resetMs: 1_000 });

    await throughPacer(pacer, ask);
    await Promise.all(Array.from({ length: 5 }, () => throughPacer(pacer, ask)));

    expect(most()).toBe(1);
  });

  it.each<[what: string, stated: StatedRateLimit]>([
    ['how many requests are left', { limit: 20, remaining: undefined, resetMs: 1_500 }],
    ['of how many', { limit: undefined, remaining: 0, resetMs: 1_500 }],
  ])('neither waits nor asks one at a time where an answer does not state %s', async (_what, stated) => {
    const time = virtualTime(0);
    const pacer = createPacer({ invocations: 2, time, random: () => 0 });
    const { ask, most } = countedAsks(time, stated);

    await throughPacer(pacer, async () => stated);
    await Promise.all([1, 2, 3].map(() => throughPacer(pacer, ask)));

    expect(most()).toBe(3);
    expect(time.monotonic()).toBe(10);
  });

  it('asks nothing once the invocation has ended', async () => {
    const pacer = createPacer({ invocations: 2, time: virtualTime(0), random: () => 0 });
    const ask = vi.fn<() => Promise<StatedRateLimit>>();
    const ended = new Error('The invocation ends.');

    const asking = pacer(ask, (answer) => answer, AbortSignal.abort(ended));

    await expect(asking).rejects.toBe(ended);
    expect(ask).not.toHaveBeenCalled();
  });

  it('tells an end at the very moment of the reset from one that comes of waiting', async () => {
    const time = virtualTime(0);
    const pacer = createPacer({ invocations: 2, time, random: () => 0 });
    const ended = new ArchiverError('OutOfTime', 'over');

    await throughPacer(pacer, async () => ({ limit: 10, remaining: 1, resetMs: 1_500 }));
    await sleep(time, 1_500);
    const asking = pacer(
      vi.fn<() => Promise<StatedRateLimit>>(),
      (answer) => answer,
      AbortSignal.abort(ended),
    );

    await expect(asking).rejects.toBe(ended);
  });

  it('gives the message back where the limit is reset in more than five seconds', async () => {
    const time = virtualTime(0);
    const pacer = createPacer({ invocations: 2, time, random: () => 0 });
    const answers = [12_000, 1].map((resetMs) => async () => ({ limit: 100, remaining: 40, resetMs }));

    await throughPacer(pacer, answers[0] as () => Promise<StatedRateLimit>);
    const next = throughPacer(pacer, answers[1] as () => Promise<StatedRateLimit>);

    await expect(next).rejects.toMatchObject({
      code: 'RateLimitReserved',
      message: expect.stringMatching(/left to live work.*goes on by itself/),
      retryAfterMs: 13_000,
    });
  });

  it('makes way when the invocation ends while a request waits for the reset', async () => {
    const time = virtualTime(0);
    const pacer = createPacer({ invocations: 2, time, random: () => 0 });
    const limited = async (): Promise<StatedRateLimit> => ({ limit: 10, remaining: 1, resetMs: 3_000 });
    const invocation = new AbortController();
    time.after(1_000, () => invocation.abort(new ArchiverError('OutOfTime', 'over')));

    await throughPacer(pacer, limited);
    const waiting = pacer(limited, (answer) => answer, invocation.signal);

    await expect(waiting).rejects.toMatchObject({ code: 'RateLimitReserved' });
    expect(time.monotonic()).toBe(1_000);
  });

  it('keeps to the limit where a refusal says nothing of it', async () => {
    const time = virtualTime(0);
    const pacer = createPacer({ invocations: 2, time, random: () => 0 });
    const limited = async (): Promise<StatedRateLimit> => ({ limit: 10, remaining: 1, resetMs: 1_000 });

    await throughPacer(pacer, limited);
    await pacer(
      async () => 'a page of a proxy',
      () => undefined,
      never,
    );
    await throughPacer(pacer, limited);

    expect(time.monotonic()).toBe(2_000);
  });
});

it('Live work asks at once, any number at a time', async () => {
  const time = virtualTime(0);
  const ask = async (): Promise<StatedRateLimit> => {
    await sleep(time, 10);
    return { limit: 20, remaining: 0, resetMs: 1_000 };
  };

  const answers = await Promise.all([1, 2, 3].map(() => throughPacer(unpaced, ask)));

  expect(answers).toEqual(Array(3).fill({ limit: 20, remaining: 0, resetMs: 1_000 }));
  expect(time.monotonic()).toBe(10);
});

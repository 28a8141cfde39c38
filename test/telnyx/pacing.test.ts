import { describe, expect, it, vi } from 'vitest';
import { ArchiverError } from '../../functions/errors.ts';
import { createPacer, type Pacer, type StatedRateLimit, unpaced } from '../../functions/telnyx/pacing.ts';
import { sleep, type Time } from '../../functions/time.ts';
import { virtualTime } from '../fakes/clock.ts';

const second = 1_000;
const never = new AbortController().signal;

/** A Telnyx API with a limit of requests per window, shared by all clients. */
function telnyxAllowing(limit: number, windowMs: number, time: Time) {
  let window = -1;
  let used = 0;
  let refused = 0;
  const perWindow: number[] = [];
  return {
    perWindow,
    refused: () => refused,
    request: async (): Promise<StatedRateLimit> => {
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
const throughPacer = (pacer: Pacer, request: () => Promise<StatedRateLimit>) =>
  pacer(request, (answer) => answer, never);

/** Requests of ten milliseconds, and the maximum number that were in progress at once. */
function countedRequests(time: Time, stated: StatedRateLimit) {
  let underWay = 0;
  let max = 0;
  const request = async () => {
    underWay += 1;
    max = Math.max(max, underWay);
    await sleep(time, 10);
    underWay -= 1;
    return stated;
  };
  return { request, max: () => max };
}

describe('a low lane', () => {
  it.each([20, 100])(
    'leaves half of a limit of %i requests a second to live work, however many requests it makes',
    async (limit) => {
      const time = virtualTime(0);
      const telnyx = telnyxAllowing(limit, second, time);

      await Promise.all(
        pacers(6, time).map(async (pacer) => {
          while (time.monotonic() < 30 * second) await throughPacer(pacer, telnyx.request);
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
  ])('leaves half of the limit to live work when the time to the reset is %s', async (_how, stated) => {
    const time = virtualTime(0);
    const telnyx = telnyxAllowing(20, second, time);
    const request = async (): Promise<StatedRateLimit> => {
      const { resetMs = 0, ...rest } = await telnyx.request();
      return { ...rest, resetMs: stated(resetMs) };
    };

    await Promise.all(
      pacers(6, time).map(async (pacer) => {
        while (time.monotonic() < 60 * second) await throughPacer(pacer, request);
      }),
    );

    expect(Math.max(...Object.values(telnyx.perWindow))).toBeLessThanOrEqual(10);
    expect(telnyx.perWindow.reduce((sum, used) => sum + (used ?? 0), 0)).toBeGreaterThan(60);
  });

  it('spreads over several windows when the limit is too low for the first request of each invocation', async () => {
    const time = virtualTime(0);
    const telnyx = telnyxAllowing(2, second, time);
    let requests = 0;

    await Promise.all(
      pacers(6, time).map(async (pacer) => {
        while (time.monotonic() < 120 * second) {
          try {
            await throughPacer(pacer, telnyx.request);
            requests += 1;
          } catch (error) {
            expect(error).toMatchObject({ code: 'RateLimitReserved' });
            await sleep(time, (error as { retryAfterMs: number }).retryAfterMs);
          }
        }
      }),
    );

    expect(requests).toBeGreaterThan(60);
    expect(requests).toBeLessThan(160);
  });

  it('sends one request at a time until a response states no limit, and then any number', async () => {
    const time = virtualTime(0);
    const pacer = createPacer({ invocations: 6, time, random: () => 0.5 });
    const { request, max } = countedRequests(time, {
      limit: undefined,
      remaining: undefined,
      resetMs: undefined,
    });

    await Promise.all([throughPacer(pacer, request), throughPacer(pacer, request)]);
    const whileUnknown = max();
    await Promise.all(Array.from({ length: 5 }, () => throughPacer(pacer, request)));

    expect(whileUnknown).toBe(1);
    expect(max()).toBe(5);
  });

  it.each([
    ['at once while more than half of the limit plus one request for each invocation is left', 13, 0],
    ['after the reset otherwise', 12, 1_500],
  ])('sends the next request %s', async (_when, remaining, waitedMs) => {
    const time = virtualTime(0);
    const pacer = createPacer({ invocations: 2, time, random: () => 0 });
    const request = async (): Promise<StatedRateLimit> => ({ limit: 20, remaining, resetMs: 1_500 });

    await throughPacer(pacer, request);
    await throughPacer(pacer, request);

    expect(time.monotonic()).toBe(waitedMs);
  });

  it('sends one request at a time as long as responses state a limit', async () => {
    const time = virtualTime(0);
    const pacer = createPacer({ invocations: 2, time, random: () => 0 });
    const { request, max } = countedRequests(time, { limit: 20, remaining: 19, resetMs: 1_000 });

    await throughPacer(pacer, request);
    await Promise.all(Array.from({ length: 5 }, () => throughPacer(pacer, request)));

    expect(max()).toBe(1);
  });

  it.each<[what: string, stated: StatedRateLimit]>([
    ['the remaining requests', { limit: 20, remaining: undefined, resetMs: 1_500 }],
    ['the limit itself', { limit: undefined, remaining: 0, resetMs: 1_500 }],
  ])('sends all requests at once when a response does not state %s', async (_what, stated) => {
    const time = virtualTime(0);
    const pacer = createPacer({ invocations: 2, time, random: () => 0 });
    const { request, max } = countedRequests(time, stated);

    await throughPacer(pacer, async () => stated);
    await Promise.all([1, 2, 3].map(() => throughPacer(pacer, request)));

    expect(max()).toBe(3);
    expect(time.monotonic()).toBe(10);
  });

  it('sends no request after the invocation has ended', async () => {
    const pacer = createPacer({ invocations: 2, time: virtualTime(0), random: () => 0 });
    const request = vi.fn<() => Promise<StatedRateLimit>>();
    const ended = new Error('The invocation ends.');

    const response = pacer(request, (answer) => answer, AbortSignal.abort(ended));

    await expect(response).rejects.toBe(ended);
    expect(request).not.toHaveBeenCalled();
  });

  it('throws the abort reason when the invocation ends exactly at the reset', async () => {
    const time = virtualTime(0);
    const pacer = createPacer({ invocations: 2, time, random: () => 0 });
    const ended = new ArchiverError('OutOfTime', 'over');

    await throughPacer(pacer, async () => ({ limit: 10, remaining: 1, resetMs: 1_500 }));
    await sleep(time, 1_500);
    const response = pacer(
      vi.fn<() => Promise<StatedRateLimit>>(),
      (answer) => answer,
      AbortSignal.abort(ended),
    );

    await expect(response).rejects.toBe(ended);
  });

  it('throws RateLimitReserved when the limit resets in more than five seconds', async () => {
    const time = virtualTime(0);
    const pacer = createPacer({ invocations: 2, time, random: () => 0 });
    const answers = [12_000, 1].map((resetMs) => async () => ({ limit: 100, remaining: 40, resetMs }));

    await throughPacer(pacer, answers[0] as () => Promise<StatedRateLimit>);
    const next = throughPacer(pacer, answers[1] as () => Promise<StatedRateLimit>);

    await expect(next).rejects.toMatchObject({
      code: 'RateLimitReserved',
      message: expect.stringMatching(/reserved for live work.*retried automatically/),
      retryAfterMs: 13_000,
    });
  });

  it('throws RateLimitReserved when the invocation ends while a request waits for the reset', async () => {
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

  it('keeps to the last stated limit when an error response does not state one', async () => {
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

it('sends all requests of live work at once', async () => {
  const time = virtualTime(0);
  const request = async (): Promise<StatedRateLimit> => {
    await sleep(time, 10);
    return { limit: 20, remaining: 0, resetMs: 1_000 };
  };

  const answers = await Promise.all([1, 2, 3].map(() => throughPacer(unpaced, request)));

  expect(answers).toEqual(Array(3).fill({ limit: 20, remaining: 0, resetMs: 1_000 }));
  expect(time.monotonic()).toBe(10);
});

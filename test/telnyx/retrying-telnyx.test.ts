import { describe, expect, it } from 'vitest';
import { ArchiverError, type ErrorCode } from '../../functions/errors.ts';
import { calls, retryTimings } from '../../functions/limits.ts';
import { createLog } from '../../functions/log.ts';
import type { StatedRateLimit } from '../../functions/telnyx/pacing.ts';
import { createRetryingTelnyx } from '../../functions/telnyx/retrying-telnyx.ts';
import { noon } from '../discover/world.ts';
import { virtualTime } from '../fakes/clock.ts';

type Answer = Error | StatedRateLimit;

const unlimited: StatedRateLimit = { limit: undefined, remaining: undefined, resetMs: undefined };

/** A `RetryingTelnyx` over an API that returns each of these answers in turn, and the last one repeatedly, at once. */
function retryingTelnyx(answers: Answer[], deadline = 300_000, random = 0.999_999) {
  const time = virtualTime(noon);
  const requestedAt: number[] = [];
  const lines: unknown[] = [];
  const abort = new AbortController();
  const telnyx = createRetryingTelnyx(
    {
      get: async () => {
        const answer = answers[Math.min(requestedAt.length, answers.length - 1)] ?? unlimited;
        requestedAt.push(time.monotonic());
        if (answer instanceof Error) throw answer;
        return { body: 'the answer', rateLimit: answer };
      },
    },
    {
      deadline,
      signal: abort.signal,
      timings: retryTimings,
      time,
      random: () => random,
      log: createLog({ name: 'test', write: (line) => lines.push(JSON.parse(line)), now: time.now }),
    },
  );
  const get = () => telnyx.get('documents', new URLSearchParams(), 'UnexpectedResponse');
  return { telnyx, get, requestedAt, lines, abort };
}

const failure = (code: ErrorCode, retryAfterMs?: number) =>
  new ArchiverError(code, 'Refused.', { retryAfterMs });

describe('createRetryingTelnyx', () => {
  it('waits as long as Telnyx states after RateLimited', async () => {
    const { get, requestedAt, telnyx } = retryingTelnyx([failure('RateLimited', 42_000), unlimited]);

    await expect(get()).resolves.toBe('the answer');

    expect(requestedAt).toEqual([0, 42_000]);
    expect(telnyx.requests()).toBe(2);
  });

  it.each(['TelnyxUnavailable', 'UnexpectedResponse', 'RateLimited'] as const)(
    'retries %s with growing delays and fails after six requests',
    async (code) => {
      const { get, requestedAt } = retryingTelnyx([failure(code)]);

      await expect(get()).rejects.toMatchObject({ code });

      expect(requestedAt.map((ms) => Math.round(ms / 1_000))).toEqual([0, 1, 3, 7, 15, 30]);
    },
  );

  it('shortens the delays at random, down to half', async () => {
    const { get, requestedAt } = retryingTelnyx([failure('TelnyxUnavailable')], 300_000, 0);

    await expect(get()).rejects.toMatchObject({ code: 'TelnyxUnavailable' });

    expect(requestedAt).toEqual([0, 500, 1_500, 3_500, 7_500, 15_000]);
  });

  it('logs each retry with its number, its delay and the code', async () => {
    const { get, lines } = retryingTelnyx([failure('RateLimited', 42_000.4), unlimited]);

    await get();

    expect(lines).toMatchObject([
      {
        level: 'INFO',
        message: 'Retrying a Telnyx request',
        attempt: 1,
        retryInMs: 42_000,
        code: 'RateLimited',
      },
    ]);
  });

  it.each(['ApiKeyRejected', 'ApiKeyForbidden', 'OrderGone', 'LinkRefused'] as const)(
    'does not retry %s',
    async (code) => {
      const { get, requestedAt } = retryingTelnyx([failure(code)]);

      await expect(get()).rejects.toMatchObject({ code });

      expect(requestedAt).toHaveLength(1);
    },
  );

  it('does not retry any other error', async () => {
    const { get, requestedAt } = retryingTelnyx([new RangeError('A defect.')]);

    await expect(get()).rejects.toMatchObject({ code: 'Unexpected' });

    expect(requestedAt).toHaveLength(1);
  });

  it('does not start a wait that would end too close to the deadline', async () => {
    const { get, requestedAt } = retryingTelnyx([failure('RateLimited', 42_000)], 50_000);

    await expect(get()).rejects.toMatchObject({ code: 'RateLimited', retryAfterMs: 42_000 });

    expect(requestedAt).toEqual([0]);
  });

  it('spreads the last requests over the time until the limit resets', async () => {
    const { get, requestedAt } = retryingTelnyx([
      { limit: 100, remaining: 10, resetMs: 60_000 },
      { limit: 100, remaining: 9, resetMs: 60_000 },
      { limit: 100, remaining: 1, resetMs: 40_000 },
      { limit: 100, remaining: 0, resetMs: 30_000 },
      unlimited,
    ]);

    for (let request = 0; request < 6; request += 1) await get();

    expect(requestedAt).toEqual([0, 0, 6_000, 26_000, 56_000, 56_000]);
  });

  it.each([
    { limit: 100, remaining: 0, resetMs: undefined },
    { limit: 100, remaining: undefined, resetMs: 60_000 },
  ])('does not wait if the response states only a part of the rate limit: %j', async (rateLimit) => {
    const { get, requestedAt } = retryingTelnyx([rateLimit]);

    await get();
    await get();

    expect(requestedAt).toEqual([0, 0]);
  });

  it('throws RateLimited, without waiting, if no time for a request is left once the limit resets', async () => {
    const rateLimit = { limit: 100, remaining: 0, resetMs: 400_000 };
    const inTime = retryingTelnyx([rateLimit], 400_000 + calls.telnyxMs);
    const late = retryingTelnyx([rateLimit], 400_000 + calls.telnyxMs - 1);
    await inTime.get();
    await late.get();

    await inTime.get();
    const second = late.get();

    await expect(second).rejects.toMatchObject({
      code: 'RateLimited',
      message: 'The Telnyx rate limit allows no further request within the time of this invocation.',
      retryAfterMs: 400_000,
    });
    expect(inTime.requestedAt).toEqual([0, 400_000]);
    expect(late.requestedAt).toEqual([0]);
  });

  it('makes a request that needs no wait even shortly before the deadline', async () => {
    const { get, requestedAt } = retryingTelnyx([unlimited], calls.telnyxMs - 1);

    await get();
    await get();

    expect(requestedAt).toEqual([0, 0]);
  });

  it('stops waiting when the signal aborts', async () => {
    const { get, abort } = retryingTelnyx([failure('RateLimited', 42_000)]);
    const response = get();

    abort.abort(new ArchiverError('OutOfTime', 'The time is up.'));

    await expect(response).rejects.toMatchObject({ code: 'OutOfTime' });
  });
});

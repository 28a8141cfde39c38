import { describe, expect, it } from 'vitest';
import { ArchiverError, type ErrorCode } from '../../functions/errors.ts';
import { retryTimings } from '../../functions/limits.ts';
import { createLog } from '../../functions/log.ts';
import type { StatedRateLimit } from '../../functions/telnyx/pacing.ts';
import { createRetryingTelnyx } from '../../functions/telnyx/retrying-telnyx.ts';
import { noon } from '../discover/world.ts';
import { virtualTime } from '../fakes/clock.ts';

type Answer = Error | StatedRateLimit;

const unlimited: StatedRateLimit = { limit: undefined, remaining: undefined, resetMs: undefined };

/** A Telnyx that gives these answers one after the other, the last one for ever, and takes no time over it. */
function patientWith(answers: Answer[], deadline = 300_000) {
  const time = virtualTime(noon);
  const askedAt: number[] = [];
  const abort = new AbortController();
  const telnyx = createRetryingTelnyx(
    {
      get: async () => {
        const answer = answers[Math.min(askedAt.length, answers.length - 1)] ?? unlimited;
        askedAt.push(time.monotonic());
        if (answer instanceof Error) throw answer;
        return { body: 'the answer', rateLimit: answer };
      },
    },
    {
      deadline,
      signal: abort.signal,
      timings: retryTimings,
      time,
      random: () => 0.999_999,
      log: createLog({ name: 'test', write: () => undefined, now: time.now }),
    },
  );
  const get = () => telnyx.get('documents', new URLSearchParams(), 'UnexpectedResponse');
  return { telnyx, get, askedAt, abort };
}

const failure = (code: ErrorCode, retryAfterMs?: number) =>
  new ArchiverError(code, 'Refused.', { retryAfterMs });

describe('a patient reader of Telnyx', () => {
  it('waits as long as Telnyx says at a rate limit', async () => {
    const { get, askedAt, telnyx } = patientWith([failure('RateLimited', 42_000), unlimited]);

    await expect(get()).resolves.toBe('the answer');

    expect(askedAt).toEqual([0, 42_000]);
    expect(telnyx.requests()).toBe(2);
  });

  it.each(['TelnyxUnavailable', 'UnexpectedResponse', 'RateLimited'] as const)(
    'asks again at %s, ever later, and gives up after six requests',
    async (code) => {
      const { get, askedAt } = patientWith([failure(code)]);

      await expect(get()).rejects.toMatchObject({ code });

      expect(askedAt.map((ms) => Math.round(ms / 1_000))).toEqual([0, 1, 3, 7, 15, 30]);
    },
  );

  it.each(['ApiKeyRejected', 'ApiKeyForbidden', 'OrderGone', 'LinkRefused'] as const)(
    'does not ask again at %s',
    async (code) => {
      const { get, askedAt } = patientWith([failure(code)]);

      await expect(get()).rejects.toMatchObject({ code });

      expect(askedAt).toHaveLength(1);
    },
  );

  it('does not ask again after a defect of ours', async () => {
    const { get, askedAt } = patientWith([new RangeError('A defect.')]);

    await expect(get()).rejects.toMatchObject({ code: 'Unexpected' });

    expect(askedAt).toHaveLength(1);
  });

  it('begins no wait that would not end well before the invocation does', async () => {
    const { get, askedAt } = patientWith([failure('RateLimited', 42_000)], 50_000);

    await expect(get()).rejects.toMatchObject({ code: 'RateLimited', retryAfterMs: 42_000 });

    expect(askedAt).toEqual([0]);
  });

  it('spreads the last requests over the time until the limit is reset', async () => {
    const { get, askedAt } = patientWith([
      { limit: 100, remaining: 10, resetMs: 60_000 },
      { limit: 100, remaining: 9, resetMs: 60_000 },
      { limit: 100, remaining: 1, resetMs: 40_000 },
      { limit: 100, remaining: 0, resetMs: 30_000 },
      unlimited,
    ]);

    for (let request = 0; request < 6; request += 1) await get();

    expect(askedAt).toEqual([0, 0, 6_000, 26_000, 56_000, 56_000]);
  });

  it('leaves the wait to the queue where the limit is reset too late', async () => {
    const { get } = patientWith([{ limit: 100, remaining: 0, resetMs: 400_000 }]);
    await get();

    const second = get();

    await expect(second).rejects.toMatchObject({ code: 'RateLimited', retryAfterMs: 400_000 });
  });

  it('stops waiting when it is told to', async () => {
    const { get, abort } = patientWith([failure('RateLimited', 42_000)]);
    const asking = get();

    abort.abort(new ArchiverError('OutOfTime', 'The time is over.'));

    await expect(asking).rejects.toMatchObject({ code: 'OutOfTime' });
  });
});

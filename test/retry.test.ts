import { describe, expect, it, vi } from 'vitest';
import { ArchiverError, type ErrorCode } from '../functions/errors.ts';
import { attempts } from '../functions/limits.ts';
import { type RetryOptions, withRetry } from '../functions/retry.ts';
import { sleep, systemTime } from '../functions/time.ts';
import { virtualTime } from './fakes/clock.ts';

const second = 1_000;

/** Work that fails with each of these codes in turn and then succeeds. */
function failing(...codes: (ErrorCode | Error)[]) {
  const time = virtualTime(0);
  const startedAt: number[] = [];
  const retried: number[] = [];
  const run = (options: Partial<RetryOptions> = {}) =>
    withRetry(
      async () => {
        startedAt.push(time.monotonic());
        const code = codes[startedAt.length - 1];
        if (code instanceof Error) throw code;
        if (code !== undefined) throw new ArchiverError(code, `${code} of attempt ${startedAt.length}`);
        return 'done';
      },
      {
        maxAttempts: attempts.max,
        delayAfter: () => 7.5 * second,
        minTimeLeftMs: 5 * second,
        deadline: 57 * second,
        attemptsSpanMs: 15 * second,
        signal: new AbortController().signal,
        time,
        onRetry: (_error, attempt) => retried.push(attempt),
        ...options,
      },
    );
  return { run, startedAt, retried, time };
}

describe('withRetry', () => {
  it('resolves with the first success, after the requested delays', async () => {
    const { run, startedAt, retried } = failing('DownloadFailed', 'SizeMismatch');

    expect(await run()).toBe('done');
    expect(startedAt).toEqual([0, 7.5 * second, 15 * second]);
    expect(retried).toEqual([1, 2]);
  });

  it('throws a conclusive error when three attempts over 15 s have failed with policy retry', async () => {
    const { run } = failing('ChecksumMismatch', 'SizeMismatch', 'LinkRefused');

    await expect(run()).rejects.toMatchObject({
      code: 'LinkRefused',
      message: 'LinkRefused of attempt 3',
      conclusive: true,
    });
  });

  it('passes the time since the first attempt to delayAfter, so that the last attempt can be delayed', async () => {
    const { run, startedAt } = failing('ChecksumMismatch', 'ChecksumMismatch', 'ChecksumMismatch');
    const nextAt = [4 * second, 15 * second];

    const end = run({
      delayAfter: (_error, attempt, sinceFirstMs) => (nextAt[attempt - 1] ?? 0) - sinceFirstMs,
    });

    await expect(end).rejects.toMatchObject({ conclusive: true });
    expect(startedAt).toEqual([0, 4 * second, 15 * second]);
  });

  it('throws a conclusive error on the real clock when the last attempt is delayed by exactly the required time', async () => {
    const ends = Array.from({ length: 50 }, async (_, n) => {
      const span = 40 + n / 7;
      return withRetry(() => Promise.reject(new ArchiverError('ChecksumMismatch', 'x')), {
        maxAttempts: attempts.max,
        delayAfter: (_error, attempt, sinceFirstMs) => Math.max(0, (span * attempt) / 2 - sinceFirstMs),
        minTimeLeftMs: 0,
        deadline: Number.POSITIVE_INFINITY,
        attemptsSpanMs: span,
        signal: new AbortController().signal,
        time: systemTime,
        onRetry: () => undefined,
      }).catch((error: ArchiverError) => error.conclusive);
    });

    expect((await Promise.all(ends)).filter((isConclusive) => isConclusive !== true)).toEqual([]);
  });

  it('throws an inconclusive error when the last attempt starts less than 15 s after the first', async () => {
    const { run } = failing('ChecksumMismatch', 'ChecksumMismatch', 'ChecksumMismatch');

    await expect(run({ delayAfter: () => 7 * second })).rejects.toMatchObject({ conclusive: false });
  });

  it.each([
    ['DownloadFailed', 'ChecksumMismatch', 'ChecksumMismatch'],
    ['ChecksumMismatch', 'TelnyxUnavailable', 'ChecksumMismatch'],
    ['ChecksumMismatch', 'ChecksumMismatch', 'BucketUnavailable'],
  ] as const)(
    'throws an inconclusive error when not all attempts failed with policy retry: %s, %s, %s',
    async (...codes) => {
      await expect(failing(...codes).run()).rejects.toMatchObject({ code: codes[2], conclusive: false });
    },
  );

  it('throws an inconclusive error when only two attempts have failed', async () => {
    const { run } = failing('ChecksumMismatch', 'ChecksumMismatch');

    await expect(run({ maxAttempts: 2, delayAfter: () => 16 * second })).rejects.toMatchObject({
      conclusive: false,
    });
  });

  it('measures the time since the first attempt, not since the start of the clock', async () => {
    const { run, time } = failing('ChecksumMismatch', 'ChecksumMismatch', 'ChecksumMismatch');
    await sleep(time, 20 * second);

    const end = run({ delayAfter: () => 7 * second });

    await expect(end).rejects.toMatchObject({ conclusive: false });
  });

  it('does not wait before the first attempt', async () => {
    const { run, time } = failing();
    const after = vi.spyOn(time, 'after');

    await run();

    expect(after).not.toHaveBeenCalled();
  });

  it('tries again with exactly the minimum time left, and not with a millisecond less', async () => {
    const justEnough = failing('DownloadFailed');
    const tooLittle = failing('DownloadFailed');
    const deadline = 12.5 * second;

    expect(await justEnough.run({ deadline })).toBe('done');
    await expect(tooLittle.run({ deadline: deadline - 1 })).rejects.toMatchObject({ code: 'DownloadFailed' });
  });

  it('throws an inconclusive error when there was no time for three attempts', async () => {
    const { run, startedAt } = failing('ChecksumMismatch', 'ChecksumMismatch', 'ChecksumMismatch');

    await expect(run({ deadline: 19 * second })).rejects.toMatchObject({ conclusive: false });
    expect(startedAt).toHaveLength(2);
  });

  it('does not try again when delayAfter returns undefined', async () => {
    const { run, startedAt } = failing('KeyCollision');

    await expect(run({ delayAfter: () => undefined })).rejects.toMatchObject({ code: 'KeyCollision' });
    expect(startedAt).toHaveLength(1);
  });

  it('converts any other error to Unexpected and retries it', async () => {
    const defect = new TypeError('x is not a function');

    await expect(failing(defect, defect, defect).run()).rejects.toMatchObject({
      code: 'Unexpected',
      cause: defect,
      conclusive: true,
    });
  });

  it('throws RateLimitReserved, not the abort reason, when the last attempt failed with it', async () => {
    const { run } = failing('RateLimitReserved');
    const invocation = new AbortController();

    const attempts = run({
      signal: invocation.signal,
      delayAfter: () => {
        invocation.abort(new ArchiverError('OutOfTime', 'The time is up.'));
        return undefined;
      },
    });

    await expect(attempts).rejects.toMatchObject({ code: 'RateLimitReserved' });
  });

  it('throws the signal’s reason as soon as it aborts, even during a wait', async () => {
    const { run, startedAt, time } = failing('DownloadFailed', 'DownloadFailed');
    const invocation = new AbortController();
    time.after(3 * second, () => invocation.abort(new ArchiverError('OutOfTime', 'The time is up.')));

    await expect(run({ signal: invocation.signal })).rejects.toMatchObject({ code: 'OutOfTime' });
    expect(startedAt).toHaveLength(1);
    expect(time.monotonic()).toBe(3 * second);
  });
});

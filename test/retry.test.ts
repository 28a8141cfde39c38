import { describe, expect, it, vi } from 'vitest';
import { ArchiverError, type ErrorCode } from '../functions/errors.ts';
import { attempts } from '../functions/limits.ts';
import { type RetryOptions, withRetry } from '../functions/retry.ts';
import { sleep, systemTime } from '../functions/time.ts';
import { virtualTime } from './fakes/clock.ts';

const second = 1_000;

/** Work that fails with these codes, one after the other, and then succeeds. */
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
        most: attempts.most,
        delayAfter: () => 7.5 * second,
        leastTimeMs: 5 * second,
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

describe('attempts within one receive', () => {
  it('resolve with the first success, after the delays that are asked for', async () => {
    const { run, startedAt, retried } = failing('DownloadFailed', 'SizeMismatch');

    expect(await run()).toBe('done');
    expect(startedAt).toEqual([0, 7.5 * second, 15 * second]);
    expect(retried).toEqual([1, 2]);
  });

  it('end conclusively when three have failed through the document’s own fault over fifteen seconds', async () => {
    const { run } = failing('ChecksumMismatch', 'SizeMismatch', 'LinkRefused');

    await expect(run()).rejects.toMatchObject({
      code: 'LinkRefused',
      message: 'LinkRefused of attempt 3',
      conclusive: true,
    });
  });

  it('tell how long ago the first one began, so that the last can be put off for as long as it takes', async () => {
    const { run, startedAt } = failing('ChecksumMismatch', 'ChecksumMismatch', 'ChecksumMismatch');
    const nextAt = [4 * second, 15 * second];

    const end = run({
      delayAfter: (_error, attempt, sinceFirstMs) => (nextAt[attempt - 1] ?? 0) - sinceFirstMs,
    });

    await expect(end).rejects.toMatchObject({ conclusive: true });
    expect(startedAt).toEqual([0, 4 * second, 15 * second]);
  });

  it('are conclusive by the machine’s clock too when the last is put off to the very end of the time', async () => {
    const ends = Array.from({ length: 50 }, async (_, n) => {
      const span = 40 + n / 7;
      return withRetry(() => Promise.reject(new ArchiverError('ChecksumMismatch', 'x')), {
        most: attempts.most,
        delayAfter: (_error, attempt, sinceFirstMs) => Math.max(0, (span * attempt) / 2 - sinceFirstMs),
        leastTimeMs: 0,
        deadline: Number.POSITIVE_INFINITY,
        attemptsSpanMs: span,
        signal: new AbortController().signal,
        time: systemTime,
        onRetry: () => undefined,
      }).catch((error: ArchiverError) => error.conclusive);
    });

    expect((await Promise.all(ends)).filter((isConclusive) => isConclusive !== true)).toEqual([]);
  });

  it('are not conclusive when the last begins less than fifteen seconds after the first', async () => {
    const { run } = failing('ChecksumMismatch', 'ChecksumMismatch', 'ChecksumMismatch');

    await expect(run({ delayAfter: () => 7 * second })).rejects.toMatchObject({ conclusive: false });
  });

  it.each([
    ['DownloadFailed', 'ChecksumMismatch', 'ChecksumMismatch'],
    ['ChecksumMismatch', 'TelnyxUnavailable', 'ChecksumMismatch'],
    ['ChecksumMismatch', 'ChecksumMismatch', 'BucketUnavailable'],
  ] as const)('are not conclusive when another failure is among them: %s, %s, %s', async (...codes) => {
    await expect(failing(...codes).run()).rejects.toMatchObject({ code: codes[2], conclusive: false });
  });

  it('are not conclusive when two have failed over fifteen seconds', async () => {
    const { run } = failing('ChecksumMismatch', 'ChecksumMismatch');

    await expect(run({ most: 2, delayAfter: () => 16 * second })).rejects.toMatchObject({
      conclusive: false,
    });
  });

  it('count from the first one, whatever the clock says', async () => {
    const { run, time } = failing('ChecksumMismatch', 'ChecksumMismatch', 'ChecksumMismatch');
    await sleep(time, 20 * second);

    const end = run({ delayAfter: () => 7 * second });

    await expect(end).rejects.toMatchObject({ conclusive: false });
  });

  it('wait for nothing before the first one', async () => {
    const { run, time } = failing();
    const after = vi.spyOn(time, 'after');

    await run();

    expect(after).not.toHaveBeenCalled();
  });

  it('go on with exactly the least time left, and end with a millisecond less', async () => {
    const enough = failing('DownloadFailed');
    const tooLittle = failing('DownloadFailed');
    const deadline = 12.5 * second;

    expect(await enough.run({ deadline })).toBe('done');
    await expect(tooLittle.run({ deadline: deadline - 1 })).rejects.toMatchObject({ code: 'DownloadFailed' });
  });

  it('are not conclusive when there was no time for three', async () => {
    const { run, startedAt } = failing('ChecksumMismatch', 'ChecksumMismatch', 'ChecksumMismatch');

    await expect(run({ deadline: 19 * second })).rejects.toMatchObject({ conclusive: false });
    expect(startedAt).toHaveLength(2);
  });

  it('stop where another attempt makes no sense', async () => {
    const { run, startedAt } = failing('KeyCollision');

    await expect(run({ delayAfter: () => undefined })).rejects.toMatchObject({ code: 'KeyCollision' });
    expect(startedAt).toHaveLength(1);
  });

  it('translate what no adapter has translated, so that it is retried too', async () => {
    const defect = new TypeError('x is not a function');

    await expect(failing(defect, defect, defect).run()).rejects.toMatchObject({
      code: 'Unexpected',
      cause: defect,
      conclusive: true,
    });
  });

  it('end with making way for live work, if that is what the time ran out over', async () => {
    const { run } = failing('RateLimitReserved');
    const invocation = new AbortController();

    const attempts = run({
      signal: invocation.signal,
      delayAfter: () => {
        invocation.abort(new ArchiverError('OutOfTime', 'over'));
        return undefined;
      },
    });

    await expect(attempts).rejects.toMatchObject({ code: 'RateLimitReserved' });
  });

  it('end with the signal’s reason as soon as it aborts, during a wait too', async () => {
    const { run, startedAt, time } = failing('DownloadFailed', 'DownloadFailed');
    const invocation = new AbortController();
    time.after(3 * second, () => invocation.abort(new ArchiverError('OutOfTime', 'over')));

    await expect(run({ signal: invocation.signal })).rejects.toMatchObject({ code: 'OutOfTime' });
    expect(startedAt).toHaveLength(1);
    expect(time.monotonic()).toBe(3 * second);
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ArchiverError, type ErrorCode, errorCodes, fates } from '../../functions/errors.ts';
import { backoffLadderMs, queues, receives, unlinkedLifetimeMs } from '../../functions/limits.ts';
import { decide } from '../../functions/queue/backoff.ts';

const anyCode = fc.constantFrom(...errorCodes);
const anyDice = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const anyCount = fc.integer({ min: 1, max: 300 });
const anyStated = fc.option(fc.nat({ max: 10 * 86_400_000 }), { nil: undefined });

const failed = (code: ErrorCode, received: number, dice = 0.5, retryAfterMs?: number) =>
  decide(new ArchiverError(code, 'x', { retryAfterMs }), received, backoffLadderMs, () => dice);

/** Milliseconds until a message that is known to come back does so. */
function waitOf(...given: Parameters<typeof failed>): number {
  const decision = failed(...given);
  return decision.action === 'return' ? decision.afterMs : expect.unreachable(decision.action);
}

describe('what becomes of a failed receive', () => {
  it('follows the fate of its code at every count of receives', () => {
    fc.assert(
      fc.property(anyCode, anyCount, anyDice, anyStated, (code, received, dice, stated) => {
        const { action } = failed(code, received, dice, stated);

        const fate = fates[code];
        if (fate === 'done') expect(action).toBe('acknowledge');
        else if (fate === 'dead-letter') expect(action).toBe('dead-letter');
        else expect(action).toBe(received >= receives[fate] ? 'dead-letter' : 'return');
      }),
      { numRuns: 3_000 },
    );
  });
});

const passing = errorCodes.filter((code) => fates[code] === 'retry' || fates[code] === 'wait');
const anyPassing = fc.constantFrom(...passing).chain((code) => {
  const fate = fates[code] === 'wait' ? 'wait' : 'retry';
  return fc
    .integer({ min: 1, max: receives[fate] - 1 })
    .map((received) => ({ code, fate, received }) as const);
});

describe('the wait before a message comes back', () => {
  it('is within a fifth of the ladder’s rung, by the dice that it is given', () => {
    fc.assert(
      fc.property(anyPassing, anyDice, ({ code, fate, received }, dice) => {
        const ladder = backoffLadderMs[fate];
        const rung = ladder[Math.min(received, ladder.length) - 1] ?? 0;

        expect(waitOf(code, received, dice)).toBeCloseTo(rung * (0.8 + 0.4 * dice), 6);
        expect(waitOf(code, received, 0)).toBeCloseTo(0.8 * rung, 6);
        expect(waitOf(code, received, 0.999_999)).toBeLessThan(1.2 * rung);
      }),
      { numRuns: 1_000 },
    );
  });

  it('grows from receive to receive, whatever the dice say', () => {
    for (const fate of ['retry', 'wait'] as const) {
      const ladder = backoffLadderMs[fate];
      ladder.slice(1).forEach((rung, below) => {
        expect(0.8 * rung).toBeGreaterThan(1.2 * (ladder[below] ?? 0));
      });
    }
  });

  it('is no shorter than the other side has asked for, and no longer than SQS takes', () => {
    fc.assert(
      fc.property(anyPassing, anyDice, anyStated, ({ code, received }, dice, stated = 0) => {
        const afterMs = waitOf(code, received, dice, stated);

        expect(afterMs).toBeGreaterThanOrEqual(Math.min(stated, queues.maxVisibilityMs));
        expect(afterMs).toBeGreaterThanOrEqual(waitOf(code, received, dice));
        expect(afterMs).toBeLessThanOrEqual(queues.maxVisibilityMs);
      }),
      { numRuns: 1_000 },
    );
  });

  it('is none at all on a ladder without rungs', () => {
    const error = new ArchiverError('DownloadFailed', 'x');

    expect(decide(error, 1, { retry: [], wait: [] }, () => 0.5)).toEqual({ action: 'return', afterMs: 0 });
  });
});

describe('the ladders', () => {
  it('spend all retries well within the time that an unlinked document lives', () => {
    const longest = backoffLadderMs.retry.reduce((sum, rung) => sum + 1.2 * rung, 0);

    expect(backoffLadderMs.retry).toHaveLength(receives.retry - 1);
    expect(longest).toBeLessThan(unlinkedLifetimeMs / 2);
  });

  it('let a message wait for days on end, but for less than its queue keeps it', () => {
    const ladder = backoffLadderMs.wait;
    const climb = ladder.reduce((sum, rung) => sum + 1.2 * rung, 0);
    const longest = climb + (receives.wait - 1 - ladder.length) * 1.2 * (ladder.at(-1) ?? 0);

    expect(longest).toBeGreaterThan(3 * 86_400_000);
    expect(longest).toBeLessThan(queues.retentionMs);
    expect(queues.deadLetterRetentionMs).toBeGreaterThan(queues.retentionMs);
  });
});

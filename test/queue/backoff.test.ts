import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ArchiverError, type ErrorCode, errorCodes, retryPolicies } from '../../functions/errors.ts';
import { queues, retryTimings, unlinkedLifetimeMs } from '../../functions/limits.ts';
import { type Decision, decide } from '../../functions/queue/backoff.ts';
import { propertyRuns } from '../fuzz-runs.ts';

const second = 1_000;
const minute = 60 * second;
const day = 24 * 60 * minute;
const now = Date.parse('2026-11-24T12:00:00Z');

interface Failure {
  /** Milliseconds since the first receive. */
  ageMs?: number;
  /** Milliseconds between the send and the first receive. */
  queuedMs?: number;
  live?: boolean;
  /** The random number in [0, 1). */
  random?: number;
  retryAfterMs?: number | undefined;
  conclusive?: boolean;
}

function decisionFor(code: ErrorCode, failure: Failure = {}): Decision {
  const { ageMs = 0, queuedMs = 0, live = true, random = 0.5, retryAfterMs, conclusive = false } = failure;
  const firstReceivedAt = now - ageMs;
  return decide(
    new ArchiverError(code, 'x', { retryAfterMs, conclusive }),
    { now, sentAt: firstReceivedAt - queuedMs, firstReceivedAt },
    live,
    retryTimings,
    () => random,
  );
}

function waitOf(code: ErrorCode, failure: Failure = {}): number {
  const decision = decisionFor(code, failure);
  return decision.action === 'return' ? decision.afterMs : expect.unreachable(decision.action);
}

const codesOf = (policy: string) => errorCodes.filter((code) => retryPolicies[code] === policy);
const anyFailure = fc.record({
  ageMs: fc.integer({ min: 0, max: 12 * day }),
  queuedMs: fc.integer({ min: 0, max: day }),
  live: fc.boolean(),
  random: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  retryAfterMs: fc.option(fc.nat({ max: day }), { nil: undefined }),
  conclusive: fc.boolean(),
});

describe('the decision after a failed receive', () => {
  it('acknowledges or dead-letters the message at once when no retry can help', () => {
    fc.assert(
      fc.property(anyFailure, (failure) => {
        for (const code of codesOf('acknowledge'))
          expect(decisionFor(code, failure).action).toBe('acknowledge');
        for (const code of codesOf('dead-letter'))
          expect(decisionFor(code, failure).action).toBe('dead-letter');
      }),
      { numRuns: propertyRuns(100) },
    );
  });

  it('returns a message with work left to the queue at once, however old it is', () => {
    fc.assert(
      fc.property(anyFailure, (failure) => {
        for (const code of codesOf('continue'))
          expect(decisionFor(code, failure)).toEqual({ action: 'return', afterMs: 0 });
      }),
      { numRuns: propertyRuns(100) },
    );
    expect(codesOf('continue')).not.toEqual([]);
  });

  it('dead-letters a message with an error of policy wait on day 9, neither earlier nor later', () => {
    fc.assert(
      fc.property(fc.constantFrom(...codesOf('wait')), anyFailure, (code, failure) => {
        const decision = decisionFor(code, failure);

        const sinceSent = failure.ageMs + failure.queuedMs;
        if (decision.action === 'return') {
          expect(sinceSent + decision.afterMs).toBeLessThanOrEqual(9 * day);
        } else {
          expect(decision).toEqual({ action: 'dead-letter' });
          expect(sinceSent + retryTimings.maxWaitMs).toBeGreaterThan(9 * day);
        }
      }),
      { numRuns: propertyRuns(2_000) },
    );
  });

  it('dead-letters a conclusive document fault from an age of ten minutes', () => {
    for (const code of codesOf('retry')) {
      expect(decisionFor(code, { ageMs: 10 * minute, conclusive: true }).action).toBe('dead-letter');
      expect(decisionFor(code, { ageMs: 10 * minute - 1, conclusive: true }).action).toBe('return');
      expect(decisionFor(code, { ageMs: day, conclusive: false }).action).toBe('return');
    }
  });

  it('returns the message to the queue if its next receive is at most nine days after it was sent', () => {
    const last = { ageMs: 0, queuedMs: 9 * day - 5 * second, live: false };

    expect(decisionFor('TelnyxUnavailable', last)).toEqual({ action: 'return', afterMs: 5 * second });
    expect(decisionFor('TelnyxUnavailable', { ...last, queuedMs: last.queuedMs + 1 })).toEqual({
      action: 'dead-letter',
    });
  });

  it('dead-letters a message one day before SQS deletes it, and keeps dead letters for longer', () => {
    expect(retryTimings.deadLetterAfterMs).toBe(9 * day);
    expect(queues.retentionMs).toBe(10 * day);
    expect(queues.deadLetterRetentionMs).toBeGreaterThan(queues.retentionMs);
  });
});

describe('the wait before the next receive', () => {
  it('equals the age of the message minus up to 20 % of jitter, and is at least five seconds', () => {
    expect(waitOf('TelnyxUnavailable', { ageMs: 0 })).toBe(5 * second);
    expect(waitOf('TelnyxUnavailable', { ageMs: 100 * second, random: 0 })).toBe(80 * second);
    expect(waitOf('TelnyxUnavailable', { ageMs: 100 * second, random: 0.999_999 })).toBeCloseTo(
      100 * second,
      -2,
    );
  });

  it('is at most 2 minutes in a live lane in the first 30 minutes, and at most 30 minutes otherwise', () => {
    const first30Minutes = { ageMs: 20 * minute, queuedMs: 9 * minute, random: 0.999_999 };
    const later = { ageMs: 20 * minute, queuedMs: 10 * minute, random: 0.999_999 };

    expect(waitOf('BucketUnavailable', first30Minutes)).toBeLessThanOrEqual(120 * second);
    expect(waitOf('BucketUnavailable', later)).toBeCloseTo(20 * minute, -3);
    expect(waitOf('BucketUnavailable', { ...first30Minutes, live: false })).toBeCloseTo(20 * minute, -3);
    expect(waitOf('BucketUnavailable', { ageMs: day, random: 0.999_999 })).toBeLessThanOrEqual(30 * minute);
    expect(20 * minute + 10 * minute).toBe(unlinkedLifetimeMs);
  });

  it('is at least the error’s retryAfterMs, but never more than the maximum', () => {
    expect(waitOf('RateLimited', { retryAfterMs: 90 * second })).toBe(90 * second);
    expect(waitOf('RateLimited', { retryAfterMs: 10 * minute })).toBe(120 * second);
    expect(waitOf('RateLimited', { retryAfterMs: 10 * minute, live: false })).toBe(10 * minute);
    expect(waitOf('RateLimited', { retryAfterMs: 2 * 60 * minute, live: false })).toBe(30 * minute);
  });

  it('allows at most 12 receives in an outage of 10 minutes, and the next one within 2 minutes after it', () => {
    let age = 0;
    let receives = 1;
    while (age < 10 * minute) {
      age += waitOf('TelnyxUnavailable', { ageMs: age, random: 1 });
      receives += 1;
    }

    expect(age).toBeLessThan(12 * minute);
    expect(receives).toBeLessThanOrEqual(12);
  });
});

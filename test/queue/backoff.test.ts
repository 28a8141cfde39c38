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

interface Facts {
  /** Milliseconds since the first receive. */
  ageMs?: number;
  /** Milliseconds between the send and the first receive. */
  queuedMs?: number;
  live?: boolean;
  dice?: number;
  retryAfterMs?: number | undefined;
  conclusive?: boolean;
}

function failed(code: ErrorCode, facts: Facts = {}): Decision {
  const { ageMs = 0, queuedMs = 0, live = true, dice = 0.5, retryAfterMs, conclusive = false } = facts;
  const firstReceivedAt = now - ageMs;
  return decide(
    new ArchiverError(code, 'x', { retryAfterMs, conclusive }),
    { now, sentAt: firstReceivedAt - queuedMs, firstReceivedAt },
    live,
    retryTimings,
    () => dice,
  );
}

function waitOf(code: ErrorCode, facts: Facts = {}): number {
  const decision = failed(code, facts);
  return decision.action === 'return' ? decision.afterMs : expect.unreachable(decision.action);
}

const codesOf = (policy: string) => errorCodes.filter((code) => retryPolicies[code] === policy);
const anyFacts = fc.record({
  ageMs: fc.integer({ min: 0, max: 12 * day }),
  queuedMs: fc.integer({ min: 0, max: day }),
  live: fc.boolean(),
  dice: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  retryAfterMs: fc.option(fc.nat({ max: day }), { nil: undefined }),
  conclusive: fc.boolean(),
});

describe('what becomes of a message whose receive failed', () => {
  it('acknowledges or dead-letters at once what no later receive can change', () => {
    fc.assert(
      fc.property(anyFacts, (facts) => {
        for (const code of codesOf('acknowledge')) expect(failed(code, facts).action).toBe('acknowledge');
        for (const code of codesOf('dead-letter')) expect(failed(code, facts).action).toBe('dead-letter');
      }),
      { numRuns: propertyRuns(100) },
    );
  });

  it('never gives up for somebody else’s fault before day 9, and never later than day 9', () => {
    fc.assert(
      fc.property(fc.constantFrom(...codesOf('wait')), anyFacts, (code, facts) => {
        const decision = failed(code, facts);

        const sinceSent = facts.ageMs + facts.queuedMs;
        if (decision.action === 'return') {
          expect(sinceSent + decision.afterMs).toBeLessThanOrEqual(9 * day);
        } else {
          expect(decision).toEqual({ action: 'dead-letter' });
          expect(sinceSent + retryTimings.longestWaitMs).toBeGreaterThan(9 * day);
        }
      }),
      { numRuns: propertyRuns(2_000) },
    );
  });

  it('gives up the document’s own fault from ten minutes on, and only if it is conclusive', () => {
    for (const code of codesOf('retry')) {
      expect(failed(code, { ageMs: 10 * minute, conclusive: true }).action).toBe('dead-letter');
      expect(failed(code, { ageMs: 10 * minute - 1, conclusive: true }).action).toBe('return');
      expect(failed(code, { ageMs: day, conclusive: false }).action).toBe('return');
    }
  });

  it('lets a message come back on day 9 to the millisecond, and no later', () => {
    const last = { ageMs: 0, queuedMs: 9 * day - 5 * second, live: false };

    expect(failed('TelnyxUnavailable', last)).toEqual({ action: 'return', afterMs: 5 * second });
    expect(failed('TelnyxUnavailable', { ...last, queuedMs: last.queuedMs + 1 })).toEqual({
      action: 'dead-letter',
    });
  });

  it('leaves time to look at a dead letter before SQS deletes messages on day 10', () => {
    expect(retryTimings.giveUpAfterMs).toBe(9 * day);
    expect(queues.retentionMs).toBe(10 * day);
    expect(queues.deadLetterRetentionMs).toBeGreaterThan(queues.retentionMs);
  });
});

describe('the wait before the next receive', () => {
  it('is the age of the message, at least five seconds, up to a fifth shorter', () => {
    expect(waitOf('TelnyxUnavailable', { ageMs: 0 })).toBe(5 * second);
    expect(waitOf('TelnyxUnavailable', { ageMs: 100 * second, dice: 0 })).toBe(80 * second);
    expect(waitOf('TelnyxUnavailable', { ageMs: 100 * second, dice: 0.999_999 })).toBeCloseTo(
      100 * second,
      -2,
    );
  });

  it('is at most two minutes in a live lane while the document may be unlinked, then at most half an hour', () => {
    const within = { ageMs: 20 * minute, queuedMs: 9 * minute, dice: 0.999_999 };
    const after = { ageMs: 20 * minute, queuedMs: 10 * minute, dice: 0.999_999 };

    expect(waitOf('BucketUnavailable', within)).toBeLessThanOrEqual(120 * second);
    expect(waitOf('BucketUnavailable', after)).toBeCloseTo(20 * minute, -3);
    expect(waitOf('BucketUnavailable', { ...within, live: false })).toBeCloseTo(20 * minute, -3);
    expect(waitOf('BucketUnavailable', { ageMs: day, dice: 0.999_999 })).toBeLessThanOrEqual(30 * minute);
    expect(20 * minute + 10 * minute).toBe(unlinkedLifetimeMs);
  });

  it('is no shorter than the other side states, but never over the cap', () => {
    expect(waitOf('RateLimited', { retryAfterMs: 90 * second })).toBe(90 * second);
    expect(waitOf('RateLimited', { retryAfterMs: 10 * minute })).toBe(120 * second);
    expect(waitOf('RateLimited', { retryAfterMs: 10 * minute, live: false })).toBe(10 * minute);
    expect(waitOf('RateLimited', { retryAfterMs: 2 * 60 * minute, live: false })).toBe(30 * minute);
  });

  it('lets a document of ten minutes’ outage have its next receive within two minutes, and a dozen receives in all', () => {
    let age = 0;
    let receives = 1;
    while (age < 10 * minute) {
      age += waitOf('TelnyxUnavailable', { ageMs: age, dice: 1 });
      receives += 1;
    }

    expect(age).toBeLessThan(12 * minute);
    expect(receives).toBeLessThanOrEqual(12);
  });
});

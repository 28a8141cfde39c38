import { type RetryTimings, retryTimings } from '../functions/limits.ts';

/** For tests on the real clock: failed messages return at once, and a document's own fault is conclusive within a second. */
export const quickTimings: RetryTimings = {
  ...retryTimings,
  minWaitMs: 50,
  maxLiveWaitMs: 50,
  maxWaitMs: 50,
  documentFaultAfterMs: 300,
  attemptsSpanMs: 100,
};

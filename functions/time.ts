/**
 * Clocks and timers. All code that waits, measures or writes timestamps takes a `Time`, so that a test or a simulation
 * can run hours in a moment and interrupt the code between any two steps.
 */
export interface Time {
  /** Wall clock, milliseconds since the Unix epoch. For timestamps, never for durations. */
  now(): number;
  /** Monotonic milliseconds, unaffected by clock changes. For durations and deadlines. */
  monotonic(): number;
  /** Calls `callback` once after `ms` milliseconds, never earlier. Returns a function that cancels the timer. */
  after(ms: number, callback: () => void): () => void;
}

/** Returns a number in [0, 1), as `Math.random` does. */
export type Random = () => number;

/** The clocks and timers of the machine. */
export const systemTime: Time = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after: (ms, callback) => {
    // Node truncates `ms` to a whole number, and its clock of whole milliseconds may lag by one.
    const timer = setTimeout(callback, Math.ceil(ms) + 2);
    return () => clearTimeout(timer);
  },
};

/** Resolves after `ms` milliseconds. Rejects with the signal's reason as soon as `signal` aborts. Leaves no timer behind. */
export function sleep(time: Time, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    const onAbort = () => {
      cancel();
      // Stryker disable next-line OptionalChaining: called only by a signal; required by the type.
      reject(signal?.reason);
    };
    const cancel = time.after(ms, () => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    });
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}

/**
 * Runs `work` with a signal that aborts after `ms` milliseconds or together with `parent`, whichever is first. Clears the
 * timer when the work has ended.
 *
 * @param onExpiry creates the signal's reason when the time is up
 */
export async function withDeadline<Result>(
  time: Time,
  ms: number,
  parent: AbortSignal,
  onExpiry: () => Error,
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const deadline = new AbortController();
  const cancel = time.after(ms, () => deadline.abort(onExpiry()));
  const onParentAbort = () => deadline.abort(parent.reason);
  if (parent.aborted) onParentAbort();
  else parent.addEventListener('abort', onParentAbort);
  try {
    return await work(deadline.signal);
  } finally {
    cancel();
    parent.removeEventListener('abort', onParentAbort);
  }
}

/**
 * Resolves after one iteration of the event loop. After a freeze, a container's keep-alive sockets may be dead without
 * Node having noticed. One iteration lets it notice, before a streaming PUT would fail on one.
 */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

/**
 * Whether a text is an ISO 8601 date-time with a time zone that `Date.parse` reads as the date written: not `2026-02-30`,
 * not an offset of `+01`, and none of the many other formats that `Date.parse` accepts.
 */
export function isInstant(text: string): boolean {
  // No test can see the `$`: V8's `Date.parse` accepts nothing behind the time zone either.
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)$/.test(text)) return false;
  const midnight = new Date(`${text.slice(0, 10)}T00:00:00Z`);
  return Number.isFinite(Date.parse(text)) && midnight.toISOString().startsWith(text.slice(0, 10));
}

/**
 * Time as the code sees it. Everything that waits, measures or stamps takes a `Time`, so that a test or a
 * simulation can run hours in a moment and stop the world between any two steps.
 */
export interface Time {
  /** Wall clock, milliseconds since the Unix epoch. For stamps, never for measuring. */
  now(): number;
  /** Milliseconds that only ever grow, unmoved by clock changes. For durations and deadlines. */
  monotonic(): number;
  /** Calls `callback` once after `ms` milliseconds, never earlier. Returns how to cancel it. */
  after(ms: number, callback: () => void): () => void;
}

/** A number in [0, 1), as `Math.random` gives it. */
export type Random = () => number;

/** The machine's own clocks and timers. */
export const systemTime: Time = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after: (ms, callback) => {
    // Node cuts `ms` to a whole number, and counts from a clock of whole milliseconds that may lag by one.
    const timer = setTimeout(callback, Math.ceil(ms) + 2);
    return () => clearTimeout(timer);
  },
};

/** Resolves after `ms`; rejects with the signal's reason as soon as `signal` aborts. Leaves no timer behind. */
export function sleep(time: Time, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    const onAbort = () => {
      cancel();
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
 * Runs `work` with a signal that aborts after `ms` or with `parent`, whichever comes first, and clears the
 * timer as soon as the work settles.
 *
 * @param onExpiry builds the reason that the signal carries when the time is up
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
  else parent.addEventListener('abort', onParentAbort, { once: true });
  try {
    return await work(deadline.signal);
  } finally {
    cancel();
    parent.removeEventListener('abort', onParentAbort);
  }
}

/**
 * Lets the event loop turn once. After a freeze, a container's kept-alive sockets may be dead without Node having
 * noticed; one turn lets it notice, before a streaming PUT would be lost to one.
 */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

/**
 * Whether a text is an ISO 8601 date-time with a time zone that `Date.parse` reads as the very date it names: not
 * `2026-02-30`, not an offset of `+01`, and not one of the many other things that `Date.parse` takes for a date.
 */
export function isInstant(text: string): boolean {
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)$/.test(text)) return false;
  const midnight = new Date(`${text.slice(0, 10)}T00:00:00Z`);
  return (
    Number.isFinite(Date.parse(text)) &&
    Number.isFinite(midnight.getTime()) &&
    midnight.toISOString().startsWith(text.slice(0, 10))
  );
}

/** One-shot timer; implemented by `Time` in functions/time.ts. */
export interface Timer {
  /** Calls `callback` once after `ms` milliseconds. Returns a function that cancels it. */
  after(ms: number, callback: () => void): () => void;
}

/** Calls `callback` every `ms` milliseconds. Returns a function that stops it. */
export function every(timer: Timer, ms: number, callback: () => void): () => void {
  const tick = () => {
    callback();
    cancel = timer.after(ms, tick);
  };
  let cancel = timer.after(ms, tick);
  return () => cancel();
}

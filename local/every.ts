import type { Time } from '../functions/time.ts';

/** Calls back every `ms` milliseconds until told to stop. */
export function every(time: Time, ms: number, callback: () => void): () => void {
  const tick = () => {
    callback();
    cancel = time.after(ms, tick);
  };
  let cancel = time.after(ms, tick);
  return () => cancel();
}

import { syncBuiltinESMExports } from 'node:module';
import timers from 'node:timers';
import type { VirtualClock } from '../fakes/clock.ts';

/**
 * Replaces Node's timers with the virtual clock, for libraries that use them directly (middy's early timeout).
 *
 * @returns restores the timers
 */
export function replaceTimers(clock: VirtualClock): () => void {
  const cancels = new WeakMap<object, () => void>();
  const later = (ms: number, callback: () => void) => {
    const handle = { unref: () => handle, ref: () => handle };
    cancels.set(handle, clock.after(ms, callback));
    return handle;
  };
  const cancel = (handle: unknown) => {
    if (typeof handle === 'object' && handle !== null) cancels.get(handle)?.();
  };
  const replacements = {
    setTimeout: (callback: () => void, ms = 0) => later(ms, callback),
    clearTimeout: cancel,
    setImmediate: (callback: () => void) => later(0, callback),
    clearImmediate: cancel,
  };
  const names = Object.keys(replacements) as (keyof typeof replacements)[];
  const globals = new Map(names.map((name) => [name, globalThis[name]]));
  const builtins = new Map(names.map((name) => [name, timers[name]]));
  Object.assign(globalThis, replacements);
  Object.assign(timers, replacements);
  syncBuiltinESMExports();
  return () => {
    Object.assign(globalThis, Object.fromEntries(globals));
    Object.assign(timers, Object.fromEntries(builtins));
    syncBuiltinESMExports();
  };
}

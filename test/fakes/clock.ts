/** Virtual time: nothing but waiting takes time, and whatever is due next is next. */
import { syncBuiltinESMExports } from 'node:module';
import timers from 'node:timers';
import type { Time } from '../../functions/time.ts';

interface Due {
  at: number;
  /** Settles the order of what is due at the same instant: first asked for, first called. */
  order: number;
  callback: (() => void) | undefined;
}

const turn = timers.setImmediate;

export class VirtualClock implements Time {
  readonly #start: number;
  readonly #heap: Due[] = [];
  #elapsed = 0;
  #order = 0;

  /** @param start milliseconds since the Unix epoch */
  constructor(start: number) {
    this.#start = start;
  }

  now(): number {
    return this.#start + this.#elapsed;
  }

  monotonic(): number {
    return this.#elapsed;
  }

  after(ms: number, callback: () => void): () => void {
    const due: Due = { at: this.#elapsed + Math.max(0, ms), order: this.#order, callback };
    this.#order += 1;
    push(this.#heap, due);
    return () => {
      due.callback = undefined;
    };
  }

  /** At so many milliseconds since the Unix epoch, or now if that is over. */
  at(instant: number, callback: () => void): () => void {
    return this.after(instant - this.now(), callback);
  }

  /**
   * Calls what is due, one by one, and lets everything settle that follows from it: all promises and streams have
   * come to rest when the next is called.
   *
   * @param until milliseconds since the Unix epoch, or when `stopped` says so
   */
  async run(until: number, stopped: () => boolean): Promise<void> {
    const end = until - this.#start;
    for (;;) {
      const next = this.#heap[0];
      if (next === undefined || next.at > end || stopped()) break;
      pop(this.#heap);
      if (next.callback === undefined) continue;
      this.#elapsed = next.at;
      next.callback();
      // Node empties the queues of promises and of nextTick before the loop turns. No real time is waited for.
      await new Promise<void>((resolve) => {
        turn(resolve);
      });
    }
    if (!stopped()) this.#elapsed = Math.max(this.#elapsed, end);
  }
}

/**
 * Puts the clock in place of Node's timers, for libraries that know no other (middy's early timeout).
 *
 * @returns how to give them back
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

function isBefore(a: Due, b: Due): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

/** Into a binary heap. */
function push(heap: Due[], due: Due): void {
  let at = heap.length;
  while (at > 0) {
    const above = (at - 1) >> 1;
    const parent = heap[above];
    if (parent === undefined || !isBefore(due, parent)) break;
    heap[at] = parent;
    at = above;
  }
  heap[at] = due;
}

/** Takes the first out of a binary heap. */
function pop(heap: Due[]): void {
  const last = heap.pop();
  if (last === undefined || heap.length === 0) return;
  let at = 0;
  for (;;) {
    let below = 2 * at + 1;
    let child = heap[below];
    const other = heap[below + 1];
    if (child !== undefined && other !== undefined && isBefore(other, child)) {
      below += 1;
      child = other;
    }
    if (child === undefined || !isBefore(child, last)) break;
    heap[at] = child;
    at = below;
  }
  heap[at] = last;
}

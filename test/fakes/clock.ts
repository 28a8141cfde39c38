/** Virtual time: only timers advance the clock, and it jumps to the next due timer. */
import timers from 'node:timers';
import type { Time } from '../../functions/time.ts';

interface Due {
  at: number;
  /** Orders callbacks that are due at the same time: first registered, first called. */
  order: number;
  callback: (() => void) | undefined;
}

/** Node's own `setImmediate`, even if a test replaces it later. */
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

  /** @param instant milliseconds since the Unix epoch; if it is in the past, `callback` is due now */
  at(instant: number, callback: () => void): () => void {
    return this.after(instant - this.now(), callback);
  }

  /**
   * Calls the due callbacks one by one. Before the next one, waits for all promises and streams that the previous one
   * has set in motion.
   *
   * @param until milliseconds since the Unix epoch
   * @param stopped ends the run early when it returns true
   */
  async run(until: number, stopped: () => boolean): Promise<void> {
    const end = until - this.#start;
    for (;;) {
      const next = this.#heap[0];
      if (next === undefined || next.at > end || stopped()) break;
      if (!this.#callNext()) continue;
      // Node drains its promise and nextTick queues before the next turn of the event loop. This waits no real time.
      await new Promise<void>((resolve) => {
        turn(resolve);
      });
    }
    if (!stopped()) this.#elapsed = Math.max(this.#elapsed, end);
  }

  /** Calls the next due callback without waiting for its effects. @returns whether more callbacks are due later */
  step(): boolean {
    while (this.#heap.length > 0 && !this.#callNext());
    return this.#heap.length > 0;
  }

  /** @returns false if the callback was cancelled, in which case the clock does not advance */
  #callNext(): boolean {
    const next = pop(this.#heap);
    if (next?.callback === undefined) return false;
    this.#elapsed = next.at;
    next.callback();
    return true;
  }
}

export interface VirtualTime extends Time {
  /** Sets the wall clock. @param instant milliseconds since the Unix epoch */
  set(instant: number): void;
}

/** A virtual clock that runs by itself: whenever all work waits, it jumps to the next due timer. */
export function virtualTime(startedAt: number): VirtualTime {
  const clock = new VirtualClock(startedAt);
  let running = false;
  let shift = 0;
  const run = () => {
    running = clock.step();
    if (running) turn(run);
  };
  return {
    now: () => clock.now() + shift,
    set: (instant) => {
      shift = instant - clock.now();
    },
    monotonic: () => clock.monotonic(),
    after: (ms, callback) => {
      const cancel = clock.after(ms, callback);
      if (!running) turn(run);
      running = true;
      return cancel;
    },
  };
}

function isBefore(a: Due, b: Due): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

/** Inserts into a binary heap. */
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

/** Removes the first item from a binary heap. */
function pop(heap: Due[]): Due | undefined {
  const first = heap[0];
  const last = heap.pop();
  if (last === undefined || heap.length === 0) return first;
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
  return first;
}

/** Runs processes at the same time, one step at a time, in an order that the test chooses. */
import { setImmediate as nextTurn } from 'node:timers/promises';

/** Resolves when it is this process's turn. */
export type Pause = () => Promise<void>;

/** Picks one of so many possibilities, from 0 on. */
export type Choose = (possibilities: number) => number;

export interface Turns {
  /** Starts a process, which calls `pause` before each step whose order matters. */
  start<Result>(work: (pause: Pause) => Promise<Result>): Promise<Result>;
  /** Runs all processes to their ends. */
  run(choose: Choose): Promise<void>;
}

export function createTurns(): Turns {
  /** What each process waits for; it may have several steps at the same time. */
  const waiting = new Map<object, (() => void)[]>();
  const running = new Set<object>();
  return {
    start: (work) => {
      const process = {};
      running.add(process);
      const pause = () =>
        new Promise<void>((resolve) => {
          // What a process has left behind at its end never continues.
          if (running.has(process)) waiting.set(process, [...(waiting.get(process) ?? []), resolve]);
        });
      return work(pause).finally(() => {
        running.delete(process);
        waiting.delete(process);
      });
    },
    run: async (choose) => {
      while (running.size > 0) {
        if (waiting.size === running.size) {
          const processes = [...running];
          const next = processes[choose(processes.length)] ?? {};
          const [go, ...later] = waiting.get(next) ?? [];
          if (later.length > 0) waiting.set(next, later);
          else waiting.delete(next);
          go?.();
        }
        await nextTurn();
      }
    },
  };
}

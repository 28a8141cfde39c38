/** Signals that ask a program to end: Ctrl-C, `kill`, and the terminal's end. */

export interface InterruptSource {
  on(signal: NodeJS.Signals, listener: () => void): unknown;
}

/** `npm run` gets Ctrl-C from the terminal as the program does, and sends the program a second SIGINT for it. */
const sameInterruptMs = 300;

/**
 * Calls `listener` for each interrupt with its number, from 1. A signal shortly after another one belongs to the same
 * interrupt. The listeners are never removed: without one, a signal kills the process.
 *
 * @param monotonic milliseconds
 */
export function onInterrupts(
  source: InterruptSource,
  monotonic: () => number,
  listener: (interrupt: number) => void,
): void {
  let interrupts = 0;
  let lastAt = Number.NEGATIVE_INFINITY;
  const onSignal = () => {
    const now = monotonic();
    if (now - lastAt < sameInterruptMs) return;

    lastAt = now;
    interrupts += 1;
    listener(interrupts);
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) source.on(signal, onSignal);
}

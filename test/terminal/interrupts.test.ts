import { EventEmitter } from 'node:events';
import { expect, it } from 'vitest';
import { onInterrupts } from '../../terminal/interrupts.ts';

function createWorld() {
  const source = new EventEmitter();
  const clock = { ms: 0 };
  const interrupts: number[] = [];
  /** Signals without a listener at the time of a call: these would kill the process. */
  const unheard: string[] = [];
  onInterrupts(
    source,
    () => clock.ms,
    (interrupt) => {
      interrupts.push(interrupt);
      for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
        if (source.listenerCount(signal) === 0) unheard.push(signal);
      }
    },
  );
  return { source, clock, interrupts, unheard };
}

it('counts the SIGINT that npm sends in addition to that of the terminal as the same interrupt', () => {
  const { source, clock, interrupts } = createWorld();

  source.emit('SIGINT');
  clock.ms = 40;
  source.emit('SIGINT');

  expect(interrupts).toEqual([1]);
});

it('numbers interrupts across the three signals', () => {
  const { source, clock, interrupts } = createWorld();

  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGINT']) {
    source.emit(signal);
    clock.ms += 1_000;
  }

  expect(interrupts).toEqual([1, 2, 3, 4]);
});

it('listens to each signal while an interrupt is handled, so that the next signal does not kill the process', () => {
  const { source, interrupts, unheard } = createWorld();

  source.emit('SIGINT');

  expect(interrupts).toEqual([1]);
  expect(unheard).toEqual([]);
});

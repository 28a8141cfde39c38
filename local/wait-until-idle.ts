import { sleep, type Time } from '../functions/time.ts';

const pollMs = 200;

/** Resolves when the lanes were empty in two consecutive polls: no message visible, in flight or delayed. */
export async function waitUntilIdle(stack: { messageCount(): Promise<number> }, time: Time): Promise<void> {
  for (let emptyPolls = 0; emptyPolls < 2; ) {
    await sleep(time, pollMs);
    emptyPolls = (await stack.messageCount()) === 0 ? emptyPolls + 1 : 0;
  }
}

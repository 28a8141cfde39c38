import { sleep, type Time } from '../functions/time.ts';

const lookEveryMs = 200;

/** Resolves when the lanes have been empty twice running: nothing visible, in flight or waiting. */
export async function whenQuiet(stack: { depth(): Promise<number> }, time: Time): Promise<void> {
  for (let quiet = 0; quiet < 2; ) {
    await sleep(time, lookEveryMs);
    quiet = (await stack.depth()) === 0 ? quiet + 1 : 0;
  }
}

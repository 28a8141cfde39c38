import { expect, it } from 'vitest';
import { readDeadLetters, withDeadLetterLock } from '../../../cli/dead-letters/lock.ts';
import { startWorld } from '../queues-world.ts';

const signal = new AbortController().signal;
const letters = (count: number) =>
  Array.from({ length: count }, (_, n) => `5a3b1e00-0000-4000-8000-${String(n).padStart(12, '0')}`);

it('withDeadLetterLock releases all letters when the work fails, and throws its error', async () => {
  const { run, addDeadLetter, visibleDeadLetters } = await startWorld();
  for (const id of letters(12)) await addDeadLetter(id);
  let visibleMeanwhile: number | undefined;

  const failing = run(async ({ target }) =>
    withDeadLetterLock(await target.queues(), { signal, lanes: ['documents'] }, async (lock) => {
      await lock.acquire();
      visibleMeanwhile = await visibleDeadLetters('documents');
      throw new Error('The work failed.');
    }),
  );

  await expect(failing).rejects.toThrow('The work failed.');
  expect(visibleMeanwhile).toBe(0);
  expect(await visibleDeadLetters('documents')).toBe(12);
});

it('withDeadLetterLock says how many letters SQS did not release, and for how long', async () => {
  const { run, addDeadLetter, proxySqs, visibleDeadLetters } = await startWorld();
  for (const id of letters(3)) await addDeadLetter(id);
  await proxySqs({ operation: 'ChangeMessageVisibilityBatch', refuses: (position) => position === 1 });

  const reading = run(async ({ target }) => {
    await readDeadLetters(await target.queues(), { signal, lanes: ['documents'] });
    return 0;
  });

  await expect(reading).rejects.toThrow('SQS did not release 1 dead letter: visible again in 30 s.');
  expect(await visibleDeadLetters('documents')).toBe(2);
});

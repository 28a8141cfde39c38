import { expect, it } from 'vitest';
import { failuresByCode } from '../../../cli/report/failures.ts';
import { startWorld } from '../queues-world.ts';

const document = '5a3b1e00-0000-4000-8000-000000000001';

it('failuresByCode counts documents instead of dead letters, and leaves the dead letters visible', async () => {
  const { run, addDeadLetter, visibleDeadLetters } = await startWorld();
  for (let n = 0; n < 3; n += 1) await addDeadLetter(document, { code: 'DocumentInfected' });
  await addDeadLetter('', { lane: 'spans', body: '{"v":1,"kind":"span"}', code: undefined });
  let failures: Awaited<ReturnType<typeof failuresByCode>>;

  await run(async (context) => {
    failures = await failuresByCode(context);
    return 0;
  });

  expect(failures).toEqual(
    expect.arrayContaining([
      { code: 'DocumentInfected', count: 1 },
      { code: 'no code', count: 1 },
    ]),
  );
  expect(await visibleDeadLetters('documents')).toBe(3);
});

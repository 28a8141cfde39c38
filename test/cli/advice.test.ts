import { expect, it } from 'vitest';
import { adviceFor } from '../../cli/dead-letters/advice.ts';
import { errorCodes } from '../../functions/errors.ts';

it.each(errorCodes)('The runbook advises what to do about %s', async (code) => {
  expect((await adviceFor(code))?.length).toBeGreaterThan(10);
});

it('There is no advice on what is no code', async () => {
  expect(await adviceFor('Nonsense')).toBeUndefined();
});

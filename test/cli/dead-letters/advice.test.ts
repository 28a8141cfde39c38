import { expect, it } from 'vitest';
import { adviceFor } from '../../../cli/dead-letters/advice.ts';
import { errorCodes } from '../../../functions/errors.ts';

it.each(errorCodes)('returns the advice of the runbook for %s', async (code) => {
  expect((await adviceFor(code))?.length).toBeGreaterThan(10);
});

it('returns no advice for an unknown code', async () => {
  expect(await adviceFor('Nonsense')).toBeUndefined();
});

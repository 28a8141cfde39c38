import { expect, it } from 'vitest';
import { adviceFor } from '../../../cli/dead-letters/advice.ts';
import { errorCodes } from '../../../functions/errors.ts';

it.each(errorCodes)('returns the advice of the runbook for %s', async (code) => {
  expect((await adviceFor(code, { options: [] }))?.length).toBeGreaterThan(10);
});

it('returns no advice for an unknown code', async () => {
  expect(await adviceFor('Nonsense', { options: [] })).toBeUndefined();
});

it('returns commands that work on the same archiver', async () => {
  expect(await adviceFor('DocumentGone', { options: ['--local', 'a b'] })).toContain(
    '`npm run archiver -- redrive --acknowledge <document-id> --note "<why>" --local \'a b\'`',
  );
});

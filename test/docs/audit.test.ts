import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { findingCodes, findingKinds } from '../../functions/audit/findings.ts';

test('docs/audit.md explains every code that an audit can find, with its mark', async () => {
  const page = await readFile(new URL('../../docs/audit.md', import.meta.url), 'utf8');
  const rows = [...page.matchAll(/^\| `(.)` \| `([\w-]+)` \|/gm)].map(([, mark, code]) => ({ code, mark }));

  expect(rows).toEqual(findingCodes.map((code) => ({ code, mark: findingKinds[code].mark })));
});

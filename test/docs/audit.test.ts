import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { codes, kinds } from '../../functions/audit/findings.ts';

test('docs/audit.md explains every code that an audit can find, with its mark', async () => {
  const page = await readFile(new URL('../../docs/audit.md', import.meta.url), 'utf8');
  const rows = [...page.matchAll(/^\| `(.)` \| `([\w-]+)` \|/gm)].map(([, mark, code]) => ({ code, mark }));

  expect(rows).toEqual(codes.map((code) => ({ code, mark: kinds[code].mark })));
});

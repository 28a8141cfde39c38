import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { type FindOptions, find } from '../../../cli/commands/find.ts';
import { newFolder, startArchive } from '../world.ts';

it('finds the documents of a folder, and keeps the catalogue beside it', async () => {
  const world = await startArchive({ 'letter.pdf': 'the letter', 'Größe.txt': 'another', 'c.txt': 'c' });
  await world.archiveAll();
  await world.stop();
  const search = (words: string[], options: FindOptions = {}) =>
    world.run(async (context) =>
      find(words, options, { ...context, catalogue: await context.target.catalogue() }),
    );
  const file = join(await newFolder(), 'copy');
  await writeFile(file, 'the letter');

  const built = await search(['gRÖßE']);
  const stored = await search(['letter']);
  const same = await search([], { digestOf: file, fresh: true });
  const none = await search(['nowhere'], { fresh: true });

  expect(built).toMatchObject({ exitCode: 0, noted: expect.stringContaining('There is no catalogue yet.') });
  expect(built.records.at(-1)).toMatchObject({ found: 1, exact: true });
  expect(stored.records).toMatchObject([
    { fileName: 'letter.pdf' },
    { exact: false, missing: 0, corrupt: 0 },
  ]);
  expect(same.records).toMatchObject([{ fileName: 'letter.pdf' }, { exact: true }]);
  expect(none).toMatchObject({ exitCode: 1, records: [{ found: 0, exact: true }] });
  expect((await stat(`${world.archive}.catalogue`)).isDirectory()).toBe(true);
});

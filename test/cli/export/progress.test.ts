import { join } from 'node:path';
import { expect, it } from 'vitest';
import { exportDocuments } from '../../../cli/commands/export.ts';
import type { ProgressState } from '../../../terminal/progress.ts';
import { newFolder, startArchive } from '../world.ts';

it('the progress of an export states how many documents there are, without those outside the period', async () => {
  const { run, archiveAll } = await startArchive({ 'a.txt': 'a', 'b.txt': 'b', 'c.txt': 'c' });
  await archiveAll();
  const folder = join(await newFolder(), 'export');
  const ends: ProgressState[] = [];
  const runExport = (period: { since?: string; until?: string }) =>
    run((context) => {
      const progress: typeof context.terminal.progress = (describe) => ({
        stop: () => void ends.push(describe()),
      });
      return exportDocuments(
        { folder, ...period },
        { ...context, terminal: { ...context.terminal, progress } },
      );
    });

  await runExport({ until: '2w' });
  await runExport({ since: '2w' });

  expect(ends).toMatchObject([
    { ended: 0, total: 0 },
    { ended: 3, total: 3 },
  ]);
});

/** The archiver with so small parts that an archive of some dozens of documents has many, which often end early. */
import { applyBug } from './apply-bug.ts';
import { type Archiver, loadArchiver } from './archiver.ts';
import type { SeededBug } from './seeded-bugs.ts';

const smallParts: SeededBug['edits'] = [
  { file: 'limits.ts', fragment: ' partDocuments: 25_000,', replacement: ' partDocuments: 12,' },
  { file: 'limits.ts', fragment: 'maxPartDocuments: 50_000,', replacement: 'maxPartDocuments: 7,' },
];

/** Runs `use` on the functions of this checkout, with a bug if there is one. */
export async function withSmallParts<Result>(
  bug: SeededBug | undefined,
  use: (archiver: Archiver) => Promise<Result>,
): Promise<Result> {
  const edits = [...smallParts, ...(bug?.edits ?? [])];
  const patched = await applyBug({ name: bug?.name ?? 'small parts', edits });
  try {
    return await use(await loadArchiver(patched.folder));
  } finally {
    await patched.remove();
  }
}

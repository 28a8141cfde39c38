/** A copy of `functions/` with a bug. */
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { functionsFolder } from './archiver.ts';
import type { SeededBug } from './seeded-bugs.ts';

export interface PatchedFunctions {
  /** Ends in a slash. */
  folder: URL;
  remove(): Promise<void>;
}

/** @throws Error if a fragment does not occur exactly once in its file */
export async function applyBug({ name, edits }: SeededBug): Promise<PatchedFunctions> {
  const folder = await mkdtemp(join(tmpdir(), 'seeded-bug-'));
  const copy = join(folder, 'functions');
  const remove = () => rm(folder, { recursive: true, force: true });
  try {
    await cp(fileURLToPath(functionsFolder), copy, { recursive: true });
    await symlink(fileURLToPath(new URL('../node_modules', functionsFolder)), join(folder, 'node_modules'));
    await writeFile(join(folder, 'package.json'), '{"type":"module"}');
    for (const { file, fragment, replacement } of edits) {
      const parts = (await readFile(join(copy, file), 'utf8')).split(fragment);
      if (parts.length !== 2) {
        throw new Error(
          `"${name}": the fragment must occur once in functions/${file}, but occurs ${parts.length - 1} times.`,
        );
      }
      await writeFile(join(copy, file), parts.join(replacement));
    }
    return { folder: pathToFileURL(`${copy}/`), remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

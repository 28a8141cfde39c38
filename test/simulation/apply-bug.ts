/** A copy of `functions/`, and of the commands that use it, with a bug. */
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
  const remove = () => rm(folder, { recursive: true, force: true });
  try {
    for (const name of ['functions', 'cli', 'terminal']) {
      await cp(fileURLToPath(new URL(`../${name}`, functionsFolder)), join(folder, name), {
        recursive: true,
      });
    }
    await symlink(fileURLToPath(new URL('../node_modules', functionsFolder)), join(folder, 'node_modules'));
    await writeFile(join(folder, 'package.json'), '{"type":"module"}');
    for (const { file, fragment, replacement } of edits) {
      const path = file.startsWith('cli/') ? file : `functions/${file}`;
      const parts = (await readFile(join(folder, path), 'utf8')).split(fragment);
      if (parts.length !== 2) {
        throw new Error(
          `"${name}": the fragment must occur once in ${path}, but occurs ${parts.length - 1} times.`,
        );
      }
      await writeFile(join(folder, path), parts.join(replacement));
    }
    return { folder: pathToFileURL(join(folder, 'functions/')), remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

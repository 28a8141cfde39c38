/** A copy of `functions/`, and of the commands that erase and hold, with a bug. */
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

const root = fileURLToPath(new URL('..', functionsFolder));
const copied = ['functions', 'cli/erasure', 'cli/document-name.ts'];

/** @throws the errors of `patchedFiles` */
export async function applyBug(bug: SeededBug): Promise<PatchedFunctions> {
  const patched = await patchedFiles(bug);
  const folder = await mkdtemp(join(tmpdir(), 'seeded-bug-'));
  const remove = () => rm(folder, { recursive: true, force: true });
  try {
    for (const path of copied) await cp(join(root, path), join(folder, path), { recursive: true });
    await symlink(join(root, 'node_modules'), join(folder, 'node_modules'));
    await writeFile(join(folder, 'package.json'), '{"type":"module"}');
    for (const [path, text] of patched) await writeFile(join(folder, path), text);
    return { folder: pathToFileURL(join(folder, 'functions/')), remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

/**
 * The files that a bug changes, by path.
 *
 * @throws Error if a fragment does not occur exactly once in its file
 */
export async function patchedFiles({ name, edits }: SeededBug): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  for (const { file, fragment, replacement } of edits) {
    const path = file.startsWith('cli/') ? file : `functions/${file}`;
    const parts = (files.get(path) ?? (await readFile(join(root, path), 'utf8'))).split(fragment);
    if (parts.length !== 2) {
      throw new Error(
        `"${name}": the fragment must occur once in ${path}, but occurs ${parts.length - 1} times.`,
      );
    }
    files.set(path, parts.join(replacement));
  }
  return files;
}

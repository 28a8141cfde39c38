import { realpath, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { hasSystemCode } from '../../functions/errors.ts';

/**
 * Whether `path` is the folder or below it. Compares files instead of names, so that symbolic links, mounts and upper
 * case make no difference.
 *
 * @param path absolute; need not exist
 */
export async function isInside(path: string, folder: string): Promise<boolean> {
  const target = await statOrNothing(folder);
  if (target === undefined) return false;
  for (let at = await existingPart(path); ; at = dirname(at)) {
    const { dev, ino } = await stat(at, { bigint: true });
    if (dev === target.dev && ino === target.ino) return true;
    if (at === dirname(at)) return false;
  }
}

/** The deepest folder of the path that exists, without symbolic links. */
async function existingPart(path: string): Promise<string> {
  for (let at = path; ; at = dirname(at)) {
    try {
      return await realpath(at);
    } catch (error) {
      if (!hasSystemCode(error, 'ENOENT', 'ENOTDIR') || at === dirname(at)) throw error;
    }
  }
}

/** @returns undefined if nothing exists at the path */
export async function statOrNothing(path: string) {
  try {
    return await stat(path, { bigint: true });
  } catch (error) {
    if (hasSystemCode(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw error;
  }
}

/**
 * Access to files below a folder that somebody else may have filled. The folder itself may be reached through a symbolic
 * link, because the user named it; no link below it is followed. New folders are accessible to their owner only.
 */
import { constants, type Stats } from 'node:fs';
import { type FileHandle, lstat, mkdir, open, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { hasSystemCode } from '../../functions/errors.ts';

const folderMode = 0o700;
export const fileMode = 0o600;

/** A file or a symbolic link is in the place of a folder. */
class NotAFolderError extends Error {
  readonly code = 'ENOTDIR';

  constructor(path: string, found: Stats) {
    super(found.isSymbolicLink() ? `${path} is a symbolic link; not followed.` : `${path} is not a folder.`);
  }
}

/**
 * The entry itself, which may be a link.
 *
 * @param followLast whether a link at the end of the path, but not in it, is followed
 * @returns undefined if it does not exist, or a link or a file leads to it
 */
export async function statBelow(root: string, path: string, followLast = false): Promise<Stats | undefined> {
  try {
    const levels = await Promise.all(levelsOf(root, path).map((level) => lstat(level)));
    if (!levels.slice(0, -1).every((level) => level.isDirectory())) return undefined;
    const last = levels.at(-1);
    return followLast && last?.isSymbolicLink() ? await stat(join(root, path)) : last;
  } catch (error) {
    if (hasSystemCode(error, 'ENOENT', 'ENOTDIR', 'ENAMETOOLONG')) return undefined;
    throw error;
  }
}

/**
 * Opens a regular file for reading. Must be closed.
 *
 * @param followLast as for `statBelow`
 * @returns undefined if it does not exist, is not a regular file, or a link leads to it
 */
export async function openBelow(
  root: string,
  path: string,
  followLast = false,
): Promise<FileHandle | undefined> {
  if (!(await statBelow(root, path, followLast))?.isFile()) return undefined;
  // It may have been replaced since: do not follow a link, and do not wait for the writer of a pipe.
  const { O_RDONLY, O_NOFOLLOW = 0, O_NONBLOCK = 0 } = constants;
  let handle: FileHandle;
  try {
    handle = await open(join(root, path), O_RDONLY | O_NONBLOCK | (followLast ? 0 : O_NOFOLLOW));
  } catch (error) {
    if (hasSystemCode(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) return undefined;
    throw error;
  }
  if ((await handle.stat()).isFile()) return handle;
  await handle.close();
  return undefined;
}

/**
 * Creates a folder, and those above it, unless they exist. Links are followed. Node's own recursive `mkdir` reports ENOENT
 * for a read-only file system.
 *
 * @param path absolute
 * @param hasParent whether the folder above it exists
 * @throws Error with the code EEXIST if a file is in its place
 */
export async function makeFolder(path: string, hasParent = false): Promise<void> {
  try {
    await mkdir(path, { mode: folderMode });
  } catch (error) {
    // exFAT reports ENOENT for a name with a character that it does not allow as well.
    if (hasSystemCode(error, 'ENOENT') && !hasParent && dirname(path) !== path) {
      await makeFolder(dirname(path));
      await makeFolder(path, true);
    } else if (!(await isFolder(path))) throw error;
  }
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    if (hasSystemCode(error, 'ENOENT', 'ENOTDIR', 'EACCES', 'ELOOP', 'ENAMETOOLONG')) return false;
    throw error;
  }
}

/**
 * Creates the folder and those above it, `root` included, unless they exist.
 *
 * @throws Error with the code ENOTDIR if a file or a link is in the place of a folder
 */
export async function makeFolderBelow(root: string, path: string): Promise<void> {
  for (const level of levelsOf(root, path)) {
    const found = await lstat(level).catch((error: unknown) => {
      if (hasSystemCode(error, 'ENOENT')) return undefined;
      throw error;
    });
    if (!found) await makeFolder(level);
    else if (!found.isDirectory()) throw new NotAFolderError(level, found);
  }
}

/** @param path relative, with `/` between names; empty for `root` itself */
function levelsOf(root: string, path: string): string[] {
  const names = path.split('/').filter((name) => name !== '');
  return names.map((_, index) => join(root, ...names.slice(0, index + 1)));
}

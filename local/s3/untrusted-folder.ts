import { constants, type Stats } from 'node:fs';
import { type FileHandle, lstat, mkdir, open, readdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { hasSystemCode } from '../../functions/errors.ts';

const folderMode = 0o700;
/** Mode of new files: for their owner only. */
export const fileMode = 0o600;

export interface OpenedFile {
  /** Must be closed. */
  handle: FileHandle;
  stats: Stats;
}

/**
 * Access to a folder that somebody else may have filled before. The folder itself may be reached through a symbolic link,
 * because the user named it; no link in it is followed. New folders are for their owner only.
 *
 * Paths are relative, with `/` between names. A folder is checked at its first use: this protects against what a folder
 * contains when it is handed over, not against a process that changes it meanwhile.
 */
export class UntrustedFolder {
  readonly path: string;
  readonly #followLinks: boolean;
  /** Folders that are no links. */
  readonly #checked = new Set(['']);

  /**
   * @param path absolute
   * @param followLinks whether a link in the place of a file, but not of a folder, is followed
   */
  constructor(path: string, followLinks = false) {
    this.path = path;
    this.#followLinks = followLinks;
  }

  resolve(path: string): string {
    return join(this.path, ...path.split('/'));
  }

  /** The entry itself, which may be a link. @returns undefined if it does not exist, or a link or a file leads to it */
  async stat(path: string): Promise<Stats | undefined> {
    try {
      if (!(await this.#isFolder(parentOf(path)))) return undefined;
      const place = this.resolve(path);
      const found = await lstat(place);
      return this.#followLinks && found.isSymbolicLink() ? await stat(place) : found;
    } catch (error) {
      if (hasSystemCode(error, 'ENOENT', 'ENOTDIR', 'ENAMETOOLONG')) return undefined;
      throw error;
    }
  }

  /**
   * Opens a regular file for reading.
   *
   * @returns undefined if it does not exist, is not a regular file, or a link leads to it
   */
  async open(path: string): Promise<OpenedFile | undefined> {
    if (!(await this.#isFolder(parentOf(path)))) return undefined;
    // O_NONBLOCK: opening a pipe would wait for its writer.
    const { O_RDONLY, O_NOFOLLOW = 0, O_NONBLOCK = 0 } = constants;
    let handle: FileHandle;
    try {
      handle = await open(this.resolve(path), O_RDONLY | O_NONBLOCK | (this.#followLinks ? 0 : O_NOFOLLOW));
    } catch (error) {
      // ELOOP: a link. EMLINK: a link, on FreeBSD. ENXIO: a socket. EISDIR: a folder, on Windows.
      const absent = ['ENOENT', 'ENOTDIR', 'ENAMETOOLONG', 'ELOOP', 'EMLINK', 'ENXIO', 'EISDIR'];
      if (hasSystemCode(error, ...absent)) return undefined;
      throw error;
    }
    const stats = await handle.stat();
    if (stats.isFile()) return { handle, stats };
    await handle.close();
    return undefined;
  }

  /**
   * Reads a small regular file.
   *
   * @returns undefined if `open` finds none, or if it is larger
   */
  async readText(path: string, maxBytes: number): Promise<string | undefined> {
    const opened = await this.open(path);
    if (!opened) return undefined;
    const { handle, stats } = opened;
    try {
      if (stats.size > maxBytes) return undefined;
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(stats.size), 0, stats.size, 0);
      return buffer.toString('utf8', 0, bytesRead);
    } finally {
      await handle.close();
    }
  }

  /** Names in a folder, in no order; none if it does not exist, or a link or a file leads to it. */
  async names(path: string): Promise<string[]> {
    try {
      return (await this.#isFolder(path)) ? await readdir(this.resolve(path)) : [];
    } catch (error) {
      if (hasSystemCode(error, 'ENOENT', 'ENOTDIR')) return [];
      throw error;
    }
  }

  /**
   * Creates a folder and those above it, this folder included, unless they exist.
   *
   * @throws Error with the code ENOTDIR if a file or a link is in the place of a folder
   */
  async makeFolder(path: string): Promise<void> {
    if (this.#checked.has(path) && (await created(this.resolve(path)))) return;
    for (const level of levelsOf(path)) {
      const place = this.resolve(level);
      const found = await lstat(place).catch((error: unknown) => {
        if (hasSystemCode(error, 'ENOENT')) return undefined;
        throw error;
      });
      if (!found) await makeFolder(place);
      else if (!found.isDirectory()) throw new NotAFolderError(place, found);
      this.#checked.add(level);
    }
  }

  async #isFolder(path: string): Promise<boolean> {
    if (this.#checked.has(path)) return true;
    for (const level of levelsOf(path)) {
      try {
        if (!(await lstat(this.resolve(level))).isDirectory()) return false;
      } catch (error) {
        if (hasSystemCode(error, 'ENOENT', 'ENOTDIR', 'ENAMETOOLONG')) return false;
        throw error;
      }
      this.#checked.add(level);
    }
    return true;
  }
}

/** A file or a symbolic link is in the place of a folder. */
class NotAFolderError extends Error {
  readonly code = 'ENOTDIR';

  constructor(path: string, found: Stats) {
    super(found.isSymbolicLink() ? `${path} is a symbolic link; not followed.` : `${path} is not a folder.`);
  }
}

/**
 * Creates a folder, and those above it, unless they exist. Links are followed. Node's own recursive `mkdir` reports ENOENT
 * for a read-only file system.
 *
 * @param path absolute
 * @throws Error with the code EEXIST if a file is in its place
 */
export async function makeFolder(path: string): Promise<void> {
  if (await created(path)) return;
  await makeFolder(dirname(path));
  // exFAT reports ENOENT also for a name with a character that it does not allow.
  if (!(await created(path))) throw Object.assign(new Error(`Cannot create ${path}.`), { code: 'ENOENT' });
}

/** @returns false if the folder above it does not exist */
async function created(path: string): Promise<boolean> {
  try {
    await mkdir(path, { mode: folderMode });
    return true;
  } catch (error) {
    if (hasSystemCode(error, 'ENOENT') && dirname(path) !== path) return false;
    // A file system may report that it is read-only before it looks whether the folder exists.
    if (hasSystemCode(error, 'EEXIST', 'EROFS', 'EISDIR') && (await leadsToFolder(path))) return true;
    throw error;
  }
}

async function leadsToFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    if (hasSystemCode(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) return false;
    throw error;
  }
}

/** The part of a path before its last `/`; empty if there is none. */
export const parentOf = (path: string) => path.slice(0, Math.max(0, path.lastIndexOf('/')));

/** The path and all above it, the shortest first; none for the empty path. */
function levelsOf(path: string): string[] {
  const names = path.split('/').filter((name) => name !== '');
  return names.map((_, index) => names.slice(0, index + 1).join('/'));
}

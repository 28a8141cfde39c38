import { isUtf8 } from 'node:buffer';
import type { BigIntStats, Dirent } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { hasSystemCode } from '../../functions/errors.ts';

/**
 * Lists the keys of a bucket from its directory in S3's order, that of their UTF-8 bytes.
 *
 * Caches the sorted entries of each directory until its modification time changes, through the server or by hand. A page
 * of a large listing costs one `stat` per directory, not one per object.
 */
export class KeyIndex {
  readonly #root: string;
  readonly #hidden: string;
  readonly #directories = new Map<string, CachedDirectory>();

  /** @param hidden name of the entry of the root that contains no objects */
  constructor(root: string, hidden: string) {
    this.#root = root;
    this.#hidden = hidden;
  }

  /** Keys that start with `prefix` and sort after `after`, in order. */
  async *keys(prefix: string, after: string): AsyncGenerator<string, void, undefined> {
    yield* this.#walk('', prefix, after);
  }

  async *#walk(path: string, prefix: string, after: string): AsyncGenerator<string, void, undefined> {
    const entries = await this.#entries(path);
    // The later of both bounds, relative to this directory: keys before it cannot match.
    const from = [prefix, after]
      .filter((bound) => bound.startsWith(path))
      .map((bound) => bound.slice(path.length))
      .reduce((later, bound) => (compareUtf8(later, bound) < 0 ? bound : later), '');
    for (let at = firstIndexFrom(entries, from); at < entries.length; at += 1) {
      const key = path + entries[at];
      if (!key.startsWith(prefix) && !prefix.startsWith(key)) {
        if (compareUtf8(key, prefix) > 0) return;
        continue;
      }
      if (key.endsWith('/')) yield* this.#walk(key, prefix, after);
      else if (key.startsWith(prefix) && compareUtf8(key, after) > 0) yield key;
    }
  }

  async #entries(path: string): Promise<readonly string[]> {
    const directory = join(this.#root, path);
    // Timestamps of the file system are in system time, so compare them with the system clock.
    const readAt = Date.now();
    let state: BigIntStats;
    let names: string[];
    try {
      state = await stat(directory, { bigint: true });
      const cached = this.#directories.get(path);
      if (cached?.mtimeNs === state.mtimeNs) return cached.entries;
      ({ names } = await readEntries(directory, path === '' ? this.#hidden : undefined));
    } catch (error) {
      // Removed since its parent was read, so it has no keys.
      if (hasSystemCode(error, 'ENOENT', 'ENOTDIR')) return [];
      throw error;
    }
    const entries = names.sort(compareUtf8);
    // A change within the resolution of the timestamp would go unnoticed, so recently changed directories are not cached.
    if (readAt - Number(state.mtimeNs / 1_000_000n) > MIN_CACHEABLE_AGE_MS) {
      this.#directories.set(path, { mtimeNs: state.mtimeNs, entries });
    } else this.#directories.delete(path);
    return entries;
  }
}

/** A file or directory that is not in the listings. */
export interface UnlistedFile {
  /** Relative to the bucket's directory; bytes of a name that is not UTF-8 are written as `\xNN`. */
  path: string;
  /** Follows the path, as in "a symbolic link". */
  reason: string;
}

/**
 * Walks a bucket's directory for everything that is not in its listings.
 *
 * @throws the error of `readdir` for a directory that cannot be read
 */
export async function* unlistedFiles(
  root: string,
  hidden: string,
  path = '',
): AsyncGenerator<UnlistedFile, void, undefined> {
  const { names, unlisted } = await readEntries(join(root, path), path === '' ? hidden : undefined);
  for (const { path: name, reason } of unlisted) yield { path: path + name, reason };
  for (const name of names) if (name.endsWith('/')) yield* unlistedFiles(root, hidden, path + name);
}

/** @returns names of what is listed, those of directories with a slash at the end, as their keys sort: `a.txt` before `a/b` */
async function readEntries(
  directory: string,
  hidden: string | undefined,
): Promise<{ names: string[]; unlisted: UnlistedFile[] }> {
  const names: string[] = [];
  const unlisted: UnlistedFile[] = [];
  // As buffers: in strings, Node.js replaces bytes that are not UTF-8, and the file is not found under that name.
  for (const entry of await readdir(directory, { withFileTypes: true, encoding: 'buffer' })) {
    const name = entry.name.toString('utf8');
    if (name === hidden) continue;
    const slash = entry.isDirectory() ? '/' : '';
    const reason = unlistedReason(entry);
    if (reason === undefined) names.push(name + slash);
    else unlisted.push({ path: (isUtf8(entry.name) ? name : hexEscaped(entry.name)) + slash, reason });
  }
  return { names, unlisted };
}

function unlistedReason(entry: Dirent<Buffer>): string | undefined {
  if (entry.isSymbolicLink()) return 'a symbolic link';
  if (!entry.isFile() && !entry.isDirectory()) return 'not a regular file';
  return isUtf8(entry.name) ? undefined : 'its name is not UTF-8';
}

function hexEscaped(name: Buffer): string {
  const hex = (character: string) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`;
  return name.toString('latin1').replace(/[^ -~]/g, hex);
}

interface CachedDirectory {
  readonly mtimeNs: bigint;
  /** Sorted. Names of directories end with a slash. */
  readonly entries: readonly string[];
}

/** Longer than the coarsest timestamp resolution of a common file system (FAT: 2 s). */
const MIN_CACHEABLE_AGE_MS = 2500;

/** Index of the first entry that is, or may contain, a key at or after `from`. */
function firstIndexFrom(entries: readonly string[], from: string): number {
  let low = 0;
  let high = entries.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const entry = entries[middle] ?? '';
    const mayContain = entry.endsWith('/') && from.startsWith(entry);
    if (compareUtf8(entry, from) < 0 && !mayContain) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Compares by UTF-8 bytes. Same order as by UTF-16 code units, except that surrogates sort last. */
export function compareUtf8(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at += 1) {
    const left = a.charCodeAt(at);
    const right = b.charCodeAt(at);
    if (left === right) continue;
    const leftSurrogate = left >= 0xd800 && left <= 0xdfff;
    const rightSurrogate = right >= 0xd800 && right <= 0xdfff;
    if (leftSurrogate !== rightSurrogate) return leftSurrogate ? 1 : -1;
    return left - right;
  }
  return a.length - b.length;
}
